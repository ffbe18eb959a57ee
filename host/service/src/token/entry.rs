//! Tokens entered over a line (远程写码): a keypad meter that has a line as well takes its tokens there,
//! so that nobody has to type them.
//!
//! Invariants: the digits are out before anything is entered, and stay so: whoever holds them may type
//! them in. A device takes no token twice, so that trying again is always safe, and nothing here is ever
//! left to a person because nobody knows how it ended. Tokens of one meter go in the order of their issue,
//! since a key may change between two. No money moves. Not here: how a device is asked (driver).

use super::{TokenRecord, entry_store as rows, store};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::crash_point::crash_point;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, bad_column, chain, invalid};
use crate::limits::{
    ENTRY_ASKED_MS, ENTRY_AT_ONCE, ENTRY_EVERY, ENTRY_PAUSE_MOST_MS, ENTRY_PAUSE_MS,
};
use crate::meter::{self, MeterRecord};
use crate::reach::Reach;
use polymeter_domain::{MeterId, TokenOrderId};
use polymeter_ledger::Connection;
use polymeter_runtime::SetOutcome;
use polymeter_transport::Priority;
use std::collections::HashSet;
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// It is tried when it is due.
    Waiting,
    /// The meter may have heard of it.
    Asked,
    /// The meter has taken all of the order's tokens.
    Entered,
    Refused,
    /// Nobody enters it over the line.
    Withdrawn,
}

impl EntryState {
    const ALL: [EntryState; 5] = [
        EntryState::Waiting,
        EntryState::Asked,
        EntryState::Entered,
        EntryState::Refused,
        EntryState::Withdrawn,
    ];

    pub fn name(self) -> &'static str {
        match self {
            EntryState::Waiting => "waiting",
            EntryState::Asked => "asked",
            EntryState::Entered => "entered",
            EntryState::Refused => "refused",
            EntryState::Withdrawn => "withdrawn",
        }
    }

    pub(super) fn from_name(name: &str) -> Result<EntryState> {
        let found = EntryState::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| bad_column("state", name))
    }

    fn is_open(self) -> bool {
        matches!(self, EntryState::Waiting | EntryState::Asked)
    }
}

/// How far the tokens of one order have come on their way over the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEntry {
    pub state: EntryState,
    /// How many of them the meter has taken, from the first one on.
    pub taken: usize,
    pub tries: i64,
    /// Why it is not entered yet, or was refused; of one that is entered, what was noticed.
    pub detail: String,
    pub changed_at: UnixMs,
}

impl Service {
    /// The meter on a line that is the same device as this keypad meter, where there is one.
    pub async fn entered_through(&self, meter: MeterId) -> Result<Option<MeterId>> {
        rows::through(self.reader(), meter).await
    }

    /// From now on the meter's tokens are entered over the line of `other`; `None`: they are typed. What
    /// waited to be entered then waits no longer.
    pub async fn enter_through(
        &self,
        meter: MeterId,
        other: Option<MeterId>,
        actor: &Actor,
    ) -> Result<()> {
        let keypad = meter::record(self.reader(), meter).await?;
        super::check_mode(&keypad)?;
        let named = match other {
            Some(other) => Some(self.with_entry(other).await?),
            None => None,
        };
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    rows::lead(tx.connection(), meter, named.as_ref()).await?;
                    if named.is_none() {
                        rows::withdraw_waiting(tx.connection(), meter, at).await?;
                    }
                    let detail = match &named {
                        Some(named) => format!("meter {}", named.serial_number),
                        None => "nothing: they are typed".to_owned(),
                    };
                    let (object, act) = (format!("meter/{meter}"), "tokens-entered-through");
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }

    /// A meter on a line whose driver enters tokens.
    async fn with_entry(&self, meter: MeterId) -> Result<MeterRecord> {
        let other = meter::record(self.reader(), meter).await?;
        let driver = self.driver(&other.vendor)?;
        let no = |why: String| Err(invalid("through_meter_id", why));
        if !driver.abilities().entry {
            let (serial, name) = (&other.serial_number, driver.name());
            return no(format!("meter {serial} takes no tokens on its line: {name} enters none"));
        }
        if other.line.is_empty() {
            return no(format!("meter {} has no line", other.serial_number));
        }
        Ok(other)
    }

    /// Has an issued order entered over the line, at once or again.
    pub async fn enter_token(&self, id: TokenOrderId, actor: &Actor) -> Result<TokenRecord> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let it = store::record(&mut *tx.connection(), id).await?;
                    if it.digits.is_none() {
                        return Err(out_of_order(id, it.state.name(), "entered"));
                    }
                    if rows::through(&mut *tx.connection(), it.meter_id).await?.is_none() {
                        let why = "its meter has no line: name the meter on a line that is the same \
                                   device first";
                        let what = "the token".to_owned();
                        return Err(ServiceError::Blocked { what, why: why.to_owned() });
                    }
                    match rows::find(&mut *tx.connection(), id).await? {
                        Some(entry) if entry.state == EntryState::Entered => {
                            return Err(out_of_order(id, entry.state.name(), "entered"));
                        }
                        Some(_) => rows::reopen(tx.connection(), id, at).await?,
                        None => rows::make(tx.connection(), id, at).await?,
                    }
                    audit(tx.connection(), id, at, &actor, "token-entry-asked", "").await
                })
            })
            .await?;
        self.inner.entries.notify_one();
        self.token_order(id).await
    }

    /// Leaves the rest of an order to whoever types it.
    pub async fn withdraw_entry(&self, id: TokenOrderId, actor: &Actor) -> Result<TokenRecord> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let entry = rows::find(&mut *tx.connection(), id).await?;
                    match entry.map(|entry| entry.state) {
                        Some(EntryState::Waiting | EntryState::Refused) => {}
                        state => {
                            let state = state.map_or("not to be entered", EntryState::name);
                            return Err(out_of_order(id, state, "withdrawn"));
                        }
                    }
                    let ended = rows::Step { state: EntryState::Withdrawn, due: at, detail: "" };
                    rows::step(tx.connection(), id, ended, at).await?;
                    audit(tx.connection(), id, at, &actor, "token-entry-withdrawn", "").await
                })
            })
            .await?;
        self.token_order(id).await
    }

    /// What a crash left on its way is tried at once.
    pub(crate) async fn resume_entries(&self) -> Result<()> {
        let at = self.clock().at();
        self.database()
            .write(move |tx| Box::pin(async move { rows::let_go(tx.connection(), at).await }))
            .await?;
        self.inner.entries.notify_one();
        Ok(())
    }

    /// Enters what is due, meter beside meter, for as long as the program runs.
    pub async fn follow_entries(&self) {
        let mut at_work: JoinSet<MeterId> = JoinSet::new();
        let mut busy = HashSet::new();
        loop {
            match rows::due_meters(self.reader(), self.clock().at(), ENTRY_AT_ONCE).await {
                Ok(due) => {
                    for meter in due.into_iter().filter(|meter| busy.insert(*meter)) {
                        at_work.spawn(enter_all_of(self.clone(), meter));
                    }
                }
                Err(error) => tracing::error!(error = chain(&error), "no token was entered"),
            }
            tokio::select! {
                () = tokio::time::sleep(ENTRY_EVERY) => {}
                () = self.inner.entries.notified() => {}
                Some(done) = at_work.join_next() => match done {
                    Ok(meter) => drop(busy.remove(&meter)),
                    // Whoever panicked is not known; those that are at work are claimed by their rows.
                    Err(_) => busy.clear(),
                },
            }
        }
    }

    /// Tries one order; whether the next one of its meter may follow.
    async fn enter_order(&self, id: TokenOrderId, other: MeterId) -> Result<bool> {
        let it = store::record(self.reader(), id).await?;
        let digits = it.digits.ok_or_else(|| bad_column("digits", "none"))?;
        let Some(entry) = self.claim(id).await? else { return Ok(false) };
        crash_point("before-token-entry");
        let later = |why| Ended { taken: entry.taken, state: EntryState::Waiting, why };
        let ended = match self.reach(other, Kind::Change).await {
            Ok(reach) => self.enter_in_turn(&reach, digits.each(), &entry).await,
            Err(error) => later(chain(&error)),
        };
        crash_point("after-token-entry");
        let (goes_on, state) = (!ended.state.is_open(), ended.state.name());
        tracing::info!(token_order_id = %id, state, why = ended.why, "token entry");
        self.keep_entry(id, &entry, ended).await?;
        Ok(goes_on)
    }

    /// All tokens of an order under one lease, from the first that the meter has not taken.
    async fn enter_in_turn(&self, reach: &Reach, tokens: &[String], entry: &TokenEntry) -> Ended {
        let mut taken = entry.taken;
        let ended = |taken, state, why| Ended { taken, state, why };
        let mut lease = match reach.line_lease(Priority::Sale).await {
            Ok(lease) => lease,
            Err(error) => return ended(taken, EntryState::Waiting, chain(&error)),
        };
        let mut noticed = String::new();
        for token in tokens.iter().skip(entry.taken) {
            let (moment, driver) = (self.clock().moment(), &reach.pick.driver);
            let act = driver.enter_token(&mut lease, &reach.meter.device, moment, token);
            match self.change_device(&reach.pick, act).await {
                SetOutcome::Confirmed => {}
                SetOutcome::Refused(no) if no.is_taken_before() => {
                    noticed = "the meter had taken it before".to_owned();
                }
                SetOutcome::Refused(no) => {
                    let why = ServiceError::refused(driver, "entry", no).to_string();
                    return ended(taken, EntryState::Refused, why);
                }
                SetOutcome::NotSent(why) | SetOutcome::Unknown(why) => {
                    return ended(taken, EntryState::Waiting, why);
                }
            }
            taken = taken.saturating_add(1);
        }
        ended(taken, EntryState::Entered, noticed)
    }

    /// From here on the meter may hear of it. `None`: somebody else is at it, or it ended.
    async fn claim(&self, id: TokenOrderId) -> Result<Option<TokenEntry>> {
        let at = self.clock().at();
        let until = UnixMs(at.0.saturating_add(ENTRY_ASKED_MS));
        self.database()
            .write(move |tx| {
                Box::pin(async move { rows::claim(tx.connection(), id, at, until).await })
            })
            .await
    }

    async fn keep_entry(&self, id: TokenOrderId, entry: &TokenEntry, ended: Ended) -> Result<()> {
        let (at, tries) = (self.clock().at(), entry.tries);
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    rows::take(tx.connection(), id, ended.taken).await?;
                    let due = UnixMs(at.0.saturating_add(pause_ms(tries)));
                    let Ended { state, why, .. } = &ended;
                    let to = rows::Step { state: *state, due, detail: why };
                    rows::step(tx.connection(), id, to, at).await?;
                    let act = match state {
                        EntryState::Entered => "token-entered",
                        EntryState::Refused => "token-entry-refused",
                        _ => return Ok(()),
                    };
                    audit(tx.connection(), id, at, &Actor::System, act, why).await
                })
            })
            .await
    }
}

/// How one try ended.
struct Ended {
    taken: usize,
    state: EntryState,
    why: String,
}

/// Those of one meter in the order of their issue, until one has to wait.
async fn enter_all_of(service: Service, meter: MeterId) -> MeterId {
    let all = async {
        let Some(other) = rows::through(service.reader(), meter).await? else { return Ok(()) };
        for id in rows::open_of(service.reader(), meter).await? {
            if !service.enter_order(id, other).await? {
                break;
            }
        }
        Ok(())
    };
    if let Err(error) = all.await {
        let error: ServiceError = error;
        tracing::error!(meter_id = %meter, error = chain(&error), "a token was not entered");
    }
    meter
}

/// Twice as long after each try.
fn pause_ms(tries: i64) -> i64 {
    let doubled = u32::try_from(tries.saturating_sub(1)).unwrap_or(0).min(16);
    ENTRY_PAUSE_MS.saturating_mul(1_i64 << doubled).min(ENTRY_PAUSE_MOST_MS)
}

fn out_of_order(id: TokenOrderId, state: &'static str, event: &'static str) -> ServiceError {
    ServiceError::WrongState { what: "token order", id: id.to_string(), state, event }
}

async fn audit(
    connection: &mut Connection,
    id: TokenOrderId,
    at: UnixMs,
    actor: &Actor,
    act: &'static str,
    detail: &str,
) -> Result<()> {
    let object = format!("token-order/{id}");
    audit::record(connection, Act { at, actor, act, object, detail }).await
}
