//! A driver that misbehaves in the way its meter's address names. The runtime's tests load it to
//! see every rule of the host bite; it is never enabled in a configuration.

use polymeter_driver::{
    Call, ControlOutcome, Credit, Decimal, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, Key, Level, LocalTime, Measurement, MeterDriver, Opening, Order, Receipt,
    Refusal, SellOutcome, SetOutcome, Snapshot, Value, codes,
};
use std::sync::atomic::{AtomicU32, Ordering};

/// Calls that this instance has answered: state that a driver must not keep, and that shows whether
/// the host gave a fresh instance.
static CALLS: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub struct Misbehaving;
polymeter_driver::export!(Misbehaving);

impl Misbehaving {
    /// Does what `call.address` says; falls through where the behaviour is only in the answer.
    fn act(host: &mut dyn Host, call: &Call) -> Result<(), DriverError> {
        match call.address.as_str() {
            "panic" => panic!("asked to panic"),
            "loop" => loop {
                std::hint::black_box(0);
            },
            "memory" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            "recursion" => {
                std::hint::black_box(descend(0));
            }
            "deep" => {
                std::hint::black_box(deepen(std::hint::black_box(0)));
            }
            "log-flood" => {
                for _ in 0..100_000 {
                    host.log(Level::Info, "again\u{1b}[31m");
                }
            }
            "send-then-panic" => {
                host.send(b"x")?;
                panic!("after sending");
            }
            "send-then-error" => {
                host.send(b"x")?;
                return Err(DriverError::new(codes::error::NO_REPLY, "gave up"));
            }
            "send-forever" => loop {
                host.send(&[0; 200])?;
            },
            "random-forever" => loop {
                host.random(1)?;
            },
            "wait-forever" => loop {
                let _ = host.receive(1);
            },
            "drain-forever" => loop {
                host.drain()?;
            },
            "receive-forever" => loop {
                host.receive(u32::MAX)?;
            },
            "send-then-loop" => {
                host.send(b"x")?;
                loop {
                    std::hint::black_box(0);
                }
            }
            "send-then-wait" => {
                host.send(b"x")?;
                loop {
                    let _ = host.receive(1);
                }
            }
            // Silence is not this one's fault; it goes on.
            "wait-then-answer" => {
                for _ in 0..10 {
                    let _ = host.receive(1);
                }
            }
            "log-long" => host.log(Level::Info, &"long ".repeat(1_000)),
            "log-huge" => host.log(Level::Info, &"x".repeat(2 << 20)),
            "error" => {
                return Err(DriverError::new(codes::error::BAD_PARAMETER, "no bytes were sent"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Deep in the engine's stack and not in the guest's own, for it keeps nothing in memory.
#[inline(never)]
fn deepen(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { deepen(depth + 1).wrapping_mul(3).wrapping_add(depth) }
}

/// Deep in the guest's own stack, which the linker has put at the bottom of its memory.
#[expect(unconditional_recursion, reason = "that is the misbehaviour")]
fn descend(depth: u64) -> u64 {
    let page = std::hint::black_box([depth; 64]);
    descend(depth + 1) + page[0]
}

impl MeterDriver for Misbehaving {
    fn describe() -> Description {
        Description {
            vendor_code: "MISBEHAVING".into(),
            name: "Misbehaving".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            models: vec!["any".into()],
            proof: codes::proof::PURCHASE_COUNT,
            purse: codes::quantity::MONEY,
            parameters: vec![],
        }
    }

    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        Self::act(host, call)?;
        Ok(Identity { address: "x".repeat(16 << 20), model: String::new(), extras: vec![] })
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        Self::act(host, call)?;
        let (register, records) = match call.address.as_str() {
            "bad-register" => ("not an obis code", 1),
            "many-records" => (codes::register::VOLTAGE[0], 100_000),
            _ => (codes::register::VOLTAGE[0], 1),
        };
        let mut extras =
            vec![("calls".to_owned(), number(CALLS.fetch_add(1, Ordering::Relaxed) + 1))];
        if call.address == "mac" {
            let key = Key { label: "master".into(), path: vec![] };
            extras.push(("mac".to_owned(), Value::Bytes(host.mac(&key, 1, &[0; 8], b"data")?)));
        }
        let value = Measurement {
            register: register.into(),
            value: Value::Number(Decimal { mantissa: 2301, scale: -1 }),
            unit: codes::unit::VOLT,
            quality: codes::quality::MEASURED,
        };
        Ok(Snapshot {
            measurements: vec![value; records],
            supply: codes::supply::CONNECTED,
            extras,
        })
    }

    fn open(
        host: &mut dyn Host,
        call: &Call,
        opening: &Opening,
    ) -> Result<SellOutcome, DriverError> {
        Self::act(host, call)?;
        Ok(confirmed(opening.count))
    }

    /// With an address of no meaning: claims success without sending a byte.
    fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
        Self::act(host, call)?;
        if call.address.starts_with("send-then-") {
            ask(host)?;
        }
        if call.address.starts_with("deaf-then-") {
            host.send(b"x")?;
        }
        Ok(match call.address.as_str() {
            "refuse" | "send-then-refuse" | "deaf-then-refuse" => SellOutcome::Refused(refusal()),
            "unknown" | "send-then-unknown" => SellOutcome::Unknown("no reply".into()),
            "send-then-nonsense" => SellOutcome::Confirmed(Receipt {
                count: order.purchase.count,
                balance: Some(Credit { quantity: 77, amount: 1 }),
                extras: vec![],
            }),
            "send-then-other-count" => confirmed(order.purchase.count + 1),
            _ => confirmed(order.purchase.count),
        })
    }

    fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
        Self::act(host, call)?;
        Ok(confirmed(0))
    }

    fn check(
        host: &mut dyn Host,
        call: &Call,
        count: Option<u32>,
    ) -> Result<Evidence, DriverError> {
        Self::act(host, call)?;
        let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Evidence { count: count.unwrap_or(calls), purchase: None, balance: None })
    }

    fn control(
        host: &mut dyn Host,
        call: &Call,
        _command: u16,
        _valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        Self::act(host, call)?;
        if call.address.starts_with("send-then-") {
            ask(host)?;
        }
        Ok(ControlOutcome::Confirmed(codes::supply::DISCONNECTED))
    }

    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        _parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        Self::act(host, call)?;
        if call.address == "send-then-refuse" {
            ask(host)?;
            return Ok(SetOutcome::Refused(refusal()));
        }
        Ok(SetOutcome::Confirmed)
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        match frame {
            b"panic" => panic!("asked to panic"),
            b"loop" => loop {
                std::hint::black_box(0);
            },
            b"recursion" => {
                std::hint::black_box(descend(0));
            }
            b"fine" => {
                let calls = number(CALLS.fetch_add(1, Ordering::Relaxed) + 1);
                return Ok(Explanation {
                    address: "1".into(),
                    measurements: vec![],
                    extras: vec![("calls".into(), calls)],
                });
            }
            _ => {}
        }
        Err(format!("{} bytes of no protocol", frame.len()))
    }
}

/// A question, whose answer may be silence.
fn ask(host: &mut dyn Host) -> Result<(), DriverError> {
    host.send(b"x")?;
    let _ = host.receive(1);
    Ok(())
}

fn confirmed(count: u32) -> SellOutcome {
    let balance = Some(Credit { quantity: codes::quantity::MONEY, amount: 1 });
    SellOutcome::Confirmed(Receipt { count, balance, extras: vec![] })
}

fn refusal() -> Refusal {
    Refusal {
        code: codes::refusal::WRONG_MAC,
        detail: "wrong MAC".into(),
        device_code: Some("0020".into()),
    }
}

fn number(count: u32) -> Value {
    Value::Number(Decimal { mantissa: count.into(), scale: 0 })
}
