//! Selling credit, and the proof of it.
//!
//! Invariant: one frame adds credit, once per call. The meter's answer to it proves nothing, because
//! its checksum is one byte; the record of the last purchase, read apart, does.

use crate::exchange::{Answer, Exchange, device_code};
use crate::settings::Settings;
use polymeter_codec::bcd;
use polymeter_codec::cjt188::{self, Content, control, identifier};
use polymeter_driver::codes::{error, quality, quantity, refusal, register, unit};
use polymeter_driver::{
    Call, Credit, Decimal, DriverError, Evidence, Host, Measurement, Opening, Purchase, Receipt,
    Refusal, SellOutcome, Value,
};

/// What four bytes of BCD hold.
const FEN_MAX: u64 = 99_999_999;
/// How often a proof is looked for after a sale.
const LOOKS: usize = 2;

/// Opens by looking: the standard stores no customer. With money, the opening is the sale that makes
/// the count 1, and refused by a meter that has sold before.
pub fn open(
    host: &mut dyn Host,
    call: &Call,
    opening: &Opening,
) -> Result<SellOutcome, DriverError> {
    if opening.credit.amount != 0 {
        let purchase = Purchase { count: opening.count, credit: opening.credit };
        return sell(host, call, &purchase);
    }
    let mut exchange = Exchange::new(host, call, Settings::one_meter(call)?);
    let purse = last(&mut exchange)?;
    Ok(SellOutcome::Confirmed(receipt(&purse)))
}

pub fn check(
    host: &mut dyn Host,
    call: &Call,
    count: Option<u32>,
) -> Result<Evidence, DriverError> {
    let mut exchange = Exchange::new(host, call, Settings::of(call)?);
    let purse = last(&mut exchange)?;
    let asked = count.is_none_or(|count| count == u32::from(purse.serial));
    Ok(Evidence {
        count: u32::from(purse.serial),
        purchase: (asked && purse.serial != 0)
            .then(|| Purchase { count: u32::from(purse.serial), credit: money(purse.amount) }),
        balance: Some(money(purse.left)),
    })
}

/// The meter's record of its last purchase.
pub fn last(exchange: &mut Exchange<'_>) -> Result<cjt188::Purchase, DriverError> {
    let payload = exchange.read(identifier::PURCHASE)?;
    let content = Content { identifier: identifier::PURCHASE, serial: None, payload: &payload };
    content.purchase().map_err(|why| DriverError::new(error::GARBLED, why.to_string()))
}

pub fn measurements(purse: &cjt188::Purchase) -> [Measurement; 3] {
    let currency = |register: &str, fen| Measurement {
        register: register.to_owned(),
        value: Value::Number(Decimal { mantissa: fen, scale: -2 }),
        unit: unit::CURRENCY,
        quality: quality::MEASURED,
    };
    [
        currency(register::CREDIT_REMAINING, purse.left),
        currency(register::CREDIT_BOUGHT_TOTAL, purse.total),
        Measurement {
            register: register::PURCHASE_COUNT.to_owned(),
            value: Value::Number(Decimal { mantissa: i64::from(purse.serial), scale: 0 }),
            unit: unit::NONE,
            quality: quality::MEASURED,
        },
    ]
}

/// A purchase that fits the meter's frame.
#[derive(Clone, Copy)]
struct Sale {
    count: u8,
    fen: i64,
    digits: [u8; 4],
}

impl Sale {
    fn new(purchase: &Purchase) -> Result<Sale, Refusal> {
        if purchase.credit.quantity != quantity::MONEY {
            return Err(no(refusal::BAD_VALUE, "the purse of this meter holds money"));
        }
        let Some(count) = u8::try_from(purchase.count).ok().filter(|count| *count > 0) else {
            return Err(no(refusal::BAD_VALUE, "this meter counts its purchases from 1 to 255"));
        };
        let fen = purchase.credit.amount;
        let mut digits = [0; 4];
        let fits = (1..=FEN_MAX).contains(&fen) && bcd::encode(fen, &mut digits).is_ok();
        match i64::try_from(fen) {
            Ok(fen) if fits => Ok(Sale { count, fen, digits }),
            _ => Err(no(refusal::BAD_VALUE, format!("an amount is 1 to {FEN_MAX} fen"))),
        }
    }

    fn is(&self, purse: &cjt188::Purchase) -> bool {
        (self.count, self.fen) == (purse.serial, purse.amount)
    }

    /// Why nothing should be written.
    fn objection(&self, purse: &cjt188::Purchase) -> Option<Refusal> {
        if self.is(purse) {
            let detail = "the last purchase in the meter already has this count and amount";
            return Some(no(refusal::ALREADY_TAKEN, detail));
        }
        let next = purse.serial.checked_add(1) == Some(self.count);
        (!next).then(|| no(refusal::WRONG_COUNT, format!("the meter's count is {}", purse.serial)))
    }
}

pub fn sell(
    host: &mut dyn Host,
    call: &Call,
    purchase: &Purchase,
) -> Result<SellOutcome, DriverError> {
    let settings = Settings::one_meter(call)?;
    let sale = match Sale::new(purchase) {
        Ok(sale) => sale,
        Err(refusal) => return Ok(SellOutcome::Refused(refusal)),
    };
    let mut exchange = Exchange::new(host, call, settings);
    // Without this look, a copy of the sale that landed earlier would be taken for this one.
    if let Some(refusal) = sale.objection(&last(&mut exchange)?) {
        return Ok(SellOutcome::Refused(refusal));
    }
    let [a, b, c, d] = sale.digits;
    let payload = [sale.count, a, b, c, d];
    let written = exchange.ask(control::WRITE, identifier::WRITE_PURCHASE, &payload);
    Ok(proved(&mut exchange, &sale, &written))
}

/// Looks for the sale in the meter's record, whatever the meter said to it.
fn proved(
    exchange: &mut Exchange<'_>,
    sale: &Sale,
    written: &Result<Answer, DriverError>,
) -> SellOutcome {
    let mut seen = String::new();
    for _ in 0..LOOKS {
        seen = match last(exchange) {
            Ok(purse) if sale.is(&purse) => return SellOutcome::Confirmed(receipt(&purse)),
            Ok(purse) => {
                // A no, and nothing came of it.
                let before = purse.serial.checked_add(1) == Some(sale.count);
                if let (Ok(Answer::No(status)), true) = (written, before) {
                    return SellOutcome::Refused(Refusal {
                        code: refusal::OTHER,
                        detail: "the meter refused the purchase".to_owned(),
                        device_code: Some(device_code(status)),
                    });
                }
                format!("the meter's last purchase is {} of {} fen", purse.serial, purse.amount)
            }
            Err(error) => format!("its last purchase could not be read: {}", error.detail),
        };
    }
    let written = match written {
        Ok(Answer::Yes(..)) => "the purchase was acknowledged".to_owned(),
        Ok(Answer::No(status)) => format!("the meter refused with {}", device_code(status)),
        Err(error) => format!("the purchase was not acknowledged ({})", error.detail),
    };
    SellOutcome::Unknown(format!("{written}, and {seen}"))
}

fn receipt(purse: &cjt188::Purchase) -> Receipt {
    Receipt {
        count: u32::from(purse.serial),
        balance: Some(money(purse.left)),
        extras: vec![(
            "bought-total".to_owned(),
            Value::Number(Decimal { mantissa: purse.total, scale: -2 }),
        )],
    }
}

/// No number of these meters is below zero.
fn money(fen: i64) -> Credit {
    Credit { quantity: quantity::MONEY, amount: fen.unsigned_abs() }
}

fn no(code: u16, detail: impl Into<String>) -> Refusal {
    Refusal { code, detail: detail.into(), device_code: None }
}
