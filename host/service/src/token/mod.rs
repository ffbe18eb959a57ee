//! Tokens (充值码) for meters without a line: orders to a meter that are no sale, and what a sale's
//! token is made of.
//!
//! Invariants: all that makes the digits of a token is stored before they are made, so that a process
//! that died makes the same ones and never a second token; digits are stored before anybody sees them;
//! a meter's number is given once, which the database sees to (`token_order_number`). Digits reach
//! neither log nor audit trail. Not here: the sale around a credit token (sale), what digits are (driver).

mod entry;
mod entry_store;
mod issue;
mod rollover;
mod store;

pub use entry::{EntryState, TokenEntry};
pub(crate) use issue::{Planned, credit_carried, digits_of, plan};
pub use rollover::{
    NewRollover, Rollover, RolloverLine, RolloverMeter, RolloverOrder, RolloverPreview,
};
pub(crate) use rollover::{approved as rollover_approved, withdrawn as rollover_withdrawn};
pub(crate) use store::{
    StoredToken, allot, cancel_of_sale, has_any, keep_digits, none_open_key_change, of_sale,
};

use crate::approval::{self, Asking};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::crash_point::crash_point;
use crate::customer::typed_not_empty;
use crate::error::{Result, ServiceError, bad_column, chain, invalid};
use crate::limits::{MAX_REASON_CHARS, TOKEN_ATTEMPTS};
use crate::meter::{self, MeterRecord};
use crate::page::Page;
use crate::parameter::{self, Home};
use crate::{Approvable, Service, to_the_end};
use polymeter_domain::{
    ApprovalId, BillingMode, Credit, MeterId, Money, SaleId, TokenDigits, TokenKind, TokenOrder,
    TokenOrderId, TokenRolloverId, Value,
};
use polymeter_ledger::Transaction;

/// An order to a meter that is no sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTokenOrder {
    pub meter_id: MeterId,
    pub kind: TokenKind,
    /// Which register, how many W, which rate; 0 where the kind takes none.
    pub value: u64,
    /// The driver's parameters that a key change brings.
    pub change: Vec<(String, Value)>,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// A second person has to agree.
    Waiting,
    /// Nothing is promised yet.
    Approved,
    /// Its number is taken; the digits are not made yet.
    Ordered,
    Issued,
    Cancelled,
}

impl TokenState {
    const ALL: [TokenState; 5] = [
        TokenState::Waiting,
        TokenState::Approved,
        TokenState::Ordered,
        TokenState::Issued,
        TokenState::Cancelled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            TokenState::Waiting => "waiting",
            TokenState::Approved => "approved",
            TokenState::Ordered => "ordered",
            TokenState::Issued => "issued",
            TokenState::Cancelled => "cancelled",
        }
    }

    fn from_name(name: &str) -> Result<TokenState> {
        let found = TokenState::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| bad_column("state", name))
    }
}

/// One order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    pub token_order_id: TokenOrderId,
    pub meter_id: MeterId,
    /// Of credit.
    pub sale_id: Option<SaleId>,
    /// The campaign that it is of.
    pub rollover_id: Option<TokenRolloverId>,
    pub order: TokenOrder,
    pub reason: String,
    pub operator: Actor,
    pub state: TokenState,
    /// By which the meter knows it.
    pub identifier: Option<u32>,
    /// Once it is issued.
    pub digits: Option<TokenDigits>,
    pub created_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    /// What it waits for.
    pub approval: Option<ApprovalId>,
    /// Over its meter's line, where that has one.
    pub entry: Option<TokenEntry>,
}

/// What a sale gave its customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoldToken {
    pub digits: TokenDigits,
    /// What the meter adds.
    pub credit: Credit,
    /// Over its line, where it has one.
    pub entry: Option<TokenEntry>,
}

impl Service {
    /// Has a token made under the client's own id; one that is risky waits for a second person where the
    /// site wants two. Idempotent by id.
    pub async fn put_token_order(
        &self,
        id: TokenOrderId,
        new: NewTokenOrder,
        actor: &Actor,
    ) -> Result<TokenRecord> {
        let reason = typed_not_empty("reason", &new.reason, MAX_REASON_CHARS)?;
        let mut new = NewTokenOrder { reason, ..new };
        let meter = meter::record(self.reader(), new.meter_id).await?;
        check_mode(&meter)?;
        let driver = self.driver(&meter.vendor)?;
        new.change = parameter::checked(&driver, Home::Here, &new.change)?;
        check_shape(&new)?;
        if store::find(self.reader(), id).await?.is_none() {
            // What can never be made is refused before anybody is asked to agree.
            plan(self, &meter, id.uuid(), &order_of(&new)).await?;
        }
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            service.expire_approvals().await?;
            make(&service, id, new, actor).await?;
            crash_point("after-token-ordered");
            service.follow_token(id).await?;
            service.token_order(id).await
        })
        .await
    }

    /// Digits by which a meter tests itself or shows something: test `number` of its standard, 0 for all.
    /// Every such meter takes the same, as often as they are typed; so they are made of nothing but the
    /// question, and kept nowhere.
    pub async fn test_token(&self, meter: MeterId, number: u64) -> Result<TokenDigits> {
        let meter = meter::record(self.reader(), meter).await?;
        check_mode(&meter)?;
        let order = TokenOrder::of_test(number);
        let order = order.ok_or_else(|| invalid("number", "tests have the numbers 1 to 64"))?;
        issue::test(self, &meter, &order).await
    }

    pub async fn token_order(&self, id: TokenOrderId) -> Result<TokenRecord> {
        self.token_record(store::record(self.reader(), id).await?).await
    }

    /// Of one meter, those of sales too, newest first.
    pub async fn token_orders(&self, meter: MeterId, page: &Page) -> Result<Vec<TokenRecord>> {
        meter::record(self.reader(), meter).await?;
        let mut records = Vec::new();
        for it in store::of_meter(self.reader(), meter, &page.bound()?).await? {
            records.push(self.token_record(it).await?);
        }
        Ok(records)
    }

    /// Gives up an order whose digits nobody has seen.
    pub async fn cancel_token_order(&self, id: TokenOrderId, actor: &Actor) -> Result<TokenRecord> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let it = store::record(&mut *tx.connection(), id).await?;
                    if it.sale_id.is_some() {
                        return Err(invalid("token_order_id", "it is a sale's: cancel that"));
                    }
                    let object = Approvable::Token(id).to_string();
                    approval::withdraw(tx.connection(), &object, &actor, at).await?;
                    store::cancel(tx.connection(), &it, at).await?;
                    audit(tx, &it, at, &actor, "token-cancelled", "").await
                })
            })
            .await?;
        self.token_order(id).await
    }

    /// The token of a sale, once there is one.
    pub(crate) async fn sold_token(&self, sale: SaleId) -> Result<Option<SoldToken>> {
        let Some(it) = of_sale(self.reader(), sale).await? else { return Ok(None) };
        let (Some(digits), Some(credit)) = (it.digits, it.order.credit) else { return Ok(None) };
        let entry = entry_store::find(self.reader(), it.token_order_id).await?;
        Ok(Some(SoldToken { digits, credit, entry }))
    }

    /// Carries an order on as far as it goes without a person.
    pub(crate) async fn follow_token(&self, id: TokenOrderId) -> Result<()> {
        for _ in 0..TOKEN_ATTEMPTS {
            let it = store::record(self.reader(), id).await?;
            match it.state {
                TokenState::Approved => number(self, &it).await?,
                TokenState::Ordered => finish(self, &it).await?,
                TokenState::Waiting | TokenState::Issued | TokenState::Cancelled => return Ok(()),
            }
        }
        Ok(())
    }

    /// Issues what a crash left without digits. Those of sales are the sales' own affair.
    pub(crate) async fn resume_tokens(&self) -> Result<()> {
        for it in store::left(self.reader()).await? {
            match self.follow_token(it.token_order_id).await {
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    let (id, why) = (it.token_order_id, chain(&error));
                    tracing::error!(token_order_id = %id, why, "the token waits for a person");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn token_record(&self, it: StoredToken) -> Result<TokenRecord> {
        let approval = match it.state {
            TokenState::Waiting => {
                let object = match it.rollover_id {
                    Some(id) => Approvable::Rollover(id),
                    None => Approvable::Token(it.token_order_id),
                };
                approval::waiting_for(self.reader(), &object.to_string()).await?
            }
            _ => None,
        };
        Ok(TokenRecord {
            token_order_id: it.token_order_id,
            meter_id: it.meter_id,
            sale_id: it.sale_id,
            rollover_id: it.rollover_id,
            identifier: it.basis.as_ref().and_then(|basis| basis.identifier),
            order: it.order,
            reason: it.reason,
            operator: it.operator,
            state: it.state,
            digits: it.digits,
            created_at: it.created_at,
            ended_at: it.ended_at,
            approval: approval.map(|approval| approval.approval_id),
            entry: entry_store::find(self.reader(), it.token_order_id).await?,
        })
    }
}

fn check_mode(meter: &MeterRecord) -> Result<()> {
    if meter.mode == BillingMode::Token {
        return Ok(());
    }
    let why = format!("meter {} is {}, and takes no tokens", meter.serial_number, meter.mode);
    Err(invalid("meter_id", why))
}

fn check_shape(new: &NewTokenOrder) -> Result<()> {
    match new.kind {
        TokenKind::Credit => Err(invalid("kind", "credit is sold: make a sale")),
        TokenKind::Test => {
            Err(invalid("kind", "a test token is no order to one meter, and is not kept"))
        }
        TokenKind::KeyChange if new.change.is_empty() => {
            Err(invalid("change", "a key change names the parameters that it brings"))
        }
        TokenKind::KeyChange if new.value != 0 => {
            Err(invalid("value", "a token of this kind takes none"))
        }
        TokenKind::KeyChange => Ok(()),
        kind if !new.change.is_empty() => {
            Err(invalid("change", format!("a token of kind {kind} changes no parameters")))
        }
        TokenKind::ClearTamper if new.value != 0 => {
            Err(invalid("value", "a token of this kind takes none"))
        }
        // Whatever a driver would carry: no register, power or rate is greater.
        _ if new.value > u64::from(u32::MAX) => Err(invalid("value", "more than 32 bits")),
        _ => Ok(()),
    }
}

fn order_of(new: &NewTokenOrder) -> TokenOrder {
    TokenOrder { kind: new.kind, credit: None, value: new.value, change: new.change.clone() }
}

/// Stored, and asked of a second person where it is risky and the site wants two.
async fn make(service: &Service, id: TokenOrderId, new: NewTokenOrder, actor: Actor) -> Result<()> {
    let inside = service.clone();
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                if let Some(earlier) = store::find(&mut *tx.connection(), id).await? {
                    return earlier.must_be(&new);
                }
                let meter = meter::record(&mut *tx.connection(), new.meter_id).await?;
                store::none_open(&mut *tx.connection(), &meter).await?;
                let needs_two = new.kind.is_risky() && inside.rules().approval.clear.is_some();
                let at = inside.clock().at();
                let it = StoredToken {
                    token_order_id: id,
                    meter_id: new.meter_id,
                    sale_id: None,
                    rollover_id: None,
                    order: order_of(&new),
                    reason: new.reason.clone(),
                    operator: actor.clone(),
                    state: if needs_two { TokenState::Waiting } else { TokenState::Approved },
                    basis: None,
                    digits: None,
                    created_at: at,
                    ended_at: None,
                };
                store::insert(tx.connection(), &it).await?;
                audit(tx, &it, at, &actor, "token-ordered", &it.reason).await?;
                if needs_two {
                    let object = Approvable::Token(id).to_string();
                    let amount = Money::new(0, inside.currency());
                    let (act, reason, actor) = (it.order.kind.name(), it.reason.as_str(), &actor);
                    let asking = Asking { act, object, amount, reason, actor };
                    approval::ask(&inside, tx.connection(), asking).await?;
                }
                Ok(())
            })
        })
        .await
}

/// Takes its number, with all that makes its digits.
async fn number(service: &Service, it: &StoredToken) -> Result<()> {
    let meter = meter::record(service.reader(), it.meter_id).await?;
    let planned = plan(service, &meter, it.token_order_id.uuid(), &it.order).await?;
    let it = it.clone();
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let meter = meter::record(&mut *tx.connection(), it.meter_id).await?;
                if it.order.kind == TokenKind::KeyChange {
                    crate::sale::none_unsettled(tx.connection(), &meter).await?;
                }
                allot(tx.connection(), &it, planned).await
            })
        })
        .await?;
    crash_point("after-token-numbered");
    Ok(())
}

/// Makes the digits and keeps them; a key change is the meter's from then on, since whoever types its
/// tokens has the next one made by the new key.
async fn finish(service: &Service, it: &StoredToken) -> Result<()> {
    let digits = digits_of(service, it).await?;
    crash_point("after-token-made");
    let (at, it) = (service.clock().at(), it.clone());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                keep_digits(tx.connection(), it.token_order_id, &digits, at).await?;
                if it.order.kind == TokenKind::KeyChange {
                    store::change_key(tx.connection(), &it).await?;
                }
                audit(tx, &it, at, &it.operator, "token-issued", "").await
            })
        })
        .await?;
    service.inner.entries.notify_one();
    crash_point("after-token-kept");
    Ok(())
}

async fn audit(
    tx: &mut Transaction,
    it: &StoredToken,
    at: UnixMs,
    actor: &Actor,
    act: &'static str,
    why: &str,
) -> Result<()> {
    let object = format!("token-order/{}", it.token_order_id);
    let mut detail = format!("{} {} at meter/{}", it.order.kind, it.order.value, it.meter_id);
    for (name, _) in &it.order.change {
        detail.push_str(&format!(", {name}"));
    }
    if !why.is_empty() {
        detail.push_str(&format!(": {why}"));
    }
    audit::record(tx.connection(), Act { at, actor, act, object, detail: &detail }).await
}

/// A second person agreed; the digits are made afterwards.
pub(crate) async fn approved(tx: &mut Transaction, id: TokenOrderId) -> Result<()> {
    let it = store::record(&mut *tx.connection(), id).await?;
    if it.state != TokenState::Waiting {
        let (what, id, state) = ("token order", id.to_string(), it.state.name());
        return Err(ServiceError::WrongState { what, id, state, event: "approved" });
    }
    store::approve(tx.connection(), id).await
}

pub(crate) async fn withdrawn(tx: &mut Transaction, id: TokenOrderId, at: UnixMs) -> Result<()> {
    let it = store::record(&mut *tx.connection(), id).await?;
    store::cancel(tx.connection(), &it, at).await
}
