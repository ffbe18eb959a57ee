//! The driver, in a file of its own because only a component has its imports.

wit_bindgen::generate!({ path: "../../../wit/1.0.0", world: "meter-driver" });

use exports::polymeter::driver::{frames, info, meter, purse, settings, supply};
use polymeter::driver::types::{
    Call, Credit, Decimal, DriverError, Extras, LocalTime, Measurement, Purchase, Receipt, Refusal,
    SellOutcome, Value,
};
use polymeter::driver::{line, log, vault};

struct Vintage;
export!(Vintage);

const MONEY: u16 = 1;
/// Registers of a single-phase user (the box's manual).
const ENERGY: u16 = 0x0306;
const PURSE: u16 = 0x030A;
const STATUS: u16 = 0x0311;
const SALE: u16 = 0x050D;
const CONTROL: u16 = 0x0801;
const PURCHASES: u16 = 0x1B00;

fn failed(code: u16, detail: impl Into<String>) -> DriverError {
    DriverError { code, detail: detail.into(), device_code: None }
}

fn number(mantissa: i64, scale: i8) -> Value {
    Value::Number(Decimal { mantissa, scale })
}

/// CRC-16 of Modbus.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc.to_le_bytes()
}

fn unit(call: &Call) -> Result<u8, DriverError> {
    let unit = call.address.parse().ok().filter(|unit| (1..=247).contains(unit));
    unit.ok_or_else(|| failed(6, format!("`{}` is no unit", call.address)))
}

/// One question; the body of a good reply of that length, or the exception.
fn ask(body: &[u8], want: usize) -> Result<Result<Vec<u8>, u8>, DriverError> {
    let frame = [body, &crc(body)].concat();
    let told = |error: line::LineError| match error.code {
        1 => failed(1, error.detail),
        _ => failed(8, error.detail),
    };
    line::send(&frame).map_err(told)?;
    let mut reply = Vec::new();
    while reply.len() < want && !(reply.len() >= 5 && reply[1] & 0x80 != 0) {
        let missing = u32::try_from(want - reply.len()).unwrap_or(1);
        reply.extend(line::receive(missing).map_err(told)?);
    }
    let end = if reply[1] & 0x80 != 0 { 5 } else { want };
    let (Some(content), Some(sum)) = (reply.get(..end - 2), reply.get(end - 2..end)) else {
        return Err(failed(2, "a reply that is too short"));
    };
    if sum != crc(content) || content[..1] != body[..1] || content[1] & 0x7F != body[1] {
        return Err(failed(2, "a reply that is no answer"));
    }
    Ok(if content[1] & 0x80 != 0 { Err(content[2]) } else { Ok(content[2..].to_vec()) })
}

fn read(unit: u8, start: u16, count: u8) -> Result<Vec<u16>, DriverError> {
    let [high, low] = start.to_be_bytes();
    match ask(&[unit, 3, high, low, 0, count], usize::from(count) * 2 + 5)? {
        Ok(body) => {
            Ok(body[1..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
        }
        Err(2) => Err(failed(4, "no such registers")),
        Err(code) => Err(failed(5, format!("exception {code}"))),
    }
}

fn double(words: &[u16]) -> u32 {
    u32::from(words[0]) << 16 | u32::from(words[1])
}

fn money(amount: u32) -> Credit {
    Credit { quantity: MONEY, amount: amount.into() }
}

/// Purchase count, balance, and the latest entry of the list.
fn evidence(unit: u8) -> Result<purse::Evidence, DriverError> {
    let now = read(unit, PURSE, 5)?;
    let last = read(unit, PURCHASES, 10)?;
    let purchase = Purchase { count: last[3].into(), credit: money(double(&last[4..6])) };
    Ok(purse::Evidence {
        count: now[4].into(),
        purchase: (purchase.count != 0).then_some(purchase),
        balance: (now[0] & 0x8000 == 0).then(|| money(double(&now[..2]))),
    })
}

impl info::Guest for Vintage {
    fn describe() -> info::Description {
        info::Description {
            vendor_code: "VINTAGE".into(),
            name: "A driver of contract 1.0.0".into(),
            version: "1.0.0".into(),
            models: vec!["ADF400L".into()],
            proof: 3,
            purse: MONEY,
            parameters: vec![info::Parameter {
                name: "seal-label".into(),
                title_en: "Key label of the seal".into(),
                title_zh: "封印密钥标签".into(),
                unit: 255,
                minimum: None,
                maximum: None,
                default: None,
                writable: false,
            }],
        }
    }
}

impl meter::Guest for Vintage {
    /// With the parameter `seal-label`: also seals the unit's number, which is what the vault is for here.
    fn probe(call: Call) -> Result<meter::Identity, DriverError> {
        let unit = unit(&call)?;
        let mut extras = Vec::new();
        if let Some((_, Value::Text(label))) =
            call.parameters.iter().find(|(name, _)| name == "seal-label")
        {
            let key = vault::Key { label: label.clone(), path: vec![] };
            let seal =
                vault::mac(&key, 1, &[0; 8], &[unit]).map_err(|error| failed(7, error.detail))?;
            extras.push(("seal".to_owned(), Value::Bytes(seal)));
        }
        read(unit, ENERGY, 2)?;
        Ok(meter::Identity { address: unit.to_string(), model: "ADF400L".into(), extras })
    }

    fn read(call: Call) -> Result<meter::Snapshot, DriverError> {
        let unit = unit(&call)?;
        let energy = i64::from(double(&read(unit, ENERGY, 2)?));
        let open = read(unit, STATUS, 1)?[0] & 1 != 0;
        let measurements = vec![Measurement {
            register: "1.0.1.8.0.255".into(),
            value: number(energy, -2),
            unit: 256,
            quality: 0,
        }];
        Ok(meter::Snapshot { measurements, supply: if open { 1 } else { 2 }, extras: vec![] })
    }
}

impl purse::Guest for Vintage {
    /// The box has users from the start; its first purchase opens them.
    fn open(call: Call, opening: purse::Opening) -> Result<SellOutcome, DriverError> {
        let unit = unit(&call)?;
        if opening.credit.amount == 0 {
            let now = evidence(unit)?;
            let receipt = Receipt { count: now.count, balance: now.balance, extras: vec![] };
            return Ok(SellOutcome::Confirmed(receipt));
        }
        let purchase = Purchase { count: opening.count, credit: opening.credit };
        let order = purse::Order { customer_number: opening.customer_number, purchase };
        <Vintage as purse::Guest>::sell(call, order)
    }

    fn sell(call: Call, order: purse::Order) -> Result<SellOutcome, DriverError> {
        let unit = unit(&call)?;
        let wanted = order.purchase;
        let (Ok(amount), Ok(count)) =
            (u32::try_from(wanted.credit.amount), u16::try_from(wanted.count))
        else {
            return Err(failed(6, "more than the box can count"));
        };
        let start = [&[unit, 16][..], &SALE.to_be_bytes(), &[0, 3, 6]].concat();
        let body = [start.as_slice(), &amount.to_be_bytes(), &count.to_be_bytes()].concat();
        let sent = ask(&body, 8);
        log::write(log::Level::Info, "one purchase was sent");
        if let Ok(Err(exception @ 1..=3)) = sent {
            return Ok(SellOutcome::Refused(Refusal {
                code: if exception == 3 { 6 } else { 1 },
                detail: format!("exception {exception}"),
                device_code: Some(format!("{exception:02X}")),
            }));
        }
        Ok(match evidence(unit) {
            Ok(now)
                if now.count == wanted.count
                    && now.purchase.as_ref().is_some_and(|last| {
                        last.count == wanted.count && last.credit.amount == wanted.credit.amount
                    }) =>
            {
                let receipt = Receipt { count: now.count, balance: now.balance, extras: vec![] };
                SellOutcome::Confirmed(receipt)
            }
            Ok(_) => SellOutcome::Unknown("the box's list does not show it".into()),
            Err(error) => SellOutcome::Unknown(error.detail),
        })
    }

    fn clear(_call: Call) -> Result<SellOutcome, DriverError> {
        Err(failed(9, "this box cannot do that"))
    }

    fn check(call: Call, count: Option<u32>) -> Result<purse::Evidence, DriverError> {
        let mut now = evidence(unit(&call)?)?;
        now.purchase = now.purchase.filter(|last| count.is_none_or(|count| last.count == count));
        Ok(now)
    }
}

impl supply::Guest for Vintage {
    fn control(
        call: Call,
        command: u16,
        _valid_until: Option<LocalTime>,
    ) -> Result<supply::ControlOutcome, DriverError> {
        let unit = unit(&call)?;
        let word: u16 = match command {
            1 => 0x0100,
            2 => 0x0001,
            _ => return Err(failed(9, "this box cannot do that")),
        };
        let [high, low] = word.to_be_bytes();
        let [first, second] = CONTROL.to_be_bytes();
        let sent = ask(&[unit, 6, first, second, high, low], 8);
        Ok(match (sent, read(unit, STATUS, 1)) {
            (_, Ok(status)) if (status[0] & 1 != 0) == (command == 1) => {
                supply::ControlOutcome::Confirmed(command)
            }
            _ => supply::ControlOutcome::Unknown("the status does not show it".into()),
        })
    }
}

impl settings::Guest for Vintage {
    fn set_parameters(
        _call: Call,
        _parameters: Extras,
    ) -> Result<settings::SetOutcome, DriverError> {
        Err(failed(9, "nothing in this box can be set by this driver"))
    }
}

impl frames::Guest for Vintage {
    /// A reply of two registers, taken for energy.
    fn decode(frame: Vec<u8>) -> Result<frames::Explanation, String> {
        let &[unit, 3, 4, a, b, c, d, low, high] = frame.as_slice() else {
            return Err("no reply of two registers".into());
        };
        if crc(&[unit, 3, 4, a, b, c, d]) != [low, high] {
            return Err("a wrong checksum".into());
        }
        log::write(log::Level::Debug, "a frame was explained");
        let energy = Measurement {
            register: "1.0.1.8.0.255".into(),
            value: number(u32::from_be_bytes([a, b, c, d]).into(), -2),
            unit: 256,
            quality: 0,
        };
        Ok(frames::Explanation {
            address: unit.to_string(),
            measurements: vec![energy],
            extras: vec![],
        })
    }
}
