//! Acts at the counter that move money and are no sale: refund (退电) and reversal (冲正) of a sale, taking
//! and returning a deposit (押金), arrears (欠费) brought in and paid, write-off (核销).
//!
//! Invariants: money of a sale goes back only where the device's own record proves that it does not
//! hold the credit (because it never did, or has given it back), or a person decides so with a reason;
//! a sale, or an act, is taken back once; an act above the site's limit waits for a second person.
//! `domain::ActState` alone says which state may follow. Not here: clearing a meter at the end of an
//! account.

mod device;
mod effect;
mod make;
mod store;

pub(crate) use make::{approved, withdrawn};
pub(crate) use store::unsettled_of_meter;

use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::customer::typed_not_empty;
use crate::error::{Result, ServiceError};
use crate::limits::MAX_REASON_CHARS;
use crate::page::Page;
use crate::sale::LedgerEntry;
use crate::shift::Run;
use crate::{Service, to_the_end};
use polymeter_domain::tariff::Date;
use polymeter_domain::{ActEvent, ActState, Channel, CounterActId, CustomerId, MeterId, Money};
use polymeter_domain::{Currency, SaleId};
use store::{Step, StoredAct};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActKind {
    /// Gives the money of a sale back, or an amount out of a meter's purse, on whatever day.
    Refund,
    /// Takes a wrong sale or act back by contra rows, on its own day and by its own channel.
    Reversal,
    Deposit,
    DepositRefund,
    /// Old debts written down.
    Arrears,
    ArrearsPayment,
    WriteOff,
}

impl ActKind {
    pub const ALL: [ActKind; 7] = [
        ActKind::Refund,
        ActKind::Reversal,
        ActKind::Deposit,
        ActKind::DepositRefund,
        ActKind::Arrears,
        ActKind::ArrearsPayment,
        ActKind::WriteOff,
    ];

    /// As it is stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            ActKind::Refund => "refund",
            ActKind::Reversal => "reversal",
            ActKind::Deposit => "deposit",
            ActKind::DepositRefund => "deposit-refund",
            ActKind::Arrears => "arrears",
            ActKind::ArrearsPayment => "arrears-payment",
            ActKind::WriteOff => "write-off",
        }
    }

    pub fn from_name(name: &str) -> Option<ActKind> {
        ActKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it takes something back.
    pub fn takes_back(self) -> bool {
        matches!(self, ActKind::Refund | ActKind::Reversal)
    }

    /// Whether money goes over the counter.
    pub fn has_channel(self) -> bool {
        !matches!(self, ActKind::Arrears | ActKind::WriteOff)
    }
}

/// What an act is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Sale(SaleId),
    /// An amount out of the purse in the meter.
    Meter(MeterId, Money),
    /// Another act, which a reversal takes back.
    Act(CounterActId),
    Customer(CustomerId, Money),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRequest {
    pub kind: ActKind,
    pub subject: Subject,
    /// Of a reversal it is the sale's; of what moves no money over the counter there is none.
    pub channel: Option<Channel>,
    pub reason: String,
}

/// One act as it stands. `history` is every state it has been in, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterAct {
    pub act_id: CounterActId,
    pub kind: ActKind,
    pub sale_id: Option<SaleId>,
    pub meter_id: Option<MeterId>,
    /// The act that this one takes back.
    pub of_act_id: Option<CounterActId>,
    pub customer_id: CustomerId,
    pub channel: Option<Channel>,
    pub amount: Money,
    pub reason: String,
    pub operator: Actor,
    pub day: Date,
    pub state: ActState,
    pub receipt: Option<u64>,
    pub created_at: UnixMs,
    pub settled_at: Option<UnixMs>,
    pub history: Vec<ActNote>,
    pub entries: Vec<LedgerEntry>,
}

/// A state reached, or a try that left the state as it was and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActNote {
    pub at: UnixMs,
    pub state: ActState,
    pub detail: String,
}

/// What an act would book, before anything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActPreview {
    pub kind: ActKind,
    pub customer_id: CustomerId,
    pub channel: Option<Channel>,
    pub amount: Money,
    /// By the accounts' names.
    pub debit: String,
    pub credit: String,
    pub needs_second_person: bool,
}

impl Service {
    /// Makes an act under the client's id and carries it as far as it goes: to a second person, to what
    /// the device's record says, or to its end. Idempotent by id.
    pub async fn put_act(
        &self,
        id: CounterActId,
        request: ActRequest,
        actor: &Actor,
    ) -> Result<CounterAct> {
        let reason = typed_not_empty("reason", &request.reason, MAX_REASON_CHARS)?;
        let request = ActRequest { reason, ..request };
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            crate::crash_point::crash_point("before-refund-reserve");
            let follow = make::make(&service, id, request, actor, Run::Real).await?.follow;
            crate::crash_point::crash_point("after-refund-reserve");
            if let Some(act) = follow {
                service.ask_for_act(act).await?;
            }
            service.act(id).await
        })
        .await
    }

    /// The same checks and amounts; nothing is stored.
    pub async fn preview_act(&self, request: ActRequest, actor: &Actor) -> Result<ActPreview> {
        let reason = typed_not_empty("reason", &request.reason, MAX_REASON_CHARS)?;
        let request = ActRequest { reason, ..request };
        let id = CounterActId::new(self.clock().id());
        Ok(make::make(self, id, request, actor.clone(), Run::Dry).await?.preview)
    }

    pub async fn act(&self, id: CounterActId) -> Result<CounterAct> {
        self.whole_act(store::record(self.reader(), id).await?).await
    }

    /// Newest first; of one customer, or of all.
    pub async fn acts(&self, customer: Option<CustomerId>, page: &Page) -> Result<Vec<CounterAct>> {
        let acts = store::list(self.reader(), customer, &page.bound()?).await?;
        self.whole_acts(acts).await
    }

    /// What still needs somebody, oldest first.
    pub async fn unsettled_acts(&self) -> Result<Vec<CounterAct>> {
        let acts = store::unsettled(self.reader()).await?;
        self.whole_acts(acts).await
    }

    /// The act that takes a sale back, or that asks to.
    pub async fn act_of_sale(&self, sale: SaleId) -> Result<Option<CounterAct>> {
        self.act_taking_back(sale.uuid()).await
    }

    /// The same of another act.
    pub async fn act_of_act(&self, act: CounterActId) -> Result<Option<CounterAct>> {
        self.act_taking_back(act.uuid()).await
    }

    async fn act_taking_back(&self, sale_or_act: uuid::Uuid) -> Result<Option<CounterAct>> {
        match store::taking_back(self.reader(), sale_or_act).await? {
            Some(act) => Ok(Some(self.whole_act(act).await?)),
            None => Ok(None),
        }
    }

    /// Asks the device once more about an act that is reserved or unresolved.
    pub async fn prove_act(&self, id: CounterActId, actor: &Actor) -> Result<CounterAct> {
        let act = store::record(self.reader(), id).await?;
        let may = [ActState::Reserved, ActState::Dispatched, ActState::Unresolved];
        if !may.contains(&act.state) {
            return Err(out_of_order(&act, "proved"));
        }
        let step = Step::new(self, id, "asked once more").audited(actor, "counter-act-proof-asked");
        store::note_only(self, step).await?;
        let service = self.clone();
        to_the_end(async move {
            service.ask_for_act(id).await?;
            service.act(id).await
        })
        .await
    }

    /// Takes back an act that waits, or that is reserved while its device is silent.
    pub async fn withdraw_act(&self, id: CounterActId, actor: &Actor) -> Result<CounterAct> {
        let act = store::record(self.reader(), id).await?;
        let _claim = self.claim_act(&act)?;
        let step = Step::new(self, id, "taken back").audited(actor, "counter-act-withdrawn");
        store::advance(self, step, ActEvent::Withdrawn).await?;
        self.act(id).await
    }

    /// A person says whether the device of an unresolved act holds the credit; who and why is kept.
    pub async fn decide_act(
        &self,
        id: CounterActId,
        is_held: bool,
        reason: &str,
        actor: &Actor,
    ) -> Result<CounterAct> {
        let reason = typed_not_empty("reason", reason, MAX_REASON_CHARS)?;
        let act = store::record(self.reader(), id).await?;
        let _claim = self.claim_act(&act)?;
        let found = if is_held { "decided as held" } else { "decided as not in the device" };
        let step = Step::new(self, id, format!("{found}: {reason}"));
        let step = step.audited(actor, "counter-act-decided");
        let step = match act.taking {
            Some(taking) if !is_held => step.at_count(taking.purchase.count),
            _ => step,
        };
        store::advance(self, step, ActEvent::Decided { is_held }).await?;
        self.act(id).await
    }

    /// Asks the devices of acts that a crash left reserved, and ends what nobody approved in time.
    pub(crate) async fn resume_acts(&self) -> Result<()> {
        let at = self.clock().at();
        self.database()
            .write(move |tx| Box::pin(async move { crate::approval::expire_due(tx, at).await }))
            .await?;
        for act in store::unsettled(self.reader()).await? {
            if matches!(act.state, ActState::Reserved | ActState::Dispatched) {
                self.ask_for_act(act.act_id).await?;
            }
        }
        Ok(())
    }

    async fn whole_acts(&self, acts: Vec<StoredAct>) -> Result<Vec<CounterAct>> {
        let mut whole = Vec::with_capacity(acts.len());
        for act in acts {
            whole.push(self.whole_act(act).await?);
        }
        Ok(whole)
    }

    async fn whole_act(&self, act: StoredAct) -> Result<CounterAct> {
        let history = store::history(self.reader(), act.act_id).await?;
        let entries = self.database().entries(act.act_id.uuid()).await?;
        let receipt = match act.state {
            ActState::Confirmed => self.receipt_of(act.act_id.uuid()).await?,
            _ => None,
        };
        Ok(CounterAct {
            act_id: act.act_id,
            kind: act.kind,
            sale_id: act.sale_id,
            meter_id: act.meter_id,
            of_act_id: act.of_act,
            customer_id: act.customer_id,
            channel: act.channel,
            amount: act.amount,
            reason: act.reason,
            operator: act.operator,
            day: act.day,
            state: act.state,
            receipt: receipt.map(|receipt| receipt.number),
            created_at: act.created_at,
            settled_at: act.settled_at,
            history,
            entries: entries.into_iter().map(LedgerEntry::from).collect(),
        })
    }
}

fn out_of_order(act: &StoredAct, event: &'static str) -> ServiceError {
    let (what, state) = (act.kind.name(), act.state.name());
    ServiceError::WrongState { what, id: act.act_id.to_string(), state, event }
}

/// "50.00 CNY".
fn in_words(amount: Money) -> String {
    let currency: Currency = amount.currency();
    format!("{amount} {}", currency.code())
}
