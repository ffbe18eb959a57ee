//! The prepayment account: classes 111 account, 112 credit and 113 charge (IEC 62056-6-2, 4.6), read
//! and never changed.
//!
//! Not here: sales. A credit of class 112 has no number, so that a purchase whose answer was lost
//! could be told neither from one that never came nor from somebody else's (README).

use crate::measure::{Measured, text};
use crate::session::Got;
use crate::settings::Settings;
use polymeter_codec::Obis;
use polymeter_codec::dlms::{Attribute, Data};
use polymeter_driver::codes::{quality, register, unit};
use polymeter_driver::{Decimal, Value};

const CLASS: u16 = 111;
/// How many attributes are asked for.
pub const COUNT: usize = 6;
/// Mode and status, credit in use, credit that is available, what is owed to get clear, debt,
/// currency.
const ATTRIBUTES: [i8; COUNT] = [2, 3, 5, 6, 8, 15];
/// Kinds of currency: time, what is used, money.
const MONEY: u8 = 2;

/// Of the account that the parameter names; none where it names none.
pub fn attributes(settings: &Settings) -> Vec<Attribute> {
    let of = |object: Obis| {
        ATTRIBUTES.map(|attribute| Attribute { class: CLASS, object, attribute }).to_vec()
    };
    settings.account.map_or_else(Vec::new, of)
}

/// The name of a currency, its scale, and whether it is money.
struct Currency {
    name: String,
    scale: i8,
    is_money: bool,
}

impl Measured {
    /// What a meter's own currency is stands in an extra; the amounts are in it.
    pub fn account(&mut self, got: &[Got], account: Option<Obis>) {
        let Some(Ok(status)) = got.first().map(Got::data) else { return };
        let name = account.map_or_else(String::new, crate::measure::dotted);
        match status {
            Err(why) => return self.refused(&format!("111:{name}"), why),
            Ok(status) => self.status(&status),
        }
        let data = |nth: usize| match got.get(nth).map(Got::data) {
            Some(Ok(Ok(data))) => Some(data),
            _ => None,
        };
        if let Some(Data::Unsigned { value, bytes: 1 }) = data(1) {
            self.whole("credit-in-use", value);
        }
        let currency = data(5).and_then(|data| currency(&data));
        let amount = |nth: usize| match data(nth) {
            Some(Data::Signed { value, bytes: 4 }) => currency
                .as_ref()
                .map(|currency| Value::Number(Decimal { mantissa: value, scale: currency.scale })),
            _ => None,
        };
        let (available, to_clear, debt) = (amount(2), amount(3), amount(4));
        if let Some(currency) = &currency {
            self.extras.push(("currency".to_owned(), Value::Text(currency.name.clone())));
        }
        let is_money = currency.as_ref().is_some_and(|currency| currency.is_money);
        let unit = if is_money { unit::CURRENCY } else { unit::NONE };
        let quality = if available.is_some() { quality::MEASURED } else { quality::INVALID };
        self.push(register::CREDIT_REMAINING.to_owned(), available, unit, quality);
        for (name, amount) in [("amount-to-clear", to_clear), ("aggregated-debt", debt)] {
            self.extras.extend(amount.map(|amount| (name.to_owned(), amount)));
        }
    }

    fn whole(&mut self, name: &str, value: u64) {
        let mantissa = i64::try_from(value).unwrap_or(i64::MAX);
        self.extras.push((name.to_owned(), Value::Number(Decimal { mantissa, scale: 0 })));
    }

    /// Payment mode (1 credit, 2 prepayment) and account status (1 new, 2 active, 3 closed).
    fn status(&mut self, data: &Data<'_>) {
        let Data::Structure(fields) = data else { return };
        let names = ["payment-mode", "account-status"];
        for (name, field) in names.into_iter().zip(fields.iter()) {
            if let Data::Enum(value) = field {
                self.whole(name, value.into());
            }
        }
    }
}

/// The scale of a currency, where it is money.
pub fn money_scale(data: &Data<'_>) -> Option<i8> {
    currency(data).filter(|currency| currency.is_money).map(|currency| currency.scale)
}

fn currency(data: &Data<'_>) -> Option<Currency> {
    let Data::Structure(fields) = data else { return None };
    let mut fields = fields.iter();
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (
            Some(Data::Utf8(name) | Data::Visible(name)),
            Some(Data::Signed { value, bytes: 1 }),
            Some(Data::Enum(kind)),
            None,
        ) => Some(Currency {
            name: text(name).unwrap_or_default(),
            scale: i8::try_from(value).ok()?,
            is_money: kind == MONEY,
        }),
        _ => None,
    }
}
