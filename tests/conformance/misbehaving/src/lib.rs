//! A driver that misbehaves in the way its meter's address names. The runtime's tests load it to
//! see every rule of the host bite; it is never enabled in a configuration.

use polymeter_driver::{
    Call, ControlOutcome, Credit, Decimal, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, Level, LocalTime, Measurement, MeterDriver, Opening, Order, Receipt,
    SellOutcome, SetOutcome, Snapshot, Value, codes,
};

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
            "wait-forever" => loop {
                let _ = host.receive(1);
            },
            "error" => {
                return Err(DriverError::new(codes::error::BAD_PARAMETER, "no bytes were sent"));
            }
            _ => {}
        }
        Ok(())
    }
}

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
        let value = Measurement {
            register: register.into(),
            value: Value::Number(Decimal { mantissa: 2301, scale: -1 }),
            unit: codes::unit::VOLT,
            quality: codes::quality::MEASURED,
        };
        Ok(Snapshot {
            measurements: vec![value; records],
            supply: codes::supply::CONNECTED,
            extras: vec![],
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
        if call.address == "send-then-confirm" {
            host.send(b"x")?;
        }
        Ok(confirmed(order.purchase.count))
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
        Ok(Evidence { count: count.unwrap_or(0), purchase: None, balance: None })
    }

    fn control(
        host: &mut dyn Host,
        call: &Call,
        _command: u16,
        _valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        Self::act(host, call)?;
        Ok(ControlOutcome::Confirmed(codes::supply::DISCONNECTED))
    }

    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        _parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        Self::act(host, call)?;
        Ok(SetOutcome::Confirmed)
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        if frame == b"panic" {
            panic!("asked to panic");
        }
        Err(format!("{} bytes of no protocol", frame.len()))
    }
}

fn confirmed(count: u32) -> SellOutcome {
    let balance = Some(Credit { quantity: codes::quantity::MONEY, amount: 1 });
    SellOutcome::Confirmed(Receipt { count, balance, extras: vec![] })
}
