//! How a decoder key comes of a vending key, and how it goes into a meter: the records that are
//! encrypted or hashed (IEC 62055-41, 6.5.3), and the sections of key change tokens (6.2.7).
//!
//! Not here: DES and HMAC-SHA-256 themselves, and any vending key: they belong to whoever keeps it.

use super::{BaseDate, KeySection};
use core::fmt;

/// Bytes that DKGA04 hashes.
pub const DKGA04_BYTES: usize = 49;

/// The meter's primary account number (6.1.2): six digits of the issuer, eleven of the meter, a
/// check digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pan([u8; 18]);

impl Pan {
    /// `None` but for eighteen digits of which the last is the check digit of the others
    /// (ISO/IEC 7812-1, Luhn).
    ///
    /// ```
    /// use polymeter_codec::sts::decoder_key::Pan;
    ///
    /// assert!(Pan::from_digits("600727000000000009").is_some());
    /// assert!(Pan::from_digits("600727000000000008").is_none());
    /// ```
    pub fn from_digits(text: &str) -> Option<Pan> {
        let digits: [u8; 18] = text.as_bytes().try_into().ok()?;
        let sum = digits.iter().rev().enumerate().try_fold(0_u32, |sum, (nth, digit)| {
            let digit = char::from(*digit).to_digit(10)?;
            let doubled = digit.saturating_mul(2);
            let doubled = if doubled > 9 { doubled.saturating_sub(9) } else { doubled };
            Some(sum.saturating_add(if nth.is_multiple_of(2) { digit } else { doubled }))
        })?;
        (sum.checked_rem(10) == Some(0)).then_some(Pan(digits))
    }

    /// The eighteen digits.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What a decoder key is for (6.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// DITK, 0: of the maker, to bring in the first other key.
    Initialization,
    /// DDTK, 1: of a meter that belongs to no supply group yet.
    Default,
    /// DUTK, 2: of one meter of a supply group.
    Unique,
    /// DCTK, 3: of all meters of a supply group.
    Common,
}

impl KeyType {
    /// 0 to 3.
    pub fn number(self) -> u8 {
        match self {
            KeyType::Initialization => 0,
            KeyType::Default => 1,
            KeyType::Unique => 2,
            KeyType::Common => 3,
        }
    }
}

/// The cipher that a decoder key is for (6.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// EA07, keys of 64 bits.
    Sta,
    /// EA11, keys of 128 bits.
    Misty1,
}

impl Cipher {
    /// Two digits.
    pub fn number(self) -> u8 {
        match self {
            Cipher::Sta => 7,
            Cipher::Misty1 => 11,
        }
    }

    /// Of its keys: 8 or 16.
    pub fn key_bytes(self) -> usize {
        match self {
            Cipher::Sta => 8,
            Cipher::Misty1 => 16,
        }
    }
}

/// What a decoder key is derived from, beside the vending key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pan: Pan,
    supply_group: u32,
    tariff_index: u8,
    revision: u8,
    key_type: KeyType,
}

/// Why a decoder key has no such origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnOrigin {
    /// A supply group code has six digits.
    SupplyGroup,
    /// A tariff index has two digits.
    TariffIndex,
    /// A key revision number is 1 to 9.
    Revision,
}

impl fmt::Display for NotAnOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotAnOrigin::SupplyGroup => "a supply group code has six digits",
            NotAnOrigin::TariffIndex => "a tariff index has two digits",
            NotAnOrigin::Revision => "a key revision number is 1 to 9",
        })
    }
}

impl core::error::Error for NotAnOrigin {}

/// The numbers of an [`Origin`], before they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Six digits: which meters share a vending key.
    pub supply_group: u32,
    /// Two digits: which tariff the meter is sold to by.
    pub tariff_index: u8,
    /// 1 to 9: which of the group's vending keys.
    pub revision: u8,
    /// What the key is for.
    pub key_type: KeyType,
}

impl Origin {
    /// Checks the numbers of a group.
    pub fn new(pan: Pan, group: Group) -> Result<Origin, NotAnOrigin> {
        let Group { supply_group, tariff_index, revision, key_type } = group;
        if supply_group > 999_999 {
            return Err(NotAnOrigin::SupplyGroup);
        }
        if tariff_index > 99 {
            return Err(NotAnOrigin::TariffIndex);
        }
        if !(1..=9).contains(&revision) {
            return Err(NotAnOrigin::Revision);
        }
        Ok(Origin { pan, supply_group, tariff_index, revision, key_type })
    }

    /// The digits of the meter that go into the key: for a common key those of the issuer alone,
    /// then zeros.
    fn pan_digits(&self) -> [u8; 18] {
        let mut digits = self.pan.0;
        if self.key_type == KeyType::Common {
            digits.iter_mut().skip(6).for_each(|digit| *digit = b'0');
        }
        digits
    }

    /// DKGA02 (6.5.3.4): the block that is encrypted by DES under the vending key. Control block
    /// (key type, supply group, tariff index, revision, then FFFFFFH) XOR account number block.
    pub fn dkga02_block(&self) -> [u8; 8] {
        let mut control = [0xF_u8; 16];
        let digits = [self.key_type.number()]
            .into_iter()
            .chain(decimal::<6>(self.supply_group))
            .chain(decimal::<2>(u32::from(self.tariff_index)))
            .chain([self.revision]);
        control.iter_mut().zip(digits).for_each(|(place, digit)| *place = digit);
        let pan = self.pan_digits();
        let mut block = [0; 8];
        let account =
            pan.iter().skip(1).zip(control).map(|(digit, control)| digit & 0x0F ^ control);
        for (nth, nibble) in account.enumerate() {
            if let Some(byte) = block.get_mut(nth / 2) {
                *byte = *byte << 4 | nibble & 0x0F;
            }
        }
        block
    }

    /// DKGA04 (6.5.3.5, NIST SP 800-108): what is hashed by HMAC-SHA-256 under the vending key; the
    /// first [`key_bytes`](Cipher::key_bytes) of the hash are the decoder key.
    pub fn dkga04_record(&self, base: BaseDate, cipher: Cipher) -> [u8; DKGA04_BYTES] {
        let digit = |digit: u8| digit | b'0';
        let cipher_digits = decimal::<2>(u32::from(cipher.number())).map(digit);
        let tariff = decimal::<2>(u32::from(self.tariff_index)).map(digit);
        let group = decimal::<6>(self.supply_group).map(digit);
        let bits: u8 = match cipher {
            Cipher::Sta => 64,
            Cipher::Misty1 => 128,
        };
        let pan = self.pan_digits();
        let label: [&[u8]; 4] = [b"04", &base.two_digits(), &cipher_digits, &tariff];
        let context: [&[u8]; 4] =
            [&group, &[digit(self.key_type.number())], &[digit(self.revision)], &pan];
        let mut record = [0; DKGA04_BYTES];
        let bytes = fields(&label).chain([0]).chain(fields(&context)).chain([0, 0, 0, bits]);
        record.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        record
    }

    /// The tokens that bring a key of this origin into a meter. `expiry` is the top byte of the
    /// last token number that it serves; 255 is for ever.
    pub fn sections(&self, key: &DecoderKey, expiry: u8, roll_over: RollOver) -> Sections {
        let [a, b, c, d] = key.words();
        let low = u16::try_from(self.supply_group & 0x0FFF).unwrap_or(0);
        let high = u16::try_from(self.supply_group >> 12).unwrap_or(0);
        Sections {
            first: KeySection::First {
                expiry_high: expiry >> 4,
                revision: self.revision,
                roll_over: roll_over == RollOver::Yes,
                three_tokens: false,
                key_type: self.key_type.number(),
                part: a,
            },
            second: KeySection::Second {
                expiry_low: expiry & 0x0F,
                tariff_index: self.tariff_index,
                part: d,
            },
            more: match key {
                DecoderKey::Sta(_) => None,
                DecoderKey::Misty1(_) => Some((
                    KeySection::Third { supply_group_low: low, part: b },
                    KeySection::Fourth { supply_group_high: high, part: c },
                )),
            },
        }
    }
}

/// Whether a key change also moves the meter to another base date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollOver {
    /// The meter forgets the token numbers it has seen.
    Yes,
    /// They go on.
    No,
}

/// What DKGA02 makes of its block and of what DES made of it.
pub fn dkga02_key(block: [u8; 8], encrypted: [u8; 8], vending_key: &[u8; 8]) -> [u8; 8] {
    let [block, encrypted, key] = [block, encrypted, *vending_key].map(u64::from_be_bytes);
    (block ^ encrypted ^ key).to_be_bytes()
}

/// A decoder key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum DecoderKey {
    /// For EA07.
    Sta([u8; 8]),
    /// For EA11.
    Misty1([u8; 16]),
}

impl fmt::Debug for DecoderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecoderKey([redacted])")
    }
}

impl DecoderKey {
    /// Four words of 32 bits, the highest first; of a short key the outer two, between zeros.
    fn words(&self) -> [u32; 4] {
        let bytes = match self {
            DecoderKey::Sta([a, b, c, d, e, f, g, h]) => {
                [*a, *b, *c, *d, 0, 0, 0, 0, 0, 0, 0, 0, *e, *f, *g, *h]
            }
            DecoderKey::Misty1(key) => *key,
        };
        let (words, _) = bytes.as_chunks::<4>();
        let mut out = [0; 4];
        out.iter_mut().zip(words).for_each(|(word, bytes)| *word = u32::from_be_bytes(*bytes));
        out
    }

    /// The key of a change's sections, in any order; `None` while one is missing. Sections of two
    /// different changes cannot be told apart by themselves: a meter forgets those it holds after a
    /// while.
    pub fn joined(cipher: Cipher, sections: &[KeySection]) -> Option<DecoderKey> {
        let part = |sub_class| {
            let section = sections.iter().rev().find(|section| section.sub_class() == sub_class)?;
            Some(section.part().to_be_bytes())
        };
        let ([a, b, c, d], [m, n, o, p]) = (part(3)?, part(4)?);
        Some(match cipher {
            Cipher::Sta => DecoderKey::Sta([a, b, c, d, m, n, o, p]),
            Cipher::Misty1 => {
                let ([e, f, g, h], [i, j, k, l]) = (part(8)?, part(9)?);
                DecoderKey::Misty1([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
            }
        })
    }
}

/// The tokens of one key change, in the order in which they are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sections {
    /// Sub-class 3.
    pub first: KeySection,
    /// Sub-class 4.
    pub second: KeySection,
    /// Sub-classes 8 and 9, where the key has 128 bits.
    pub more: Option<(KeySection, KeySection)>,
}

impl Sections {
    /// Two of them, or four.
    pub fn iter(&self) -> impl Iterator<Item = KeySection> + use<> {
        let more = self.more.map(|(third, fourth)| [third, fourth]);
        [self.first, self.second].into_iter().chain(more.into_iter().flatten())
    }
}

/// The last `N` decimal digits of a number, 0 to 9 each.
fn decimal<const N: usize>(number: u32) -> [u8; N] {
    let mut rest = number;
    let mut digits = [0; N];
    for digit in digits.iter_mut().rev() {
        *digit = u8::try_from(rest.checked_rem(10).unwrap_or(0)).unwrap_or(0);
        rest = rest.checked_div(10).unwrap_or(0);
    }
    digits
}

/// How many fields there are, then each with its length before it.
fn fields<'a>(fields: &'a [&'a [u8]; 4]) -> impl Iterator<Item = u8> + 'a {
    let field = |field: &'a &'a [u8]| {
        [u8::try_from(field.len()).unwrap_or(0)].into_iter().chain(field.iter().copied())
    };
    [4].into_iter().chain(fields.iter().flat_map(field))
}
