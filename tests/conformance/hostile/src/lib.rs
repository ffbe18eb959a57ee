//! The drivers of the hostile gallery (`tests/e2e/src/gallery`), in one source: what it does is named
//! by the address of its meter, `<verb>:<act>`, and it behaves in every other verb, so that an account
//! can be opened and a sale begun. The gallery gives each row its own copy under its own vendor code,
//! which it writes over `VENDOR` in the component's bytes.
//!
//! Not here: hostility that lies in the file itself (the gallery makes those bytes).

use polymeter_driver::{
    Call, ControlOutcome, Credit, Decimal, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, Key, Level, LocalTime, Measurement, MeterDriver, Opening, Order, Receipt,
    Refusal, SellOutcome, SetOutcome, Snapshot, Value, codes,
};
use std::hint::black_box;

/// As many bytes as every vendor code of the gallery; nothing else in the component reads like it.
static VENDOR: &str = "HOSTILE-000";
/// Codes under which describing itself goes wrong.
const TRAPS: &str = "HOSTILE-TRP";
const LOOPS: &str = "HOSTILE-LOP";

/// A DL/T 645 question to the meter 000000000001, which is another driver's, on another line.
const OTHERS_FRAME: &[u8] =
    &[0xFE, 0x68, 0x01, 0, 0, 0, 0, 0, 0x68, 0x11, 0x04, 0x33, 0x33, 0x34, 0x33, 0xB3, 0x16];
const IMPOSSIBLE: LocalTime =
    LocalTime { year: 2026, month: 99, day: 99, hour: 99, minute: 99, second: 99 };

#[derive(Debug)]
pub struct Hostile;
polymeter_driver::export!(Hostile);

fn spin() -> ! {
    loop {
        black_box(0);
    }
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the hostility")]
fn descend(depth: u64) -> u64 {
    let page = black_box([depth; 64]);
    descend(depth + 1) + page[0]
}

fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
        black_box(&hoard);
    }
}

/// What the address orders for `verb`; nothing for any other.
fn act<'a>(call: &'a Call, verb: &str) -> &'a str {
    match call.address.split_once(':') {
        Some((of, act)) if of == verb => act,
        _ => "",
    }
}

/// A text that is none. Whoever reads it must find out by itself.
#[expect(unsafe_code, reason = "that is the hostility")]
fn not_utf_8() -> String {
    // SAFETY: nothing here reads it; the host checks every text that crosses to it.
    unsafe { String::from_utf8_unchecked(black_box(vec![b'x', 0xC3, 0x28, 0xFF])) }
}

fn measured(value: Value) -> Measurement {
    Measurement {
        register: codes::register::VOLTAGE[0].into(),
        value,
        unit: codes::unit::VOLT,
        quality: codes::quality::MEASURED,
    }
}

fn number(mantissa: i64, scale: i8) -> Value {
    Value::Number(Decimal { mantissa, scale })
}

fn read(host: &mut dyn Host, call: &Call) -> Result<Vec<Measurement>, DriverError> {
    let fine = measured(number(2301, -1));
    match act(call, "read") {
        "loop" => spin(),
        "recursion" => {
            black_box(descend(0));
        }
        "memory" => hoard(),
        "panic" | "keeps-trapping" => panic!("hostile"),
        "16-mib" => return Ok(vec![measured(Value::Text("x".repeat(16 << 20)))]),
        "100000-records" => return Ok(vec![fine; 100_000]),
        "wrong-register" => return Ok(vec![Measurement { register: "no code".into(), ..fine }]),
        "huge-numbers" => return Ok(vec![measured(number(i64::MIN, i8::MAX)); 4]),
        "log-flood" => (0..100_000).for_each(|_| host.log(Level::Info, "flood-of-lines")),
        "log-escapes" => {
            host.log(Level::Error, "\u{1b}[2J\u{1b}[31mERROR the meter was paid\r\nfake")
        }
        "log-not-utf-8" => host.log(Level::Info, &not_utf_8()),
        "not-utf-8" => return Ok(vec![measured(Value::Text(not_utf_8()))]),
        "wrong-length" => return Ok(vec![measured(Value::Bytes(vec![0; 5_000]))]),
        "impossible-time" => return Ok(vec![measured(Value::Time(IMPOSSIBLE)), fine]),
        "log-3-mb" => (0..10).for_each(|_| host.log(Level::Info, &"x".repeat(3 << 20))),
        "send-gigabytes" => loop {
            host.send(&[0x55; 4 << 10])?;
            host.receive(1)?;
        },
        "send-for-ever" => loop {
            host.send(&[0x55; 16])?;
            host.receive(1)?;
        },
        "send-at-once" => host.send(&vec![0x55; 512 << 10])?,
        "other-address" => host.send(OTHERS_FRAME)?,
        // The far end answers this one byte by byte, for longer than a call may last.
        "suspended" => {
            host.send(b"dribble")?;
            host.receive(60_000)?;
        }
        "hold-the-line" => loop {
            let _ = host.receive(1);
        },
        "import-storm" => loop {
            host.drain()?;
        },
        "other-vendors-key" | "other-regions-key" => {
            let other = act(call, "read") == "other-regions-key";
            let label = if other { "regional" } else { "purse" };
            let key = Key { label: label.into(), path: vec![] };
            host.mac(&key, 1, &[0; 8], b"give me a mac")?;
        }
        "mac-3-mb" => {
            let (key, data) = (Key { label: "purse".into(), path: vec![] }, vec![0x55; 3 << 20]);
            (0..10).for_each(|_| drop(host.mac(&key, 1, &[0; 8], &data)));
        }
        "random-storm" => loop {
            black_box(host.random(256)?);
        },
        _ => {}
    }
    Ok(vec![fine])
}

fn confirmed(count: u32) -> SellOutcome {
    let balance = Some(Credit { quantity: codes::quantity::MONEY, amount: 1 });
    SellOutcome::Confirmed(Receipt { count, balance, extras: vec![] })
}

/// A frame, and whatever comes back.
fn ask(host: &mut dyn Host) -> Result<(), DriverError> {
    host.send(b"hostile")?;
    let _ = host.receive(1);
    Ok(())
}

impl MeterDriver for Hostile {
    fn describe() -> Description {
        let vendor = black_box(VENDOR);
        if vendor == TRAPS {
            panic!("cannot describe itself");
        }
        if vendor == LOOPS {
            spin();
        }
        Description {
            vendor_code: vendor.into(),
            name: "Hostile".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            models: vec!["any".into()],
            proof: codes::proof::PURCHASE_COUNT,
            purse: codes::quantity::MONEY,
            parameters: vec![],
        }
    }

    fn probe(_: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        Ok(Identity { address: call.address.clone(), model: "any".into(), extras: vec![] })
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        let measurements = read(host, call)?;
        Ok(Snapshot { measurements, supply: codes::supply::CONNECTED, extras: vec![] })
    }

    fn open(host: &mut dyn Host, _: &Call, opening: &Opening) -> Result<SellOutcome, DriverError> {
        ask(host)?;
        Ok(confirmed(opening.count))
    }

    fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
        let count = order.purchase.count;
        match act(call, "sell") {
            "claim-without-sending" => return Ok(confirmed(count)),
            "refuse-without-sending" => {
                return Ok(SellOutcome::Refused(Refusal {
                    code: codes::refusal::OTHER,
                    detail: "no".into(),
                    device_code: None,
                }));
            }
            // Sends and never listens.
            "never-receive" => {
                host.send(b"hostile")?;
                return Ok(confirmed(count));
            }
            act => {
                ask(host)?;
                match act {
                    "panic" => panic!("in the middle of a sale"),
                    "loop" => spin(),
                    "memory" => hoard(),
                    "hold-the-line" => loop {
                        let _ = host.receive(1);
                    },
                    "lie-about-the-count" => return Ok(confirmed(count + 1)),
                    "impossible-balance" => {
                        return Ok(SellOutcome::Confirmed(Receipt {
                            count,
                            balance: Some(Credit { quantity: 77, amount: u64::MAX }),
                            extras: vec![],
                        }));
                    }
                    "honestly" => return Ok(confirmed(count)),
                    "error-after-sending" => {
                        return Err(DriverError::new(codes::error::BAD_PARAMETER, "nothing sent"));
                    }
                    _ => {}
                }
            }
        }
        Ok(SellOutcome::Unknown("not ordered".into()))
    }

    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "not ordered"))
    }

    /// Before a sale it is well behaved; of a purchase it remembers nothing, so that no lie of it can
    /// settle one.
    fn check(_: &mut dyn Host, _: &Call, count: Option<u32>) -> Result<Evidence, DriverError> {
        match count {
            None => Ok(Evidence { count: 0, purchase: None, balance: None }),
            Some(_) => Err(DriverError::new(codes::error::NO_REPLY, "it remembers nothing")),
        }
    }

    fn control(
        _: &mut dyn Host,
        _: &Call,
        _: u16,
        _: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "not ordered"))
    }

    fn set_parameters(_: &mut dyn Host, _: &Call, _: &Extras) -> Result<SetOutcome, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "not ordered"))
    }

    fn decode(_: &[u8]) -> Result<Explanation, String> {
        Err("no protocol".into())
    }
}
