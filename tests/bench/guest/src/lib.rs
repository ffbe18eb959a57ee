//! The guest that the bench times: the same source runs in the sandbox and, linked into the bench,
//! natively, so that a ratio of the two is the sandbox and nothing else.
//!
//! Not here: a device. What it does is told by the call: `decode` by the first byte of the frame,
//! `read` by the meter's address. It is never enabled in a configuration.

use polymeter_codec::Decoded;
use polymeter_codec::dlt645;
use polymeter_codec::mbus::{self, Item, Message, Telegram, Value as Said};
use polymeter_codec::modbus::{self, Captured, Reply};
use polymeter_driver::{
    Call, ControlOutcome, Decimal, Description, DriverError, Evidence, Explanation, Extras, Host,
    Identity, LocalTime, Measurement, MeterDriver, Opening, Order, SellOutcome, SetOutcome,
    Snapshot, Value, codes,
};

/// `decode` of this and four bytes, little-endian: so many rounds of computing.
pub const COMPUTE: u8 = b'C';
/// `decode` of this and frames of DL/T 645, one behind the other.
pub const BATCH: u8 = b'B';
/// `decode` of this and replies of Modbus RTU, one behind the other.
pub const BATCH_MODBUS: u8 = b'M';
/// `decode` of this and telegrams of M-Bus, one behind the other.
pub const BATCH_MBUS: u8 = b'T';
/// `read` of a meter so called waits for its line for ever.
pub const WAITING: &str = "waiting";
/// `read` of a meter so called computes for ever.
pub const RUNAWAY: &str = "runaway";
/// `read` and `probe` of a meter so called send [`REQUEST`] and take an answer of [`REPLY`] bytes.
pub const EXCHANGE: &str = "exchange";
/// Modbus RTU: unit 1, function 03, from 0300H, 33 registers, CRC.
pub const REQUEST: [u8; 8] = [0x01, 0x03, 0x03, 0x00, 0x00, 0x21, 0x84, 0x56];
/// Unit, function, length, 33 registers, CRC.
pub const REPLY: usize = 3 + 66 + 2;

#[derive(Debug)]
pub struct Bench;
polymeter_driver::export!(Bench, without vault);

/// The CRC of Modbus bit by bit over a counter: nothing that a compiler could leave out, no memory.
pub fn computed(rounds: u32) -> u16 {
    let mut crc = 0xFFFF_u16;
    for round in 0..rounds {
        crc ^= u16::from(round.to_le_bytes()[0]);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0xA001;
            }
        }
    }
    crc
}

/// The four-byte values of every frame in `bytes`, as measurements.
pub fn values(mut bytes: &[u8]) -> Vec<Measurement> {
    let mut found = Vec::new();
    while let Decoded::Frame { frame, used } = dlt645::decode(bytes) {
        let data = frame.data.as_slice().get(4..).unwrap_or_default();
        found.extend(data.as_chunks::<4>().0.iter().map(|value| measurement(*value)));
        bytes = bytes.get(used..).unwrap_or_default();
    }
    found
}

/// The registers of every reply in `bytes`, each as a measurement.
pub fn modbus_values(mut bytes: &[u8]) -> Vec<Measurement> {
    let mut found = Vec::new();
    while let Decoded::Frame { frame, used } = modbus::decode_captured(bytes) {
        if let Captured::Reply(Reply::Read { values, .. }) = frame.pdu {
            let registers = values.bytes().as_chunks::<2>().0.iter();
            found.extend(registers.map(|register| {
                number(i64::from(u16::from_be_bytes(*register)), 0, codes::unit::NONE)
            }));
        }
        bytes = bytes.get(used..).unwrap_or_default();
    }
    found
}

/// The numbers in the records of every telegram in `bytes`.
pub fn mbus_values(mut bytes: &[u8]) -> Vec<Measurement> {
    let mut found = Vec::new();
    while let Decoded::Frame { frame, used } = mbus::decode(bytes) {
        if let Telegram::Long { ci, data, .. } = frame
            && let Ok(Message::Data(data)) = mbus::message(ci, data)
            && let Ok(records) = data.records()
        {
            for item in records.map_while(Result::ok) {
                if let Item::Record(record) = item
                    && let Said::Number(said) = record.value()
                {
                    found.push(number(said, 0, codes::unit::NONE));
                }
            }
        }
        bytes = bytes.get(used..).unwrap_or_default();
    }
    found
}

fn number(mantissa: i64, scale: i8, unit: u16) -> Measurement {
    Measurement {
        register: codes::register::ENERGY_IMPORT_TOTAL.into(),
        value: Value::Number(Decimal { mantissa, scale }),
        unit,
        quality: codes::quality::MEASURED,
    }
}

/// Eight decimal digits, low pair first, in hundredths of a kilowatt hour.
fn measurement(value: [u8; 4]) -> Measurement {
    let mantissa = value.iter().rev().fold(0_i64, |sum, pair| {
        let (high, low) = (i64::from(pair >> 4), i64::from(pair & 0x0F));
        sum.wrapping_mul(100).wrapping_add(high * 10 + low)
    });
    number(mantissa, -2, codes::unit::KILOWATT_HOUR)
}

fn exchange(host: &mut dyn Host, call: &Call) -> Result<(), DriverError> {
    if call.address != EXCHANGE {
        return Ok(());
    }
    host.send(&REQUEST)?;
    let mut heard = 0;
    while heard < REPLY {
        heard += host.receive(71)?.len();
    }
    Ok(())
}

fn unable<T>() -> Result<T, DriverError> {
    Err(DriverError::new(codes::error::UNSUPPORTED, "the bench's guest has no device"))
}

impl MeterDriver for Bench {
    fn describe() -> Description {
        Description {
            vendor_code: "BENCH".into(),
            name: "Bench".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            models: vec!["none".into()],
            proof: codes::proof::NONE,
            purse: codes::quantity::NONE,
            parameters: vec![],
        }
    }

    /// Of any other meter: answers at once, so that what is timed is the instance.
    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        exchange(host, call)?;
        Ok(Identity { address: call.address.clone(), model: String::new(), extras: vec![] })
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        match call.address.as_str() {
            WAITING => loop {
                let _ = host.receive(1);
            },
            RUNAWAY => loop {
                std::hint::black_box(0);
            },
            _ => exchange(host, call)?,
        }
        Ok(Snapshot { measurements: vec![], supply: codes::supply::UNKNOWN, extras: vec![] })
    }

    fn open(_: &mut dyn Host, _: &Call, _: &Opening) -> Result<SellOutcome, DriverError> {
        unable()
    }

    fn sell(_: &mut dyn Host, _: &Call, _: &Order) -> Result<SellOutcome, DriverError> {
        unable()
    }

    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        unable()
    }

    fn check(_: &mut dyn Host, _: &Call, _: Option<u32>) -> Result<Evidence, DriverError> {
        unable()
    }

    fn control(
        _: &mut dyn Host,
        _: &Call,
        _: u16,
        _: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        unable()
    }

    fn set_parameters(_: &mut dyn Host, _: &Call, _: &Extras) -> Result<SetOutcome, DriverError> {
        unable()
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        let (measurements, address) = match frame {
            [COMPUTE, a, b, c, d] => {
                (vec![], computed(u32::from_le_bytes([*a, *b, *c, *d])).to_string())
            }
            [BATCH, frames @ ..] => (values(frames), String::new()),
            [BATCH_MODBUS, frames @ ..] => (modbus_values(frames), String::new()),
            [BATCH_MBUS, frames @ ..] => (mbus_values(frames), String::new()),
            _ => return Err("none of those that the bench asks for".to_owned()),
        };
        Ok(Explanation { address, measurements, extras: vec![] })
    }
}
