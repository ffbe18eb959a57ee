//! The file of parameters: whose card it is, what for, and what its device shall take over.
//!
//! Invariant: as in the module above. Not here: prices, which stand in files of their own.

use super::envelope::{AROUND_BYTES, Digits, Envelope, Fault, Moment, decimal, sealed};
use crate::bcd::BcdError;

/// Bytes of a user card's file: 39 of data.
pub const PARAMETERS_BYTES: usize = 45;
/// Bytes of a setting card's file, which ends behind the ratio of voltage: 26 of data.
pub const SETTING_BYTES: usize = 32;

/// Bits of [`Parameters::updates`].
pub mod updates {
    /// The prices of the set in use.
    pub const PRICES: u8 = 0x01;
    /// The prices of the set that follows.
    pub const PRICES_NEXT: u8 = 0x02;
    /// The ladder of the set in use.
    pub const LADDER: u8 = 0x04;
    /// The ladder of the set that follows.
    pub const LADDER_NEXT: u8 = 0x08;
    /// Alarms and ratios.
    pub const PARAMETERS: u8 = 0x80;
}

/// The commands by which a grid tells its cards apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Of a user card.
    pub user: u8,
    /// Of a setting card (预置卡).
    pub setting: u8,
}

impl Family {
    /// State Grid.
    pub const STATE_GRID: Family = Family { user: 0x01, setting: 0x06 };
    /// South Grid.
    pub const SOUTH_GRID: Family = Family { user: 0x03, setting: 0x02 };
}

/// What a user card does in its meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardType {
    /// Closes the relay again.
    Reclose,
    /// Opens an account (开户卡).
    Open,
    /// Brings a purchase (购电卡).
    Buy,
    /// Takes the place of a lost card (补卡).
    Replace,
}

impl CardType {
    /// The byte on the card.
    pub const fn code(self) -> u8 {
        match self {
            CardType::Reclose => 0,
            CardType::Open => 1,
            CardType::Buy => 2,
            CardType::Replace => 3,
        }
    }

    /// The type of a byte; none where there is no such.
    pub fn from_code(code: u8) -> Option<CardType> {
        [CardType::Reclose, CardType::Open, CardType::Buy, CardType::Replace]
            .into_iter()
            .find(|known| known.code() == code)
    }
}

/// Whose a user card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The meter it is for.
    pub meter: Digits,
    /// Its customer.
    pub customer: Digits,
    /// What it does there.
    pub kind: CardType,
}

/// The file of parameters.
///
/// ```
/// use polymeter_codec::gbcard::{CardType, Digits, Family, Holder, Parameters};
///
/// let holder = Holder {
///     meter: Digits::from_text("000000000001").unwrap(),
///     customer: Digits::from_text("000000000007").unwrap(),
///     kind: CardType::Open,
/// };
/// let parameters = Parameters { alarms: [1000, 500], ..Parameters::plain(Some(holder)) };
/// let file = parameters.build(Family::STATE_GRID).expect("alarms of eight digits");
/// assert_eq!(file.as_ref()[..5], [0x68, 0x01, 0x00, 0x27, 0x00]);
/// assert_eq!(Parameters::parse(file.as_ref(), Family::STATE_GRID), Ok(parameters));
/// assert!(Parameters::parse(file.as_ref(), Family::SOUTH_GRID).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// What the meter shall take over, bits of [`updates`].
    pub updates: u8,
    /// Four spare bytes at 6, as a number. A meter takes no notice of them.
    pub spare: u32,
    /// When the prices of the set that follows begin.
    pub prices_begin: Option<Moment>,
    /// Alarms 1 and 2, in 0.01 yuan.
    pub alarms: [u32; 2],
    /// Ratios of the transformers of current and voltage.
    pub ratios: [u32; 2],
    /// Whose it is; none on a setting card.
    pub holder: Option<Holder>,
}

/// A built file, of the length that its kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Built {
    /// A user card's.
    User([u8; PARAMETERS_BYTES]),
    /// A setting card's.
    Setting([u8; SETTING_BYTES]),
}

impl AsRef<[u8]> for Built {
    fn as_ref(&self) -> &[u8] {
        match self {
            Built::User(bytes) => bytes,
            Built::Setting(bytes) => bytes,
        }
    }
}

impl Parameters {
    /// A card that changes nothing but what it is for.
    pub fn plain(holder: Option<Holder>) -> Parameters {
        Parameters {
            updates: 0,
            spare: 0,
            prices_begin: None,
            alarms: [0; 2],
            ratios: [1; 2],
            holder,
        }
    }

    /// The file of a card of this family.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(bytes: &[u8], family: Family) -> Result<Parameters, Fault> {
        let envelope = Envelope::open(bytes)?;
        let user = envelope.command == family.user;
        let envelope = if user {
            envelope.expect(family.user, PARAMETERS_BYTES.saturating_sub(AROUND_BYTES))?
        } else {
            envelope.expect(family.setting, SETTING_BYTES.saturating_sub(AROUND_BYTES))?
        };
        let [updates] = envelope.field(5)?;
        let holder = if user {
            let [kind] = envelope.field(42)?;
            Some(Holder {
                meter: envelope.digits(30)?,
                customer: envelope.digits(36)?,
                kind: CardType::from_code(kind).ok_or(Fault::CardType(kind))?,
            })
        } else {
            None
        };
        Ok(Parameters {
            updates,
            spare: envelope.binary(6)?,
            prices_begin: envelope.moment(10)?,
            alarms: [envelope.decimal::<4>(16)?, envelope.decimal::<4>(20)?],
            ratios: [envelope.decimal::<3>(24)?, envelope.decimal::<3>(27)?],
            holder,
        })
    }

    /// The file as it stands on a card of this family.
    ///
    /// # Errors
    /// A number with more digits than its field.
    pub fn build(&self, family: Family) -> Result<Built, BcdError> {
        let [alarm1, alarm2] = self.alarms;
        let [current, voltage] = self.ratios;
        let begin = self.prices_begin.map_or(Ok([0; 5]), Moment::bytes)?;
        let (alarm1, alarm2) = (decimal::<4>(alarm1)?, decimal::<4>(alarm2)?);
        let (current, voltage) = (decimal::<3>(current)?, decimal::<3>(voltage)?);
        let head = [0, self.updates];
        let spare = self.spare.to_be_bytes();
        let shared: [&[u8]; 8] =
            [&head, &spare, &begin, &[0], &alarm1, &alarm2, &current, &voltage];
        let Some(holder) = self.holder else {
            return Ok(Built::Setting(sealed(family.setting, &shared)));
        };
        let [head, spare, begin, zero, alarm1, alarm2, current, voltage] = shared;
        let (meter, customer) = (holder.meter.bytes(), holder.customer.bytes());
        let parts = [
            head,
            spare,
            begin,
            zero,
            alarm1,
            alarm2,
            current,
            voltage,
            &meter,
            &customer,
            &[holder.kind.code()],
        ];
        Ok(Built::User(sealed(family.user, &parts)))
    }
}
