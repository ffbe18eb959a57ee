//! What the device says of credit that shall go back, and telling it to give credit back (退费) where its
//! driver can.
//!
//! Invariants: an act is stored as dispatched before the first byte that takes credit out; an attempt
//! whose end is unknown is followed by asking and never by telling again; nothing is taken out of a
//! device whose purchase count is not the one known here, since somebody else was there.

use super::store::{self, Step};
use super::{StoredAct, out_of_order};
use crate::Service;
use crate::account;
use crate::card::{CardVerdict, card_verdict};
use crate::crash_point::crash_point;
use crate::discrepancy::{self, Seen};
use crate::driver::Kind;
use crate::error::{Result, ServiceError, bad_column, chain};
use crate::reach::{Lease, Reach};
use crate::sale::{self, Claim, StoreAgain};
use polymeter_domain::{
    ActEvent, ActState, BillingMode, CounterActId, Credit, Evidence, Proof, Purchase, Quantity,
    Sale, SaleId, Taken, Taking,
};
use polymeter_transport::{CardLease, Priority};

impl Service {
    /// The sole right to carry an act on: that of its sale, so that nobody works on that meanwhile.
    pub(super) fn claim_act(&self, act: &StoredAct) -> Result<Claim> {
        let id = act.sale_id.unwrap_or(SaleId::new(act.act_id.uuid()));
        let claim = self.inner.under_way.claim(id);
        claim.ok_or_else(|| out_of_order(act, "changed while its device is being asked"))
    }

    /// Carries an act on as far as its device's word goes. Where the device does not answer the act
    /// stays as it was, and its history says why; that is no error here. Somebody who works on it
    /// already is left alone. A step that the database did not store is taken again once it is back.
    pub(crate) async fn ask_for_act(&self, id: CounterActId) -> Result<()> {
        let Ok(_claim) = self.claim_act(&store::record(self.reader(), id).await?) else {
            return Ok(());
        };
        let mut wait = StoreAgain::default();
        while let Err(error) = carry_on(self, id).await {
            wait.after(error).await?;
        }
        Ok(())
    }
}

async fn carry_on(service: &Service, id: CounterActId) -> Result<()> {
    let act = store::record(service.reader(), id).await?;
    match (act.state, act.taking) {
        (ActState::Dispatched | ActState::Unresolved, Some(taking)) => {
            prove_taking(service, &act, taking).await
        }
        (ActState::Reserved | ActState::Unresolved, _) => look(service, &act).await,
        _ => Ok(()),
    }
}

/// The line to an act's meter, asked for what it has of purchase `count`. `None`: it does not answer,
/// and the act's history says so.
async fn ask(
    service: &Service,
    act: &StoredAct,
    count: Option<Purchase>,
) -> Result<Option<(Reach, Lease, Evidence)>> {
    let meter_id = act.meter_id.ok_or_else(|| bad_column("meter_id", "none"))?;
    let count = count.map(|purchase| purchase.count);
    let asked = async {
        let reach = service.reach(meter_id, Kind::Change).await?;
        let mut lease = reach.lease(Priority::Sale).await?;
        let device = &reach.meter.device;
        let evidence = service.check_device(&reach.pick, device, &mut lease, count).await;
        service.keep_failure(&reach).await;
        Ok((reach, lease, evidence?))
    };
    match asked.await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if ServiceError::is_passing(&error) => Err(error),
        Err(error) => {
            tracing::warn!(act_id = %act.act_id, why = chain(&error), "the act waits");
            let step = Step::new(service, act.act_id, chain(&error));
            store::note_only(service, step).await.map(|()| None)
        }
    }
}

/// Asks whether the device holds what shall go back, and tells it to give it back where it does.
async fn look(service: &Service, act: &StoredAct) -> Result<()> {
    if let Some(meter_id) = act.meter_id
        && crate::meter::record(service.reader(), meter_id).await?.mode == BillingMode::Token
    {
        let why = "the token was handed out, and whoever has it can type it in at any time; look at \
                   the meter, then say what you found";
        let proof = ActEvent::Proved(Proof::Nothing(why.to_owned()));
        return settle(service, Step::new(service, act.act_id, why), proof).await;
    }
    let sold = sold(service, act).await?;
    let Some((reach, mut lease, evidence)) = ask(service, act, sold).await? else { return Ok(()) };
    crash_point("after-refund-ask");
    if let Lease::Card(card) = &mut lease {
        let may = may_take_off_card(service, &reach, card, sold).await?;
        let followed = follow(service, act, &reach, &mut lease, may).await;
        drop(lease);
        service.look_again(&reach).await;
        return followed;
    }
    let credit = match sold {
        Some(sold) => match Proof::of(sold, &evidence) {
            Proof::Held => sold.credit,
            Proof::Absent => {
                let detail = format!(
                    "the device stands at purchase {}: it does not have purchase {}",
                    evidence.count, sold.count
                );
                let step = Step::new(service, act.act_id, detail).at_count(evidence.count);
                return settle(service, step, ActEvent::Proved(Proof::Absent)).await;
            }
            Proof::Nothing(why) => return nothing_proved(service, act, sold, &evidence, why).await,
        },
        None => Credit { quantity: Quantity::Money, amount: act.amount.minor().unsigned_abs() },
    };
    let may = may_take(service, act, &reach, &evidence, credit).await?;
    follow(service, act, &reach, &mut lease, may).await
}

async fn follow(
    service: &Service,
    act: &StoredAct,
    reach: &Reach,
    lease: &mut Lease,
    may: May,
) -> Result<()> {
    match may {
        May::Take(taking) => take(service, act, reach, lease, taking).await,
        May::Not(proof, why) => {
            let step = Step::new(service, act.act_id, why);
            settle(service, step, ActEvent::Proved(proof)).await
        }
        May::Wait(why) => store::note_only(service, Step::new(service, act.act_id, why)).await,
    }
}

/// The purchase that the act's sale was; none where it takes an amount out of the meter.
async fn sold(service: &Service, act: &StoredAct) -> Result<Option<Purchase>> {
    let Some(sale_id) = act.sale_id else { return Ok(None) };
    let sale = sale::stored(service.reader(), sale_id).await?;
    let Sale::Confirmed(receipt) = sale.state else {
        return Err(bad_column("state", sale.state.name()));
    };
    Ok(Some(Purchase { count: receipt.count, credit: sale.credit }))
}

async fn nothing_proved(
    service: &Service,
    act: &StoredAct,
    asked: Purchase,
    evidence: &Evidence,
    why: String,
) -> Result<()> {
    if let Some(meter_id) = act.meter_id {
        let seen = Seen::unproved(meter_id, format!("counter-act/{}", act.act_id), asked, evidence);
        let inside = service.clone();
        service
            .database()
            .write(move |tx| {
                Box::pin(async move { discrepancy::see(&inside, tx.connection(), &seen).await })
            })
            .await?;
    }
    let step = Step::new(service, act.act_id, why.clone());
    settle(service, step, ActEvent::Proved(Proof::Nothing(why))).await
}

/// What to take, or what stands against it: the device keeps its credit, or nobody knows what it has.
enum May {
    Take(Taking),
    Not(Proof, String),
    /// The card that lies there has no say.
    Wait(String),
}

/// Off the card goes only the purchase that it has not brought to its meter, and off no other card than
/// the meter's own as the books know it.
async fn may_take_off_card(
    service: &Service,
    reach: &Reach,
    card: &mut CardLease,
    sold: Option<Purchase>,
) -> Result<May> {
    let held = |why: &str| Ok(May::Not(Proof::Held, why.to_owned()));
    let Some(sold) = sold else {
        return held(
            "a meter with a card gives nothing back: choose a sale that is still on the card",
        );
    };
    let driver = &reach.pick.driver;
    if driver.is_native() {
        return held("the credit was put on the card, and a vendor's library takes none back");
    }
    let moment = service.clock().moment();
    let contents = match driver.check_card(card, Some(&reach.meter.device), moment).await {
        Ok(contents) => contents,
        Err(error) => return Ok(May::Wait(chain(&error))),
    };
    match card_verdict(service, Some(&reach.meter), driver, &contents).await? {
        CardVerdict::Waiting if contents.purchase == Some(sold) => {
            Ok(May::Take(Taking::off_card(sold)))
        }
        CardVerdict::Waiting if contents.purchase == Some(Taking::off_card(sold).purchase) => {
            let why = format!("the card holds purchase {} without its credit", sold.count);
            Ok(May::Not(Proof::Absent, why))
        }
        CardVerdict::Waiting | CardVerdict::Sellable => {
            held("the meter has taken the purchase from the card")
        }
        other => Ok(May::Wait(other.sentence())),
    }
}

async fn may_take(
    service: &Service,
    act: &StoredAct,
    reach: &Reach,
    evidence: &Evidence,
    credit: Credit,
) -> Result<May> {
    if !reach.pick.driver.abilities().refund {
        let why = "the device holds the credit, and its driver takes none back".to_owned();
        return Ok(May::Not(Proof::Held, why));
    }
    let (known, stands) = (reach.meter.purchase_count, evidence.count);
    if known.is_some_and(|known| known != i64::from(stands.get())) {
        let by = format!("counter-act/{}", act.act_id);
        service.compare_counts(reach.meter.meter_id, known, evidence.clone(), by).await?;
        let known = known.unwrap_or_default();
        let why = format!("the device stands at purchase {stands}, and {known} is known of it");
        return Ok(May::Not(Proof::Nothing(why.clone()), why));
    }
    let in_words = |credit| sale::in_words(credit, service.currency());
    if let Some(taking) = Taking::of(credit, evidence) {
        return Ok(May::Take(taking));
    }
    let wanted = in_words(credit);
    let holds = evidence.balance.map_or("an amount that it does not tell".to_owned(), in_words);
    Ok(May::Not(Proof::Held, format!("{wanted} to take back, and the device holds {holds}")))
}

async fn take(
    service: &Service,
    act: &StoredAct,
    reach: &Reach,
    lease: &mut Lease,
    taking: Taking,
) -> Result<()> {
    let customer =
        account::number_in_device(service, reach.meter.meter_id, act.customer_id).await?;
    let count = taking.purchase.count;
    let detail = match taking.is_off_card() {
        true => format!("purchase {count} off the card"),
        false => format!("as purchase {count}"),
    };
    let step = Step::new(service, act.act_id, detail).taking(taking);
    settle(service, step, ActEvent::Dispatched).await?;
    crash_point("after-refund-dispatch");
    let device = &reach.meter.device;
    let delivery = service.take_from_device(reach, lease, &customer, taking).await;
    service.keep_failure(reach).await;
    crash_point("after-refund-taken");
    let taken = Taken::from(delivery);
    let is_known = !matches!(taken, Taken::Unknown(_));
    end_taking(service, act, taking, taken).await?;
    if is_known {
        return Ok(());
    }
    // Under the same lease: it is asked before anybody else speaks to it.
    let count = Some(taking.purchase.count);
    match service.check_device(&reach.pick, device, lease, count).await {
        Ok(evidence) => end_taking(service, act, taking, taking.proved(&evidence)).await,
        Err(error) => {
            let step = Step::new(service, act.act_id, chain(&error));
            store::note_only(service, step).await
        }
    }
}

/// After a crash, or asked for: the device's record decides whether it gave the credit back.
async fn prove_taking(service: &Service, act: &StoredAct, taking: Taking) -> Result<()> {
    let asked = ask(service, act, Some(taking.purchase)).await?;
    match asked {
        Some((_, _, evidence)) => end_taking(service, act, taking, taking.proved(&evidence)).await,
        None => Ok(()),
    }
}

async fn end_taking(
    service: &Service,
    act: &StoredAct,
    taking: Taking,
    taken: Taken,
) -> Result<()> {
    let detail = match &taken {
        Taken::Yes => {
            let credit = sale::in_words(taking.credit(), service.currency());
            let count = taking.purchase.count;
            match taking.is_off_card() {
                true => format!("the card gave {credit} of purchase {count} back"),
                false => format!("the device gave {credit} back as purchase {count}"),
            }
        }
        Taken::No(why) => format!("the device kept its credit: {why}"),
        Taken::NotSent(why) => format!("nothing was sent: {why}"),
        Taken::Unknown(why) => format!("outcome unknown: {why}"),
    };
    let step = Step::new(service, act.act_id, detail).at_count(taking.purchase.count);
    settle(service, step, ActEvent::Taken(taken)).await
}

async fn settle(service: &Service, step: Step, event: ActEvent) -> Result<()> {
    let id = step.act_id();
    let state = store::advance(service, step, event).await?;
    if state != ActState::Dispatched {
        crash_point("after-refund-settle");
    }
    tracing::info!(act_id = %id, state = state.name(), "counter act carried on");
    Ok(())
}
