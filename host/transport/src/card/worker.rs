//! The thread of one reader: it alone speaks to the slot, hears what happens there and whose turn
//! it is.
//!
//! Invariant: at most one lease has the card. A lease ends with its card or with the reader: what
//! it asks afterwards is answered so, and goes to no other card.
//! Not here: what is said (`conversation`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use polymeter_domain::CardKind;
use tokio::sync::{oneshot, watch};

use super::conversation::{Conversation, Memo};
use super::error::CardError;
use super::lease::CardLease;
use super::limits::{ATR_BYTES_MAX, BUSY_WAIT, LEASES_WAITING_MAX, LOST_FOR, UID_BYTES_MAX};
use super::profile::{CardCommands, ReaderProfile};
use super::slot::CardSlot;
use super::state::{InsertedCard, ReaderState};

/// What the thread is told and asked.
pub(super) enum Order {
    Inserted,
    Removed,
    Gone(String),
    /// The profile of the reader that the slot is from now on.
    Profile(Arc<ReaderProfile>),
    Lease(LeaseRequest),
    /// Of the lease with this number.
    Act(u64, Act),
    End(u64),
}

pub(super) type Act = Box<dyn FnOnce(Result<&mut Conversation<'_>, CardError>) + Send>;

pub(super) struct LeaseRequest {
    pub(super) reply: oneshot::Sender<Result<CardLease, CardError>>,
    /// For the lease, so that the thread itself does not keep the way to it open.
    pub(super) orders: mpsc::Sender<Order>,
}

pub(super) struct Worker {
    slot: Box<dyn CardSlot>,
    profile: Arc<ReaderProfile>,
    orders: mpsc::Receiver<Order>,
    state: watch::Sender<ReaderState>,
    waiting: VecDeque<LeaseRequest>,
    /// The lease that has the card, and what is remembered for it.
    lent: Option<(u64, Memo)>,
    leases: u64,
    /// How the card that lies there is spoken to.
    commands: Option<Arc<CardCommands>>,
    /// There should be a card and we have not got it, as when another program has: look again soon.
    again: bool,
    /// The lease that ended last, and why.
    ended: Option<(u64, CardError)>,
    /// What we were told last: that a card is there, or that none is.
    there: bool,
    /// When a card went in the middle of an exchange.
    lost: Option<Instant>,
}

impl Worker {
    pub(super) fn new(
        slot: Box<dyn CardSlot>,
        profile: Arc<ReaderProfile>,
        orders: mpsc::Receiver<Order>,
        state: watch::Sender<ReaderState>,
    ) -> Worker {
        let (waiting, lent, commands) = (VecDeque::new(), None, None);
        Worker {
            slot,
            profile,
            orders,
            state,
            waiting,
            lent,
            leases: 0,
            commands,
            again: false,
            ended: None,
            there: false,
            lost: None,
        }
    }

    /// Until nobody is left who could ask.
    pub(super) fn run(mut self) {
        loop {
            let order = if self.again {
                match self.orders.recv_timeout(BUSY_WAIT) {
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        self.identify();
                        continue;
                    }
                    other => other.map_err(|_| mpsc::RecvError),
                }
            } else {
                self.orders.recv()
            };
            let Ok(order) = order else { break };
            self.take(order);
            self.grant();
        }
        self.part(CardError::Gone);
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Inserted => {
                self.part(CardError::Gone);
                self.there = true;
                // One card in place of another: whoever looks must see that it is not the same.
                if !matches!(*self.state.borrow(), ReaderState::Gone(_)) {
                    self.show(None, ReaderState::Empty);
                }
                self.identify();
            }
            Order::Removed => {
                self.part(CardError::Gone);
                self.there = false;
                self.show(None, ReaderState::Empty);
                // Or it only lost contact: looked at again for a while.
                self.again = self.just_lost();
            }
            Order::Gone(reason) => {
                self.part(CardError::Reader(reason.clone()));
                self.show(None, ReaderState::Gone(reason));
            }
            Order::Profile(profile) => self.profile = profile,
            Order::Lease(request) => {
                if self.waiting.len() < LEASES_WAITING_MAX {
                    self.waiting.push_back(request);
                } else {
                    let what = format!("{LEASES_WAITING_MAX} others already wait for this reader");
                    let _ = request.reply.send(Err(CardError::Reader(what)));
                }
            }
            Order::Act(number, act) => self.act(number, act),
            Order::End(number) => {
                if self.lent.as_ref().is_some_and(|(lent, _)| *lent == number) {
                    self.part(CardError::Gone);
                }
            }
        }
    }

    fn act(&mut self, number: u64, act: Act) {
        let lent = self.lent.as_mut().filter(|(lent, _)| *lent == number);
        let Some((_, memo)) = lent else {
            let last = self.ended.as_ref().filter(|(ended, _)| *ended == number);
            return act(Err(last.map_or(CardError::Gone, |(_, why)| why.clone())));
        };
        act(Ok(&mut Conversation { slot: self.slot.as_mut(), memo }));
        if memo.gone {
            // Pulled, or reset by somebody: if it still lies there, it is a card like a new one.
            self.part(CardError::Gone);
            self.lost = Some(Instant::now());
            self.identify();
        }
    }

    fn just_lost(&self) -> bool {
        self.lost.is_some_and(|lost| lost.elapsed() < LOST_FOR)
    }

    /// Ends the lease that has the card, if there is one; what it asks from now on is answered so.
    fn part(&mut self, why: CardError) {
        if let Some((number, _)) = self.lent.take() {
            self.ended = Some((number, why));
            self.slot.end();
        }
    }

    fn show(&mut self, commands: Option<Arc<CardCommands>>, state: ReaderState) {
        self.commands = commands;
        self.again = false;
        self.state.send_if_modified(|old| {
            let other = *old != state;
            *old = state;
            other
        });
    }

    fn identify(&mut self) {
        match self.looked() {
            Ok((commands, state)) => {
                self.lost = None;
                self.show(commands, state);
            }
            Err(error) => self.failed(error),
        }
        self.slot.end();
    }

    fn failed(&mut self, error: CardError) {
        let (again, state) = match error {
            // We were told that one is there. Pulled and put back faster than the reader's driver
            // looks, it comes without a word.
            CardError::Gone => (self.there || self.just_lost(), ReaderState::Empty),
            CardError::Refused(_) => (false, ReaderState::Unknown { atr: Vec::new() }),
            // It may pass by itself, and nobody may tell us.
            other => (true, ReaderState::Gone(other.to_string())),
        };
        self.show(None, state);
        self.again = again;
    }

    /// Which kind of card lies there. Presents nothing and writes nothing.
    fn looked(&mut self) -> Result<(Option<Arc<CardCommands>>, ReaderState), CardError> {
        let atr = self.begun()?;
        let profile = Arc::clone(&self.profile);
        let mut known = profile.by_atr(&atr).cloned();
        if known.is_none() {
            for commands in profile.to_probe(&atr) {
                if self.probe(commands)? {
                    known = Some(Arc::clone(commands));
                    break;
                }
            }
        }
        let Some(commands) = known else { return Ok((None, ReaderState::Unknown { atr })) };
        let uid = self.uid(&commands)?;
        let card = InsertedCard { kind: commands.kind, atr, uid };
        Ok((Some(commands), ReaderState::Card(card)))
    }

    fn begun(&mut self) -> Result<Vec<u8>, CardError> {
        let mut atr = self.slot.begin()?;
        atr.truncate(ATR_BYTES_MAX);
        Ok(atr)
    }

    /// Whether the card takes being selected as this kind and lets two bytes be read.
    fn probe(&mut self, commands: &Arc<CardCommands>) -> Result<bool, CardError> {
        let mut memo = memo(commands);
        match select(&mut Conversation { slot: self.slot.as_mut(), memo: &mut memo }) {
            Ok(()) => {}
            Err(CardError::Refused(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        match (Conversation { slot: self.slot.as_mut(), memo: &mut memo }).read(0, 2) {
            Ok(_) => Ok(true),
            Err(CardError::Refused(_) | CardError::Unsupported(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn uid(&mut self, commands: &Arc<CardCommands>) -> Result<Vec<u8>, CardError> {
        let Some(command) = self.profile.uid().filter(|_| commands.contactless) else {
            return Ok(Vec::new());
        };
        let command = command.filled(0, 0, &[])?;
        let mut memo = memo(commands);
        let mut card = Conversation { slot: self.slot.as_mut(), memo: &mut memo };
        let (mut uid, status) = card.exchange(&command)?;
        if status != 0x9000 || uid.len() > UID_BYTES_MAX {
            uid.clear();
        }
        Ok(uid)
    }

    /// Gives the card to the next who waits, if it is free.
    fn grant(&mut self) {
        while self.lent.is_none() {
            let Some(request) = self.waiting.pop_front() else { return };
            // Whoever gave up waiting gets no card, and nobody's card is reset for them.
            if request.reply.is_closed() {
                continue;
            }
            let (reply, orders) = (request.reply, request.orders);
            match self.lend() {
                Ok((card, memo)) => {
                    self.leases += 1;
                    self.lent = Some((self.leases, memo));
                    let lease = CardLease::new(self.leases, card, orders);
                    // An error drops the lease, which sends its end.
                    let _ = reply.send(Ok(lease));
                }
                Err(error) => {
                    self.slot.end();
                    let _ = reply.send(Err(error));
                }
            }
        }
    }

    fn lend(&mut self) -> Result<(InsertedCard, Memo), CardError> {
        let mut card = self.wanted()?;
        if self.begun()? != card.atr {
            // Another card, and nobody has told us yet.
            self.slot.end();
            self.identify();
            card = self.wanted()?;
            if self.begun()? != card.atr {
                return Err(CardError::Gone);
            }
        }
        let commands = self.commands.clone().ok_or(CardError::Gone)?;
        // Whoever watched may have called it busy meanwhile.
        self.show(Some(Arc::clone(&commands)), ReaderState::Card(card.clone()));
        let mut memo = memo(&commands);
        select(&mut Conversation { slot: self.slot.as_mut(), memo: &mut memo })?;
        Ok((card, memo))
    }

    fn wanted(&self) -> Result<InsertedCard, CardError> {
        match &*self.state.borrow() {
            ReaderState::Card(card) => Ok(card.clone()),
            ReaderState::Empty => Err(CardError::Gone),
            ReaderState::Gone(reason) => Err(CardError::Reader(reason.clone())),
            unknown @ ReaderState::Unknown { .. } => {
                let kinds: Vec<&str> = CardKind::ALL.iter().map(|kind| kind.name()).collect();
                let what = format!("{unknown}: it is none of {}", kinds.join(", "));
                Err(CardError::Unsupported(what))
            }
        }
    }
}

fn memo(commands: &Arc<CardCommands>) -> Memo {
    Memo {
        commands: Arc::clone(commands),
        proved: HashSet::new(),
        keys: HashMap::new(),
        open: None,
        gone: false,
    }
}

fn select(card: &mut Conversation<'_>) -> Result<(), CardError> {
    let commands = Arc::clone(&card.memo.commands);
    let Some(command) = &commands.select else { return Ok(()) };
    let (_, status) = card.exchange(&command.filled(0, 0, &[])?)?;
    if status == 0x9000 {
        return Ok(());
    }
    let kind = commands.kind;
    Err(CardError::Refused(format!("the reader does not take it for a {kind}: {status:04X}")))
}
