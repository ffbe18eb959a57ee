//! Who speaks to a serial reader: looks again and again whether a card lies there, and does for the
//! reader's thread what it wants done with one.
//!
//! Invariant: between a beginning and its end nobody looks for cards; outside of that the field is off,
//! so that a card has no power and has forgotten what was proved to it. A reader that fails is told of
//! once, is looked for at each look, and is set up anew when it is back.
//! Not here: frames and what is repeated (`link`), what a lease is (`worker`).

use std::convert::Infallible;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::chip::{self, Command, Exchanged, Fault, TO_CARD_BYTES_MAX};
use super::frame::Order;
use super::link::{Link, Twice, Unanswered};
use super::pseudo::{Asked, asked};
use super::target::Target;
use crate::card::error::CardError;
use crate::card::limits::{FIELD_OFF_WAIT, PORT_LOOK_WAIT};
use crate::card::slot::SlotEvents;

/// What the slot wants.
pub(super) enum Ask {
    Begin(Reply),
    Transmit(Vec<u8>, Reply),
    End,
}

pub(super) type Reply = oneshot::Sender<Result<Vec<u8>, CardError>>;

pub(super) struct Desk {
    link: Link,
    events: SlotEvents,
    told: Told,
    /// The reader was set up since it was last away.
    is_ready: bool,
    is_field_on: bool,
    card: Option<Held>,
}

/// What was said of the reader last.
enum Told {
    Nothing,
    Empty,
    Card(Target),
    Gone(String),
}

/// The card that is spoken to. No `Debug`: it has keys.
struct Held {
    target: Target,
    /// The two places of a reader for keys (PC/SC part 3, 3.2.2.1.4).
    keys: [Option<[u8; 6]>; 2],
}

/// Why the reader did not do what every card and none allows.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<Trouble> for CardError {
    fn from(trouble: Trouble) -> CardError {
        match trouble {
            Trouble::Unanswered(why) => why.into(),
            Trouble::Fault(fault) => CardError::Reader(fault.to_string()),
        }
    }
}

impl Desk {
    pub(super) fn new(link: Link, events: SlotEvents) -> Desk {
        Desk { link, events, told: Told::Nothing, is_ready: false, is_field_on: false, card: None }
    }

    /// Until nobody wants the reader any more, which the end of `stop` says too.
    pub(super) async fn run(
        mut self,
        mut asks: mpsc::UnboundedReceiver<Ask>,
        mut stop: oneshot::Receiver<Infallible>,
    ) {
        let mut next_look = Instant::now();
        loop {
            let is_free = self.card.is_none();
            tokio::select! {
                biased;
                _ = &mut stop => break,
                ask = asks.recv() => match ask {
                    Some(ask) => self.serve(ask).await,
                    None => break,
                },
                () = sleep_until(next_look), if is_free => {
                    self.look().await;
                    next_look = Instant::now() + PORT_LOOK_WAIT;
                }
            }
        }
        self.end().await;
    }

    async fn serve(&mut self, ask: Ask) {
        // An error of a reply: the reader's thread has ended, and the card is left in peace soon.
        match ask {
            Ask::Begin(reply) => {
                let _ = reply.send(self.begin().await);
            }
            Ask::Transmit(command, reply) => {
                let _ = reply.send(self.transmit(&command).await);
            }
            Ask::End => self.end().await,
        }
    }

    /// Whether a card came or went, or the reader did.
    async fn look(&mut self) {
        let seen = match self.selected().await {
            Ok(seen) => self.dark().await.map(|()| seen),
            Err(trouble) => Err(trouble),
        };
        match seen {
            Err(trouble) => self.gone(&trouble),
            Ok(None) => {
                if !matches!(self.told, Told::Empty) {
                    self.told = Told::Empty;
                    self.events.removed();
                }
            }
            Ok(Some(target)) => {
                let is_known = matches!(&self.told, Told::Card(known) if known.may_be(&target));
                if !is_known {
                    self.told = Told::Card(target);
                    self.events.inserted();
                }
            }
        }
    }

    fn gone(&mut self, trouble: &Trouble) {
        (self.is_ready, self.is_field_on, self.card) = (false, false, None);
        let why = trouble.to_string();
        if !matches!(&self.told, Told::Gone(told) if *told == why) {
            self.events.gone(why.clone());
            self.told = Told::Gone(why);
        }
    }

    async fn begin(&mut self) -> Result<Vec<u8>, CardError> {
        if let Told::Gone(why) = &self.told {
            return Err(CardError::Reader(why.clone()));
        }
        self.end().await;
        let found = match self.selected().await {
            Ok(found) => found,
            Err(trouble) => {
                self.gone(&trouble);
                return Err(trouble.into());
            }
        };
        // Another card than the one that was told of is nobody's until it is told of.
        let told = match (&self.told, found) {
            (Told::Card(known), Some(target)) if known.may_be(&target) => Some(target),
            _ => None,
        };
        let Some(target) = told else {
            self.end().await;
            return Err(CardError::Gone);
        };
        let atr = target.atr();
        self.card = Some(Held { target, keys: [None; 2] });
        Ok(atr)
    }

    async fn end(&mut self) {
        self.card = None;
        if self.is_field_on
            && let Err(trouble) = self.dark().await
        {
            self.gone(&trouble);
        }
    }

    async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let held = self.card.as_mut().ok_or(CardError::Gone)?;
        if command.first() != Some(&0xFF) {
            return self.processor(command).await;
        }
        match asked(command) {
            Asked::Uid => Ok([held.target.uid(), &DONE].concat()),
            Asked::LoadKey { place, key } => match held.keys.get_mut(usize::from(place)) {
                Some(at) => {
                    *at = Some(key);
                    Ok(DONE.to_vec())
                }
                None => Ok(NOT_DONE.to_vec()),
            },
            Asked::Open { block, kind, place } => {
                let Some(key) = held.keys.get(usize::from(place)).copied().flatten() else {
                    return Ok(NOT_DONE.to_vec());
                };
                let proof = [&[kind, block][..], &key, &held.target.proving_uid()].concat();
                self.mifare(&proof, Twice::Harmless).await
            }
            Asked::Read { block } => self.mifare(&[0x30, block], Twice::Harmless).await,
            Asked::Write { block, data } => {
                self.mifare(&[&[0xA0, block][..], &data].concat(), Twice::Never).await
            }
            Asked::Unknown => Ok(UNKNOWN.to_vec()),
        }
    }

    /// A command of a processor card's own. Each may change it, as far as anybody here knows.
    async fn processor(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        if !self.card.as_ref().is_some_and(|held| held.target.is_processor()) {
            let what = "this card knows no commands of its own".to_owned();
            return Err(CardError::Unsupported(what));
        }
        if command.len() > TO_CARD_BYTES_MAX {
            let (is, most) = (command.len(), TO_CARD_BYTES_MAX);
            let what = format!("a command of {is} bytes; this reader hands a card {most} at most");
            return Err(CardError::Unsupported(what));
        }
        match self.exchange(command, Twice::Never).await? {
            Exchanged::Data(answer) => Ok(answer),
            // Pulled, or lost on the way: selected again it would be another conversation.
            Exchanged::Failed(_) => {
                self.end().await;
                Err(CardError::Gone)
            }
        }
    }

    /// A command of a Mifare Classic (NXP MF1S50YYX, table 9), by which a card that says no goes silent
    /// until it is selected again.
    async fn mifare(&mut self, command: &[u8], twice: Twice) -> Result<Vec<u8>, CardError> {
        if let Exchanged::Data(data) = self.exchange(command, twice).await? {
            return Ok([&data[..], &DONE].concat());
        }
        let before = self.card.take().ok_or(CardError::Gone)?;
        self.end().await;
        match self.selected().await {
            Ok(Some(target)) if before.target.may_be(&target) => {
                self.card = Some(Held { target, keys: before.keys });
                Ok(NOT_DONE.to_vec())
            }
            Ok(_) => {
                self.end().await;
                Err(CardError::Gone)
            }
            Err(trouble) => {
                self.gone(&trouble);
                Err(trouble.into())
            }
        }
    }

    async fn exchange(&mut self, data: &[u8], twice: Twice) -> Result<Exchanged, CardError> {
        let order = Command::Exchange(data).apdu();
        match self.link.ask(Order::Exchange, &order, twice).await {
            Ok(answer) => Ok(chip::exchanged(&answer).map_err(Trouble::from)?),
            Err(why) => {
                let (is_the_end, trouble) = (why.is_the_end(), Trouble::from(why));
                if is_the_end {
                    self.gone(&trouble);
                }
                Err(trouble.into())
            }
        }
    }

    /// The card that lies there, under power and selected, if one does.
    async fn selected(&mut self) -> Result<Option<Target>, Trouble> {
        if !self.is_ready {
            // Also what opens the way to the contactless chip (4.0, page 8). A reader without a module
            // in its slot answers this too, and has nothing to tell.
            self.link.ask(Order::PowerOn, &[], Twice::Harmless).await?;
            self.chip(Command::LookBriefly).await?;
            // Whoever had the reader before may have left a card under power.
            self.dark().await?;
            self.is_ready = true;
        }
        self.is_field_on = true;
        self.chip(Command::Field { on: true }).await?;
        let order = Command::List.apdu();
        Ok(chip::listed(&self.link.ask(Order::Exchange, &order, Twice::Harmless).await?)?)
    }

    /// Takes the power from whatever lies there, for long enough that it notices.
    async fn dark(&mut self) -> Result<(), Trouble> {
        self.chip(Command::Field { on: false }).await?;
        self.is_field_on = false;
        sleep(FIELD_OFF_WAIT).await;
        Ok(())
    }

    async fn chip(&mut self, command: Command<'_>) -> Result<(), Trouble> {
        let answer = self.link.ask(Order::Exchange, &command.apdu(), Twice::Harmless).await?;
        Ok(chip::done(command, &answer)?)
    }
}

const DONE: [u8; 2] = [0x90, 0x00];
/// What readers say of whatever a contactless card did not do (PC/SC part 3, 3.2.2.1).
const NOT_DONE: [u8; 2] = [0x63, 0x00];
const UNKNOWN: [u8; 2] = [0x6D, 0x00];
