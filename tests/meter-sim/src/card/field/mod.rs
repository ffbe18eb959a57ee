//! Card meters: devices without a line, which learn all by cards that people put into them. What they
//! have in common is here, money and stages; which cards they take is each maker's.
//!
//! Invariant: money comes into a device by a card whose count is the next one, and by nothing else.
//!
//! Deliberately not here: tariffs; a device charges what [`Purse::use_up`] says.

pub mod acme;
pub mod luna;
pub mod rdk;
pub mod sg;

use jiff::civil::DateTime;

use super::Card;
use crate::dlt645::frame::{bcd, reversed};
use crate::load::later;

/// How far a device is on its way to a customer (M270 to M274).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From the maker: it supplies without money until a reset card ends that.
    Trial,
    Reset,
    /// Empty; this alone can be opened.
    Cleared,
    Opened,
}

/// What the display says after a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The purchase was taken.
    Credited {
        amount_fen: u32,
    },
    /// A customer's card with nothing new on it.
    Known,
    /// Parameters were taken.
    Set,
    /// A check card was filled.
    Checked,
    /// Prices were taken.
    Priced,
    /// It belongs to another region now.
    Moved,
    /// All segments of the display are lit, and the relay moved and is as it was.
    Tested,
    /// It has another key now.
    KeyChanged,
    Cleared,
    /// A reset card did its work.
    End,
    Error(CardError),
}

/// Why a card was refused (protocols.md 9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CardError {
    LowVoltage = 1,
    SecurityModule = 2,
    /// The card does not answer a reset.
    NoAnswer = 3,
    Authentication = 4,
    Type = 5,
    KeyState = 6,
    Mac = 7,
    Device = 11,
    Customer = 12,
    Serial = 13,
    Format = 14,
    /// The device has no customer.
    NotOpened = 15,
    /// It has one, or was not cleared.
    NotCleared = 16,
    Count = 17,
    WrittenBackAlready = 18,
    Communication = 19,
    PulledEarly = 20,
    Hoarding = 21,
    /// A card of another region. A maker's own: protocols.md has none for it.
    Region = 22,
}

impl CardError {
    /// The number after "Err" on a State Grid display. The sources say 31 to 36 and not which is for
    /// which: chosen is what the names say.
    pub fn displayed(self) -> u8 {
        match self {
            CardError::LowVoltage | CardError::SecurityModule => 31,
            CardError::Device => 33,
            CardError::Customer => 34,
            CardError::Count | CardError::WrittenBackAlready => 35,
            CardError::Hoarding => 36,
            _ => 32,
        }
    }
}

/// What a test or an environment does to a device so that it takes no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    LowVoltage,
    SecurityModule,
}

/// The life that all card meters have: stage, customer, money, relay, clock.
#[derive(Debug, Clone)]
pub struct Purse {
    pub stage: Stage,
    /// BCD; none without a customer.
    pub customer: Option<[u8; 6]>,
    /// Of the card that the customer has.
    pub card: Option<[u8; 8]>,
    pub count: u32,
    /// Below zero: overdrawn.
    pub money_fen: i64,
    pub overdraft_limit_fen: u32,
    /// The most that it may hold.
    pub hoarding_limit_fen: u32,
    pub alarm_fen: u32,
    /// All credit that ever came by card, and how often; clearing does not touch it.
    pub credited_fen: u64,
    pub credits: u64,
    pub clock: DateTime,
    pub wrong_cards: u32,
    pub last_error: Option<CardError>,
    pub trouble: Option<Trouble>,
}

impl Purse {
    fn new() -> Self {
        Self {
            stage: Stage::Trial,
            customer: None,
            card: None,
            count: 0,
            money_fen: 0,
            overdraft_limit_fen: 0,
            hoarding_limit_fen: 99_999_999,
            alarm_fen: 0,
            credited_fen: 0,
            credits: 0,
            clock: jiff::civil::date(2026, 1, 1).at(0, 0, 0, 0),
            wrong_cards: 0,
            last_error: None,
            trouble: None,
        }
    }

    /// The customer uses what costs this much. Before it is opened nothing is charged.
    pub fn use_up(&mut self, fen: u32) {
        if self.stage == Stage::Opened && self.is_closed() {
            self.money_fen -= i64::from(fen);
        }
    }

    pub fn advance(&mut self, seconds: u32) {
        self.clock = later(self.clock, seconds);
    }

    /// Whether the relay lets the customer have power: down to the end of the overdraft.
    pub fn is_closed(&self) -> bool {
        match self.stage {
            Stage::Trial => true,
            Stage::Reset | Stage::Cleared => false,
            Stage::Opened => {
                let limit = i64::from(self.overdraft_limit_fen);
                self.money_fen > -limit
            }
        }
    }

    pub fn is_low(&self) -> bool {
        self.money_fen <= i64::from(self.alarm_fen)
    }

    pub fn balance_fen(&self) -> u32 {
        u32::try_from(self.money_fen.max(0)).unwrap_or(u32::MAX)
    }

    pub fn overdrawn_fen(&self) -> u32 {
        u32::try_from((-self.money_fen).max(0)).unwrap_or(u32::MAX)
    }

    /// YY MM DD hh mm, BCD.
    pub fn time(&self) -> [u8; 5] {
        let parts = [self.clock.month(), self.clock.day(), self.clock.hour(), self.clock.minute()];
        let year = i64::from(self.clock.year()) % 100;
        let mut number = u64::try_from(year).unwrap_or(0);
        for part in parts {
            number = number * 100 + u64::try_from(part).unwrap_or(0);
        }
        let mut field = [0; 5];
        field.copy_from_slice(&bcd(number, 5));
        reversed(field)
    }

    fn healthy(&self) -> Result<(), CardError> {
        match self.trouble {
            None => Ok(()),
            Some(Trouble::LowVoltage) => Err(CardError::LowVoltage),
            Some(Trouble::SecurityModule) => Err(CardError::SecurityModule),
        }
    }

    /// Whether a purchase fits in.
    fn fits(&self, amount_fen: u32) -> Result<(), CardError> {
        let sum = self.money_fen + i64::from(amount_fen);
        let fits = sum <= i64::from(self.hoarding_limit_fen);
        fits.then_some(()).ok_or(CardError::Hoarding)
    }

    /// Takes a purchase, whose count it then has.
    fn credit(&mut self, amount_fen: u32, count: u32) {
        self.count = count;
        if amount_fen > 0 {
            self.money_fen += i64::from(amount_fen);
            self.credited_fen += u64::from(amount_fen);
            self.credits += 1;
        }
    }

    /// Forgets customer, count and money, and what happened; limits stay.
    fn clear(&mut self) {
        (self.customer, self.card, self.count, self.money_fen) = (None, None, 0, 0);
        (self.wrong_cards, self.last_error, self.stage) = (0, None, Stage::Cleared);
    }

    fn shown(&mut self, result: Result<Shown, CardError>) -> Shown {
        match result {
            Ok(shown) => shown,
            Err(error) => {
                self.last_error = Some(error);
                if (CardError::Authentication as u8..=CardError::Format as u8)
                    .contains(&(error as u8))
                {
                    self.wrong_cards += 1;
                }
                Shown::Error(error)
            }
        }
    }
}

/// What comes back before 9000.
fn ask(card: &Card, command: &[u8]) -> Result<Vec<u8>, CardError> {
    let mut answer = card.transmit(command).map_err(|_| CardError::PulledEarly)?;
    let status = answer.split_off(answer.len().saturating_sub(2));
    if status == [0x90, 0x00] { Ok(answer) } else { Err(CardError::Communication) }
}
