//! Cards (IC卡): what kind of card lies in a reader, whose it is, what it carries and what it brought
//! home. The numbers of the codes are the contract's (`wit/1.1.0/card.wit`).
//!
//! Not here: how a card is spoken to (transport, drivers), which meter it is for and what a sale on it
//! costs (service).

use crate::{
    Credit, CustomerNumber, Evidence, LocalTime, Measurement, MeterAddress, Purchase,
    PurchaseCount, Region, Value, VendorCode,
};
use std::fmt;

/// What a card is as a piece of silicon, whoever's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CardKind {
    /// ISO/IEC 7816-4, contact or contactless.
    Cpu,
    Sle4442,
    Sle4428,
    /// Plain memory, with nothing that protects it.
    At24c,
    At88sc102,
    At88sc1604,
    MifareClassic,
    Desfire,
}

impl CardKind {
    pub const ALL: [CardKind; 8] = [
        CardKind::Cpu,
        CardKind::Sle4442,
        CardKind::Sle4428,
        CardKind::At24c,
        CardKind::At88sc102,
        CardKind::At88sc1604,
        CardKind::MifareClassic,
        CardKind::Desfire,
    ];

    /// As it stands in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            CardKind::Cpu => "cpu",
            CardKind::Sle4442 => "sle4442",
            CardKind::Sle4428 => "sle4428",
            CardKind::At24c => "at24c",
            CardKind::At88sc102 => "at88sc102",
            CardKind::At88sc1604 => "at88sc1604",
            CardKind::MifareClassic => "mifare-classic",
            CardKind::Desfire => "desfire",
        }
    }

    pub fn from_name(name: &str) -> Option<CardKind> {
        CardKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub const fn code(self) -> u16 {
        match self {
            CardKind::Cpu => 1,
            CardKind::Sle4442 => 2,
            CardKind::Sle4428 => 3,
            CardKind::At24c => 4,
            CardKind::At88sc102 => 5,
            CardKind::At88sc1604 => 6,
            CardKind::MifareClassic => 7,
            CardKind::Desfire => 8,
        }
    }

    pub fn from_code(code: u16) -> Option<CardKind> {
        CardKind::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// How many bytes a code has that opens a part of such a card; `None` for a code that it has not.
    /// Which part: as `verify` of the contract numbers them; the erase codes of an AT88SC102 are those of
    /// its zones 1 and 2. Lengths by the data sheets (protocols of Infineon, Atmel, NXP).
    pub const fn code_bytes(self, code: u16) -> Option<usize> {
        match (self, code) {
            (CardKind::Sle4442, 0) => Some(3),
            (CardKind::Sle4428 | CardKind::At88sc102, 0) | (CardKind::At88sc1604, 0..=8) => Some(2),
            (CardKind::At88sc102, 1) => Some(6),
            (CardKind::At88sc102, 2) => Some(4),
            // Two keys for each of the 40 sectors that the largest has.
            (CardKind::MifareClassic, 0..=79) => Some(6),
            _ => None,
        }
    }
}

impl fmt::Display for CardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a card is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardPurpose {
    /// Nobody's yet.
    Blank,
    User,
    Setting,
    /// Reads a device back into the system.
    Check,
    Clear,
    Reset,
    Price,
    Area,
    Test,
    KeyChange,
}

impl CardPurpose {
    pub const ALL: [CardPurpose; 10] = [
        CardPurpose::Blank,
        CardPurpose::User,
        CardPurpose::Setting,
        CardPurpose::Check,
        CardPurpose::Clear,
        CardPurpose::Reset,
        CardPurpose::Price,
        CardPurpose::Area,
        CardPurpose::Test,
        CardPurpose::KeyChange,
    ];

    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            CardPurpose::Blank => "blank",
            CardPurpose::User => "user",
            CardPurpose::Setting => "setting",
            CardPurpose::Check => "check",
            CardPurpose::Clear => "clear",
            CardPurpose::Reset => "reset",
            CardPurpose::Price => "price",
            CardPurpose::Area => "area",
            CardPurpose::Test => "test",
            CardPurpose::KeyChange => "key-change",
        }
    }

    pub const fn chinese(self) -> &'static str {
        match self {
            CardPurpose::Blank => "空白卡",
            CardPurpose::User => "用户卡",
            CardPurpose::Setting => "设置卡",
            CardPurpose::Check => "检查卡",
            CardPurpose::Clear => "清零卡",
            CardPurpose::Reset => "复位卡",
            CardPurpose::Price => "电价卡",
            CardPurpose::Area => "区域卡",
            CardPurpose::Test => "测试卡",
            CardPurpose::KeyChange => "密钥卡",
        }
    }

    pub fn from_name(name: &str) -> Option<CardPurpose> {
        CardPurpose::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    pub const fn code(self) -> u16 {
        match self {
            CardPurpose::Blank => 0,
            CardPurpose::User => 1,
            CardPurpose::Setting => 2,
            CardPurpose::Check => 3,
            CardPurpose::Clear => 4,
            CardPurpose::Reset => 5,
            CardPurpose::Price => 6,
            CardPurpose::Area => 7,
            CardPurpose::Test => 8,
            CardPurpose::KeyChange => 9,
        }
    }

    pub fn from_code(code: u16) -> Option<CardPurpose> {
        CardPurpose::ALL.into_iter().find(|purpose| purpose.code() == code)
    }

    /// Whether it changes devices rather than carrying a customer's money (维护卡).
    pub const fn is_maintenance(self) -> bool {
        !matches!(self, CardPurpose::Blank | CardPurpose::User)
    }
}

impl fmt::Display for CardPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose card it is and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardIdentity {
    pub vendor: VendorCode,
    pub purpose: CardPurpose,
    pub region: Option<Region>,
    pub customer_number: Option<CustomerNumber>,
    /// The device that it is for.
    pub device: Option<MeterAddress>,
    /// Unlike any other card's of the vendor, as hexadecimal digits.
    pub serial: String,
}

/// Whether the device has taken what the card carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Uptake {
    /// The card does not tell.
    Untold,
    Waiting,
    Taken,
}

impl Uptake {
    pub const fn name(self) -> &'static str {
        match self {
            Uptake::Untold => "untold",
            Uptake::Waiting => "waiting",
            Uptake::Taken => "taken",
        }
    }

    /// `None` for a number that is none of the contract's.
    pub const fn from_code(code: u16) -> Option<Uptake> {
        match code {
            0 => Some(Uptake::Untold),
            1 => Some(Uptake::Waiting),
            2 => Some(Uptake::Taken),
            _ => None,
        }
    }
}

/// What the device wrote on the card when it was last in it (回写).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenBack {
    /// The device's own.
    pub count: PurchaseCount,
    pub balance: Option<Credit>,
    /// By the device's clock.
    pub at: Option<LocalTime>,
    pub measurements: Vec<Measurement>,
    /// The vendor's own, under the vendor's names.
    pub extras: Vec<(String, Value)>,
}

/// All that a card holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardContents {
    pub identity: CardIdentity,
    /// `None`: nothing was ever sold on it.
    pub purchase: Option<Purchase>,
    pub uptake: Uptake,
    pub written_back: Option<WrittenBack>,
    pub extras: Vec<(String, Value)>,
}

impl CardContents {
    /// What the card says of purchases, as a meter would: what was put on it, and what the device held
    /// when it was last in there, with what it has not taken yet.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            count: self.purchase.map_or(PurchaseCount::new(0), |it| it.count),
            purchase: self.purchase,
            balance: self.balance(),
        }
    }

    fn balance(&self) -> Option<Credit> {
        let held = self.written_back.as_ref().and_then(|it| it.balance);
        match (held, self.purchase, self.uptake) {
            (Some(held), Some(Purchase { credit, .. }), Uptake::Waiting)
                if held.quantity == credit.quantity =>
            {
                held.amount.checked_add(credit.amount).map(|amount| Credit { amount, ..held })
            }
            (None, Some(Purchase { credit, .. }), Uptake::Waiting) => Some(credit),
            (held, _, _) => held,
        }
    }

    /// Whether the device is known to have taken the card's purchase: the card says so, or what the
    /// device wrote back has come as far.
    pub fn is_taken(&self) -> bool {
        let Some(purchase) = self.purchase else { return true };
        match self.uptake {
            Uptake::Taken => true,
            Uptake::Waiting => false,
            Uptake::Untold => {
                self.written_back.as_ref().is_some_and(|back| back.count >= purchase.count)
            }
        }
    }
}

/// What a card shall become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardOrder {
    pub purpose: CardPurpose,
    pub region: Option<Region>,
    pub customer_number: Option<CustomerNumber>,
    /// What it shall hold; the count is what the device's must become.
    pub purchase: Option<Purchase>,
    /// What it shall carry to the device, of the driver's own parameters.
    pub parameters: Vec<(String, Value)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantity;

    #[test]
    fn kinds_and_purposes_are_their_names_and_their_codes() {
        for kind in CardKind::ALL {
            assert_eq!(CardKind::from_name(kind.name()), Some(kind));
            assert_eq!(CardKind::from_code(kind.code()), Some(kind));
        }
        for purpose in CardPurpose::ALL {
            assert_eq!(CardPurpose::from_name(purpose.name()), Some(purpose));
            assert_eq!(CardPurpose::from_code(purpose.code()), Some(purpose));
        }
        assert_eq!((CardKind::from_code(0), CardPurpose::from_code(10)), (None, None));
    }

    #[test]
    fn a_code_is_as_long_as_the_data_sheet_says() {
        assert_eq!(CardKind::Sle4442.code_bytes(0), Some(3));
        assert_eq!(CardKind::Sle4442.code_bytes(1), None);
        assert_eq!(CardKind::At88sc102.code_bytes(2), Some(4));
        assert_eq!(CardKind::MifareClassic.code_bytes(79), Some(6));
        assert_eq!(CardKind::MifareClassic.code_bytes(80), None);
        assert_eq!(CardKind::Cpu.code_bytes(0), None);
    }

    #[test]
    fn a_purchase_is_taken_where_the_card_or_the_device_says_so() {
        let written = |count| WrittenBack {
            count: PurchaseCount::new(count),
            balance: None,
            at: None,
            measurements: Vec::new(),
            extras: Vec::new(),
        };
        let contents = |uptake, written_back| CardContents {
            identity: CardIdentity {
                vendor: VendorCode::new("ACME").expect("a code"),
                purpose: CardPurpose::User,
                region: None,
                customer_number: None,
                device: None,
                serial: "01".to_owned(),
            },
            purchase: Some(Purchase {
                count: PurchaseCount::new(3),
                credit: Credit { quantity: Quantity::Money, amount: 1 },
            }),
            uptake,
            written_back,
            extras: Vec::new(),
        };
        assert!(contents(Uptake::Taken, None).is_taken());
        assert!(contents(Uptake::Untold, Some(written(3))).is_taken());
        assert!(!contents(Uptake::Untold, Some(written(2))).is_taken());
        assert!(!contents(Uptake::Untold, None).is_taken());
        assert!(!contents(Uptake::Waiting, Some(written(3))).is_taken());
        let credit = |amount| Some(Credit { quantity: Quantity::Money, amount });
        let back = WrittenBack { balance: credit(70), ..written(2) };
        assert_eq!(contents(Uptake::Waiting, Some(back.clone())).evidence().balance, credit(71));
        assert_eq!(contents(Uptake::Taken, Some(back)).evidence().balance, credit(70));
        assert_eq!(contents(Uptake::Waiting, None).evidence().balance, credit(1));
        assert_eq!(contents(Uptake::Untold, None).evidence().balance, None);
        let sold_nothing = CardContents { purchase: None, ..contents(Uptake::Waiting, None) };
        assert!(sold_nothing.is_taken());
    }
}
