//! What a card holds, whatever its bytes, and what a driver says of its cards.
//!
//! Invariant: a blank card has no state.

use polymeter_codec::gbcard::{Digits, Moment};
use polymeter_driver::Host;
use polymeter_driver::ending::Stop;

/// What a user card does in its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is no user card.
    None,
    /// Opens an account (开户卡).
    Open,
    /// Brings a purchase (购电卡).
    Buy,
    /// Takes the place of a lost card (补卡).
    Replace,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::None, Kind::Open, Kind::Buy, Kind::Replace];

    /// As our own layouts count them: 0 none, 1 opens, 2 buys, 3 replaces.
    pub fn code(self) -> u8 {
        match self {
            Kind::None => 0,
            Kind::Open => 1,
            Kind::Buy => 2,
            Kind::Replace => 3,
        }
    }

    /// The kind of a byte; none where there is no such.
    pub fn from_code(code: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// What a card that is not blank holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// As the contract counts purposes; never 0.
    pub purpose: u16,
    /// Empty where there is none.
    pub region: String,
    /// Twelve zeros on a maintenance card.
    pub customer: Digits,
    /// Twelve zeros: every device.
    pub device: Digits,
    /// The count of the purchase; 0 for none.
    pub count: u32,
    /// Of the purchase, in fen.
    pub amount: u32,
    /// What a user card does.
    pub kind: Kind,
    /// What a maintenance card carries, in the order of [`Cards::CARRIES`]; none leaves it.
    pub carried: Vec<Option<Carried>>,
}

/// What a device wrote onto a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtHome {
    /// The device.
    pub device: Digits,
    /// The customer that it has.
    pub customer: Digits,
    /// Its purchase count.
    pub count: u32,
    /// What its purse holds, in fen.
    pub balance: u32,
    /// What was used beyond it, in fen; none where the card does not say.
    pub overdrawn: Option<u32>,
    /// Bits: 01 the relay is open, 02 little credit is left, 04 overdrawn.
    pub status: u8,
    /// The last error that the device showed; 0 for none.
    pub error: u8,
    /// When, by its clock.
    pub at: Option<Moment>,
    /// Which version of its key the device was given by a card; 0 for that of its maker.
    pub key_version: u8,
}

/// Something that maintenance cards of one purpose carry to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carries {
    /// The parameter's.
    pub name: &'static str,
    /// Of the cards that carry it.
    pub purpose: u16,
    /// What it is.
    pub shape: Shape,
    /// Whether every such card carries it.
    pub needed: bool,
}

/// What is carried, and in what it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An amount: given in fen, shown in yuan.
    Money,
    /// Yuan per unit with up to four decimals; carried in 0.0001 yuan, at most 6.5534.
    Price,
    /// A whole number from 1 to this one.
    Whole(u16),
    /// A region.
    Region,
}

/// What a card carries of one [`Carries`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// Fen, 0.0001 yuan, or just a number.
    Number(u32),
    /// A region's.
    Letters(String),
}

impl Carried {
    /// The number; none where it is letters.
    pub fn number(&self) -> Option<u32> {
        match self {
            Carried::Number(number) => Some(*number),
            Carried::Letters(_) => None,
        }
    }
}

/// Whether a device wrote something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// Nothing.
    None,
    /// Something that is torn.
    Damaged,
    /// This.
    Written(BroughtHome),
}

/// One card in the slot.
pub trait Card {
    /// Its own number, as hexadecimal digits: the same before and after every act.
    fn serial(&self) -> String;
    /// The state that counts; none on a blank card.
    fn state(&self) -> Option<State>;
    /// What a device left on it.
    fn back(&self) -> Back;
    /// Whether what was read of it is under our keys. Presents nothing.
    ///
    /// # Errors
    /// Another's keys, or a state that was tampered with.
    fn prove(&mut self) -> Result<(), Stop>;
    /// Gets ready what the card shall become, as far as the vault has a part in it. Presents nothing.
    ///
    /// # Errors
    /// The vault's no.
    fn prepare(&mut self, _new: Option<&State>) -> Result<(), Stop> {
        Ok(())
    }
    /// Presents what must be presented before a card that was proved is written.
    ///
    /// # Errors
    /// What the card says.
    fn unlock(&mut self) -> Result<(), Stop>;
    /// Makes this state the one that counts, with no write-back where it is issued to somebody
    /// (`issued`); none makes the card blank. Until the last byte of it the state before counts.
    ///
    /// # Errors
    /// What the card or the vault says.
    fn put(&mut self, state: Option<&State>, issued: bool) -> Result<(), Stop>;
    /// Reads all of it again.
    ///
    /// # Errors
    /// What the card says, or that it is another one.
    fn look(&mut self) -> Result<(), Stop>;
    /// Whether a command that may have changed it was begun.
    fn has_changed(&self) -> bool;
}

/// One vendor's cards.
pub trait Cards {
    /// One of them.
    type Card<'a>: Card;
    /// The vendor code.
    const VENDOR: &'static str;
    /// How many ASCII letters a region has at most.
    const REGION_LETTERS: usize;
    /// The purposes of maintenance cards that are made.
    const MAINTENANCE: &'static [u16];
    /// What maintenance cards carry to a device.
    const CARRIES: &'static [Carries];
    /// Reads the card in the slot. None: it is none of this vendor's.
    ///
    /// # Errors
    /// What the card says, or what is wrong with one that is this vendor's.
    fn begin(host: &mut dyn Host) -> Result<Option<Self::Card<'_>>, Stop>;
}

/// The one of two slots that counts, and which it is: that whose sequence is ahead, FFFF being followed
/// by 0000.
///
/// ```
/// use polymeter_cards::newest;
///
/// let of = |slots| newest(slots, |sequence: &u16| *sequence);
/// assert_eq!(of([Some(7), Some(8)]), Some((8, 1)));
/// assert_eq!(of([Some(0), Some(0xFFFF)]), Some((0, 0)));
/// assert_eq!(of([None, Some(3)]), Some((3, 1)));
/// ```
pub fn newest<T>(slots: [Option<T>; 2], sequence: impl Fn(&T) -> u16) -> Option<(T, usize)> {
    match slots {
        [Some(first), Some(second)] => {
            let ahead = sequence(&second).wrapping_sub(sequence(&first));
            if (1..0x8000).contains(&ahead) { Some((second, 1)) } else { Some((first, 0)) }
        }
        [Some(first), None] => Some((first, 0)),
        [None, second] => second.map(|second| (second, 1)),
    }
}
