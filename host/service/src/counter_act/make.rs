//! From a request to an act that waits, is reserved, or is done: checked and stored in one transaction.

use super::store::{self, Step, StoredAct};
use super::{ActKind, ActPreview, ActRequest, Subject, in_words};
use crate::Service;
use crate::approval::{self, Asking};
use crate::audit::Actor;
use crate::booking::{
    BROUGHT_IN, Booking, GIFT, WRITE_OFF, arrears_account, channel_account, deposit_account,
    meter_credit_account,
};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, invalid};
use crate::limits::MAX_SALE_MINOR;
use crate::meter::AccountState;
use crate::sale;
use crate::shift::Run;
use crate::standing;
use polymeter_domain::tariff::Date;
use polymeter_domain::{
    ActEvent, ActState, Channel, CounterActId, CustomerId, MeterId, Money, Quantity, Sale, SaleId,
    TransferId,
};
use polymeter_ledger::{Transaction, standing as standing_of};
use uuid::Uuid;

/// What became of a request.
#[derive(Debug)]
pub(super) struct Made {
    pub preview: ActPreview,
    /// The device of this act is to be asked next.
    pub follow: Option<CounterActId>,
}

/// What an act is about, looked up.
#[derive(Debug)]
struct Terms {
    sale_id: Option<SaleId>,
    meter_id: Option<MeterId>,
    of_act: Option<StoredAct>,
    customer_id: CustomerId,
    channel: Option<Channel>,
    amount: Money,
}

pub(super) async fn make(
    service: &Service,
    id: CounterActId,
    request: ActRequest,
    actor: Actor,
    run: Run,
) -> Result<Made> {
    let inside = service.clone();
    service
        .database()
        .write(move |tx| {
            Box::pin(async move { make_in(&inside, tx, id, &request, actor, run).await })
        })
        .await
}

async fn make_in(
    service: &Service,
    tx: &mut Transaction,
    id: CounterActId,
    request: &ActRequest,
    actor: Actor,
    run: Run,
) -> Result<Made> {
    let at = service.clock().at();
    if run == Run::Real {
        approval::expire_due(tx, at).await?;
    }
    if let Some(earlier) = store::find(&mut *tx.connection(), id).await? {
        earlier.must_be(request)?;
        let original = match earlier.of_act {
            Some(of_act) => Some(store::record(&mut *tx.connection(), of_act).await?),
            None => None,
        };
        let preview = preview(service, &earlier, original.as_ref());
        return Ok(Made { preview, follow: None });
    }
    let terms = terms(service, tx, request).await?;
    let act = StoredAct {
        act_id: id,
        kind: request.kind,
        sale_id: terms.sale_id,
        meter_id: terms.meter_id,
        customer_id: terms.customer_id,
        channel: terms.channel,
        amount: terms.amount,
        reason: request.reason.clone(),
        operator: actor,
        day: service.today()?,
        pending: None,
        of_act: terms.of_act.as_ref().map(|of_act| of_act.act_id),
        taking: None,
        state: ActState::Waiting,
        created_at: at,
        settled_at: None,
    };
    check_free(service, tx, &act).await?;
    let preview = preview(service, &act, terms.of_act.as_ref());
    if run == Run::Dry {
        return Ok(Made { preview, follow: None });
    }
    store::insert(tx.connection(), &act).await?;
    let detail = format!("{}: {}", in_words(act.amount), act.reason);
    let step = Step::new(service, id, detail).audited(&act.operator, "counter-act-made");
    store::note(tx, &step, act.state).await?;
    if preview.needs_second_person {
        let asking = Asking {
            act: act.kind.name(),
            object: format!("counter-act/{id}"),
            amount: act.amount,
            reason: &act.reason,
            actor: &act.operator,
        };
        approval::ask(service, tx.connection(), asking).await?;
        return Ok(Made { preview, follow: None });
    }
    let follow = reserve(service, tx, act, "within the limit of one person").await?;
    Ok(Made { preview, follow })
}

/// `original` is the act that it takes back, where it does.
fn preview(service: &Service, act: &StoredAct, original: Option<&StoredAct>) -> ActPreview {
    let (debit, credit) = match original {
        Some(original) => {
            let (debit, credit) = accounts(original);
            (credit, debit)
        }
        None => accounts(act),
    };
    ActPreview {
        kind: act.kind,
        customer_id: act.customer_id,
        channel: act.channel,
        amount: act.amount,
        debit,
        credit,
        needs_second_person: service.rules().approval.is_needed(act.kind, act.amount),
    }
}

/// Debit and credit, by name.
fn accounts(act: &StoredAct) -> (String, String) {
    let channel = channel_account(act.channel.unwrap_or_default());
    let customer = act.customer_id;
    match (act.kind, act.meter_id) {
        (ActKind::Refund | ActKind::Reversal, Some(meter)) => {
            (meter_credit_account(meter), channel)
        }
        (ActKind::Refund | ActKind::Reversal, None) => {
            unreachable!("it has the meter of its sale, or its own: the table sees to it")
        }
        (ActKind::Deposit, _) => (channel, deposit_account(customer)),
        (ActKind::DepositRefund, _) => (deposit_account(customer), channel),
        (ActKind::Arrears, _) => (arrears_account(customer), BROUGHT_IN.to_owned()),
        (ActKind::ArrearsPayment, _) => (channel, arrears_account(customer)),
        (ActKind::WriteOff, _) => (WRITE_OFF.to_owned(), arrears_account(customer)),
    }
}

async fn terms(service: &Service, tx: &mut Transaction, request: &ActRequest) -> Result<Terms> {
    let kind = request.kind;
    match request.subject {
        Subject::Sale(sale) if kind.takes_back() => of_sale(service, tx, request, sale).await,
        Subject::Meter(meter, amount) if kind == ActKind::Refund => {
            of_meter(service, tx, request, meter, amount).await
        }
        Subject::Act(act) if kind == ActKind::Reversal => of_act(service, tx, request, act).await,
        Subject::Customer(customer_id, amount) if !kind.takes_back() => {
            check_amount(service, amount)?;
            let known: Option<String> =
                sqlx::query_scalar("select customer_id from customer where customer_id = $1")
                    .bind(customer_id.to_string())
                    .fetch_optional(tx.connection())
                    .await?;
            if known.is_none() {
                let id = customer_id.to_string();
                return Err(ServiceError::NotFound { what: "customer", id });
            }
            let channel = match (kind.has_channel(), request.channel) {
                (true, channel) => Some(channel.unwrap_or_default()),
                (false, None) => None,
                (false, Some(_)) => {
                    let why = format!("a {} moves no money over the counter", kind.name());
                    return Err(invalid("channel", why));
                }
            };
            let (sale_id, meter_id, of_act) = (None, None, None);
            Ok(Terms { sale_id, meter_id, of_act, customer_id, channel, amount })
        }
        Subject::Sale(_) | Subject::Meter(..) | Subject::Act(_) | Subject::Customer(..) => {
            let names = match kind {
                ActKind::Refund => "a sale, or a meter and an amount",
                ActKind::Reversal => "a sale or an act",
                _ => "a customer and an amount",
            };
            Err(invalid("kind", format!("a {} names {names}", kind.name())))
        }
    }
}

/// An amount out of the purse in a meter: never more than was sold into it, and only where its driver
/// can take it.
async fn of_meter(
    service: &Service,
    tx: &mut Transaction,
    request: &ActRequest,
    meter_id: MeterId,
    amount: Money,
) -> Result<Terms> {
    check_amount(service, amount)?;
    let meter = crate::meter::record(&mut *tx.connection(), meter_id).await?;
    let what = || format!("meter {}", meter.serial_number);
    let blocked = |why: &str| ServiceError::Blocked { what: what(), why: why.to_owned() };
    let (Some(customer_id), AccountState::Open) = (meter.customer_id, meter.account) else {
        return Err(blocked("no account is open in it"));
    };
    let driver = service.driver(&meter.vendor)?;
    if driver.description().purse != Some(Quantity::Money) {
        return Err(blocked("its purse holds no money; take a whole sale back instead"));
    }
    if !driver.abilities().refund {
        return Err(blocked("its driver takes no credit back; close the account to pay it out"));
    }
    let account = meter_credit_account(meter_id);
    let stands = standing_of(&mut *tx.connection(), &account, amount.currency()).await?;
    let sold = stands.credit_balance();
    if amount.minor() > sold.minor() {
        return Err(invalid("amount", format!("{} was sold into it", in_words(sold))));
    }
    Ok(Terms {
        sale_id: None,
        meter_id: Some(meter_id),
        of_act: None,
        customer_id,
        channel: Some(request.channel.unwrap_or_default()),
        amount,
    })
}

/// Only what moved money or debts by itself is taken back by contra rows. A refund is not: the credit
/// has left the device, and a new sale is what puts it there again.
async fn of_act(
    service: &Service,
    tx: &mut Transaction,
    request: &ActRequest,
    act_id: CounterActId,
) -> Result<Terms> {
    let act = store::record(&mut *tx.connection(), act_id).await?;
    let kind = act.kind.name();
    if act.kind.takes_back() {
        let why = format!("a {kind} is not reversed: sell again what the device shall hold");
        return Err(invalid("act_id", why));
    }
    if act.state != ActState::Confirmed {
        return Err(invalid("act_id", format!("the {kind} is {}", act.state.name())));
    }
    not_taken_back(tx, act_id.uuid(), "an act").await?;
    same_day(service, "act_id", kind, act.day)?;
    if let (Some(asked), Some(channel)) = (request.channel, act.channel)
        && asked != channel
    {
        return Err(invalid("channel", format!("a reversal goes back by {}", channel.name())));
    }
    let (customer_id, channel, amount) = (act.customer_id, act.channel, act.amount);
    Ok(Terms { sale_id: None, meter_id: None, of_act: Some(act), customer_id, channel, amount })
}

async fn not_taken_back(tx: &mut Transaction, sale_or_act: Uuid, what: &str) -> Result<()> {
    let Some(earlier) = store::taking_back(&mut *tx.connection(), sale_or_act).await? else {
        return Ok(());
    };
    let id = format!("of {what}: {} {}", earlier.kind.name(), earlier.act_id);
    Err(ServiceError::Exists { what: "a taking back", id })
}

/// A reversal stays within the day that it corrects, whose books are still open.
fn same_day(service: &Service, field: &'static str, what: &str, day: Date) -> Result<()> {
    if day == service.today()? {
        return Ok(());
    }
    let instead = match what {
        "sale" => "later a refund gives the money back",
        _ => "later the contrary act corrects it",
    };
    Err(invalid(
        field,
        format!("the {what} is of {day}; a reversal is for the same day, {instead}"),
    ))
}

fn check_amount(service: &Service, amount: Money) -> Result<()> {
    let currency = service.currency();
    if amount.currency() != currency {
        return Err(invalid("amount", format!("this system books {}", currency.code())));
    }
    if !(1..=MAX_SALE_MINOR).contains(&amount.minor()) {
        let most = Money::new(MAX_SALE_MINOR, currency);
        return Err(invalid("amount", format!("above zero and at most {most}")));
    }
    Ok(())
}

async fn of_sale(
    service: &Service,
    tx: &mut Transaction,
    request: &ActRequest,
    sale_id: SaleId,
) -> Result<Terms> {
    let sale = sale::stored(&mut *tx.connection(), sale_id).await?;
    if !matches!(sale.state, Sale::Confirmed(_)) {
        let why = match sale.state {
            Sale::Refused(_) | Sale::Cancelled => "its money went back already",
            _ => "settle it first: what never reached the device goes back by itself",
        };
        return Err(invalid("sale_id", format!("the sale is {}; {why}", sale.state.name())));
    }
    not_taken_back(tx, sale_id.uuid(), "this sale").await?;
    let channel = match request.kind {
        ActKind::Reversal => {
            same_day(service, "sale_id", "sale", sale.priced_on)?;
            if request.channel.is_some_and(|channel| channel != sale.channel) {
                let why = format!("a reversal goes back by {}", sale.channel.name());
                return Err(invalid("channel", why));
            }
            sale.channel
        }
        _ => request.channel.unwrap_or(sale.channel),
    };
    Ok(Terms {
        sale_id: Some(sale_id),
        meter_id: Some(sale.meter_id),
        of_act: None,
        customer_id: sale.customer_id,
        channel: Some(channel),
        amount: match request.kind {
            ActKind::Reversal => sale.paid,
            // What paid arrears and the fee stays paid.
            _ => sale.deductions.left_of(sale.paid).unwrap_or(sale.paid),
        },
    })
}

/// Nothing else is under way that its outcome would depend on, and there is enough.
async fn check_free(service: &Service, tx: &mut Transaction, act: &StoredAct) -> Result<()> {
    if let Some(channel) = act.channel {
        service.check_shift(tx, channel, &act.operator).await?;
    }
    if let Some(meter) = act.meter_id {
        let serial_number = crate::meter::record(&mut *tx.connection(), meter).await?.serial_number;
        if let Some(sale_id) = sale::unsettled_of_meter(tx.connection(), meter).await? {
            return Err(ServiceError::Unsettled { serial_number, sale_id });
        }
        if let Some(act_id) = unsettled(tx, meter).await? {
            return Err(ServiceError::UnsettledAct { serial_number, act_id });
        }
    }
    let held = standing::of(&mut *tx.connection(), act.customer_id, service.currency()).await?;
    let (most, what) = match act.kind {
        ActKind::DepositRefund => (held.deposit, "was deposited"),
        ActKind::ArrearsPayment | ActKind::WriteOff => (held.arrears, "is owed"),
        ActKind::Reversal => match act.of_act {
            Some(of_act) => match store::record(&mut *tx.connection(), of_act).await?.kind {
                ActKind::Deposit => (held.deposit, "of it is still deposited"),
                ActKind::Arrears => (held.arrears, "of it is still owed"),
                _ => return Ok(()),
            },
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    if act.amount.minor() > most.minor() {
        return Err(invalid("amount", format!("{} {what}", in_words(most))));
    }
    Ok(())
}

async fn unsettled(tx: &mut Transaction, meter: MeterId) -> Result<Option<CounterActId>> {
    store::unsettled_of_meter(tx.connection(), meter).await
}

/// Books what is asked for: as a reservation where a device has to be asked first, else at once.
async fn reserve(
    service: &Service,
    tx: &mut Transaction,
    act: StoredAct,
    why: &str,
) -> Result<Option<CounterActId>> {
    let id = act.act_id;
    if act.kind == ActKind::Reversal {
        // Contra rows are final, so they wait for the device's word.
        store::advance_in(tx, Step::new(service, id, why), ActEvent::Approved).await?;
        if act.of_act.is_some() {
            store::advance_in(tx, Step::new(service, id, ""), ActEvent::Booked).await?;
            return Ok(None);
        }
        return Ok(Some(id));
    }
    let at = service.clock().at();
    let (debit, credit) = accounts(&act);
    let (pending, reference) = (TransferId::new(service.clock().id()), act.act_id.uuid());
    let asked = Booking { debit, credit, amount: act.amount };
    let mut transfers = vec![asked.transfer(tx, pending, reference, at).await?];
    if let Some(sale) = act.sale_id {
        let gift = sale::stored(&mut *tx.connection(), sale).await?.deductions.gift;
        // Credit that was given free is not in the device either.
        if let Some(given) = Booking::of(&asked.debit, GIFT, gift) {
            let transfer_id = TransferId::new(service.clock().id());
            transfers.push(given.transfer(tx, transfer_id, reference, at).await?);
        }
    }
    polymeter_ledger::pending_linked(tx, &transfers).await?;
    store::keep_pending(tx.connection(), act.act_id, pending).await?;
    let step = Step::new(service, id, why);
    store::advance_in(tx, step, ActEvent::Approved).await?;
    if act.kind.takes_back() {
        return Ok(Some(id));
    }
    store::advance_in(tx, Step::new(service, id, ""), ActEvent::Booked).await?;
    Ok(None)
}

/// The second person agreed: the same checks again, since the world has gone on meanwhile.
pub(crate) async fn approved(
    service: &Service,
    tx: &mut Transaction,
    id: CounterActId,
) -> Result<Option<CounterActId>> {
    let act = store::record(&mut *tx.connection(), id).await?;
    if act.state != ActState::Waiting {
        return Err(super::out_of_order(&act, "approved"));
    }
    check_free(service, tx, &act).await?;
    reserve(service, tx, act, "a second person agreed").await
}

/// The second person did not agree, or not in time.
pub(crate) async fn withdrawn(
    tx: &mut Transaction,
    id: CounterActId,
    why: &str,
    at: UnixMs,
) -> Result<()> {
    let step = Step::at(id, why, at);
    store::advance_in(tx, step, ActEvent::Withdrawn).await?;
    Ok(())
}
