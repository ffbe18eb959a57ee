//! What a call's address and parameters mean to this driver: the meter's account number, where its
//! decoder key comes from, and by which cipher.

use polymeter_codec::sts::decoder_key::{Cipher, Group, KeyType, Origin, Pan};
use polymeter_codec::sts::{BaseDate, Service};
use polymeter_driver::codes::error;
use polymeter_driver::codes::vault::diversification::{STS_DKGA02, STS_DKGA04};
use polymeter_driver::{Call, Decimal, Diversification, DriverError, Extras, Key, Value};

/// A parameter that is a whole number between bounds.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    pub name: &'static str,
    pub minimum: i64,
    pub maximum: i64,
    pub default: i64,
}

const fn of(name: &'static str, minimum: i64, maximum: i64, default: i64) -> Number {
    Number { name, minimum, maximum, default }
}

pub const TARIFF_INDEX: Number = of("tariff-index", 0, 99, 1);
pub const KEY_REVISION: Number = of("key-revision", 1, 9, 1);
pub const KEY_TYPE: Number = of("key-type", 0, 3, 2);
pub const KEY_EXPIRY: Number = of("key-expiry", 0, 255, 255);
pub const BASE_DATE: Number = of("base-date", 1993, 2035, 2014);
pub const ENCRYPTION: Number = of("encryption", 7, 11, 11);
pub const DERIVATION: Number = of("derivation", 2, 4, 4);
pub const SUPPLY_GROUP: &str = "supply-group";
pub const ISSUER: &str = "issuer";
pub const ISSUER_DEFAULT: &str = "600727";
pub const SERVICE: &str = "service";
pub const SERVICE_DEFAULT: &str = "electricity";
pub const KEY_LABEL: &str = "key-label";

/// How a decoder key comes of a vending key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Derivation {
    Dkga02,
    Dkga04,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub origin: Origin,
    pub base: BaseDate,
    pub cipher: Cipher,
    pub service: Service,
    /// The top byte of the last identifier that the key serves.
    pub expiry: u8,
    /// The code of the meter's maker has four digits, not two.
    pub has_long_vendor: bool,
    derivation: Derivation,
    label: String,
}

impl Settings {
    /// `change` goes before the call's own parameters: what a meter has after a key change.
    pub fn of(call: &Call, change: &Extras) -> Result<Settings, DriverError> {
        let told = Told { parameters: &call.parameters, change };
        let supply_group = told.text(SUPPLY_GROUP, "")?;
        let digits = supply_group.len() == 6 && supply_group.bytes().all(|it| it.is_ascii_digit());
        let code = supply_group.parse::<u32>().ok().filter(|_| digits);
        let code = code.ok_or_else(|| bad(format!("{SUPPLY_GROUP}: six digits are needed")))?;
        let revision = told.byte(KEY_REVISION)?;
        let key_type = match told.byte(KEY_TYPE)? {
            0 => KeyType::Initialization,
            1 => KeyType::Default,
            2 => KeyType::Unique,
            _ => KeyType::Common,
        };
        let tariff_index = told.byte(TARIFF_INDEX)?;
        let group = Group { supply_group: code, tariff_index, revision, key_type };
        let pan = pan(&call.address, told.text(ISSUER, ISSUER_DEFAULT)?)?;
        // Numbers of thirteen digits have this issuer (6.1.2.2).
        let has_long_vendor = pan.as_str().starts_with("0000");
        let origin = Origin::new(pan, group).map_err(|error| bad(error.to_string()))?;
        let year = told.number(BASE_DATE)?;
        let base = BaseDate::ALL.into_iter().find(|base| i64::from(base.year()) == year);
        let base =
            base.ok_or_else(|| bad(format!("base-date: {year} is none that meters have")))?;
        let (cipher, derivation) = match (told.number(ENCRYPTION)?, told.number(DERIVATION)?) {
            (7, 2) => (Cipher::Sta, Derivation::Dkga02),
            (7, 4) => (Cipher::Sta, Derivation::Dkga04),
            (11, 4) => (Cipher::Misty1, Derivation::Dkga04),
            (11, 2) => return Err(bad("DKGA02 makes keys of 64 bits, which EA11 has not")),
            (ea, dkga) => {
                return Err(bad(format!("EA{ea:02} and DKGA{dkga:02} are not known here")));
            }
        };
        let service = match told.text(SERVICE, SERVICE_DEFAULT)? {
            "electricity" => Service::Electricity,
            "water" => Service::Water,
            "gas" => Service::Gas,
            _ => return Err(bad("service: electricity, water or gas")),
        };
        let label = match told.text(KEY_LABEL, "")? {
            "" => format!("vending-{supply_group}-{revision}"),
            label => label.to_owned(),
        };
        let expiry = told.byte(KEY_EXPIRY)?;
        Ok(Settings { origin, base, cipher, service, expiry, has_long_vendor, derivation, label })
    }

    /// The decoder key, as the vault finds it.
    pub fn key(&self) -> Key {
        let (algorithm, factor) = match self.derivation {
            Derivation::Dkga02 => (STS_DKGA02, self.origin.dkga02_block().to_vec()),
            Derivation::Dkga04 => {
                (STS_DKGA04, self.origin.dkga04_record(self.base, self.cipher).to_vec())
            }
        };
        Key { label: self.label.clone(), path: vec![Diversification { algorithm, factor }] }
    }
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}

/// Eighteen digits, or the eleven on the meter's plate behind those of the issuer, with the check
/// digit made here (IEC 62055-41, 6.1.2).
fn pan(address: &str, issuer: &str) -> Result<Pan, DriverError> {
    let wrong = || bad(format!("`{address}` is no meter: 18 digits with their check digit, or 11"));
    if address.len() == 11 {
        let digits = format!("{issuer}{address}");
        let checked = (0..10).find_map(|check| Pan::from_digits(&format!("{digits}{check}")));
        return checked.ok_or_else(wrong);
    }
    Pan::from_digits(address).ok_or_else(wrong)
}

struct Told<'a> {
    parameters: &'a Extras,
    change: &'a Extras,
}

impl Told<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        let mut all = self.change.iter().chain(self.parameters);
        all.find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn number(&self, wanted: Number) -> Result<i64, DriverError> {
        let Number { name, minimum, maximum, default } = wanted;
        match self.value(name) {
            None => Ok(default),
            Some(Value::Number(Decimal { mantissa, scale: 0 }))
                if (minimum..=maximum).contains(mantissa) =>
            {
                Ok(*mantissa)
            }
            Some(_) => Err(bad(format!("{name} must be a number from {minimum} to {maximum}"))),
        }
    }

    /// Of a number whose bounds fit.
    fn byte(&self, wanted: Number) -> Result<u8, DriverError> {
        u8::try_from(self.number(wanted)?).map_err(|_| bad(wanted.name))
    }

    fn text<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, DriverError> {
        match self.value(name) {
            None => Ok(default),
            Some(Value::Text(text)) => Ok(text),
            Some(_) => Err(bad(format!("{name} must be a text"))),
        }
    }
}
