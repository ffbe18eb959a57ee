//! A driver of cards that misbehaves in the way its device's number names, and behaves where that names
//! none. The runtime's tests load it to see the host's rules bite; it is never enabled in a
//! configuration.
//!
//! Its cards are SLE4442: at 32 `MB`, two bytes of serial number and four of purchase count.

use polymeter_driver::{
    Call, CardContents, CardDriver, CardIdentity, CardOrder, Description, DriverError, Host, Key,
    Purchase, Receipt, Refusal, Secret, SellOutcome, WrittenBack, codes,
};

#[derive(Debug)]
pub struct MisbehavingCard;
polymeter_driver::export_card!(MisbehavingCard);

/// Where this driver's card begins: behind what a maker may have protected.
const HEAD: u32 = 32;
const COUNT: u32 = HEAD + 4;

/// The code of a card is made of its serial number.
fn psc(serial: &[u8]) -> Secret {
    Secret::OfVault((Key { label: "psc".to_owned(), path: vec![] }, serial.to_vec()))
}

fn serial(host: &mut dyn Host) -> Result<Option<Vec<u8>>, DriverError> {
    if host.inserted()?.kind != codes::card::SLE4442 {
        return Ok(None);
    }
    Ok(host.read_card(HEAD, 4)?.strip_prefix(b"MB").map(<[u8]>::to_vec))
}

fn mine(host: &mut dyn Host) -> Result<Vec<u8>, DriverError> {
    let none = || DriverError::new(codes::error::OTHER_DEVICE, "the card is another vendor's");
    serial(host)?.ok_or_else(none)
}

fn identity(call: &Call, serial: &[u8]) -> CardIdentity {
    let told = |behaviour: &str, wrong: &str, right: &str| {
        if call.address == behaviour { wrong.to_owned() } else { right.to_owned() }
    };
    CardIdentity {
        vendor_code: told("foreign-vendor", "ACME\u{1b}[31m", "MISBEHAVING"),
        purpose: if call.address == "purpose-99" { 99 } else { codes::card::purpose::USER },
        region: told("bad-region", "no region", "HZ"),
        customer_number: told("long-customer", &"9".repeat(1_000), "0007"),
        device: told("bad-device", "two words", "0001"),
        serial: told("bad-serial", "none", &hex(serial)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn count(host: &mut dyn Host) -> Result<u32, DriverError> {
    let bytes = host.read_card(COUNT, 4)?;
    let count = bytes.try_into().map(u32::from_be_bytes);
    count.map_err(|_| DriverError::new(codes::error::GARBLED, "no count"))
}

fn confirmed(count: u32) -> SellOutcome {
    SellOutcome::Confirmed(Receipt { count, balance: None, extras: vec![] })
}

fn refused() -> SellOutcome {
    let detail = "another count".to_owned();
    let code = codes::refusal::WRONG_COUNT;
    SellOutcome::Refused(Refusal { code, detail, device_code: None })
}

/// Asks without end; the host must end it.
fn without_end<T>(mut ask: impl FnMut() -> Result<T, DriverError>) -> DriverError {
    loop {
        if let Err(error) = ask() {
            return error;
        }
    }
}

fn sell(host: &mut dyn Host, call: &Call, order: &CardOrder) -> Result<SellOutcome, DriverError> {
    let wanted = order.purchase.map_or(0, |purchase| purchase.count);
    match call.address.as_str() {
        "panic" => panic!("asked to panic"),
        "claim" => return Ok(confirmed(wanted)),
        "inserted-then-claim" => {
            host.inserted()?;
            return Ok(confirmed(wanted));
        }
        "line" => {
            host.send(b"x")?;
        }
        "read-forever" => return Err(without_end(|| Ok(host.read_card(0, 1)?))),
        "read-huge" => return Err(without_end(|| Ok(host.read_card(0, u32::MAX)?))),
        "guess" => {
            let code = Secret::Published(vec![1, 2, 3]);
            for _ in 0..9 {
                let _ = host.verify_code(0, &code);
            }
            host.verify_code(0, &code)?;
        }
        "other-key" => host.verify_code(0, &psc(b"another card"))?,
        "no-key" => {
            let key = Key { label: "none".to_owned(), path: vec![] };
            host.verify_code(0, &Secret::OfVault((key, vec![1])))?;
        }
        "no-code" => host.verify_code(7, &Secret::Published(vec![1, 2, 3]))?,
        "short-code" => host.verify_code(0, &Secret::Published(vec![1]))?,
        "apdu" => {
            host.transmit(&[0, 0xA4, 0, 0])?;
        }
        _ => {}
    }
    let serial = mine(host)?;
    let had = count(host)?;
    match call.address.as_str() {
        "read-then-confirm" => return Ok(confirmed(wanted)),
        "read-then-refuse" => return Ok(refused()),
        "read-then-panic" => panic!("after reading"),
        _ if had + 1 != wanted => return Ok(refused()),
        _ => {}
    }
    host.verify_code(0, &psc(&serial))?;
    host.write_card(COUNT, &wanted.to_be_bytes())?;
    match call.address.as_str() {
        "write-then-panic" => panic!("after writing"),
        "write-then-other-count" => return Ok(confirmed(wanted + 1)),
        "write-then-error" => {
            return Err(DriverError::new(codes::error::NO_REPLY, "gave up"));
        }
        "write-then-loop" => loop {
            std::hint::black_box(0);
        },
        _ => {}
    }
    let has = count(host)?;
    Ok(if has == wanted { confirmed(has) } else { SellOutcome::Unknown(format!("{has}")) })
}

impl CardDriver for MisbehavingCard {
    fn describe() -> Description {
        Description {
            vendor_code: "MISBEHAVING".to_owned(),
            name: "misbehaving-card".to_owned(),
            version: "0.1.0".to_owned(),
            models: vec![],
            proof: 1,
            purse: 1,
            parameters: vec![],
        }
    }

    fn identify(host: &mut dyn Host, call: &Call) -> Result<Option<CardIdentity>, DriverError> {
        Ok(serial(host)?.map(|serial| identity(call, &serial)))
    }

    fn check(host: &mut dyn Host, call: &Call) -> Result<CardContents, DriverError> {
        let serial = mine(host)?;
        let count = count(host)?;
        let quantity = if call.address == "bad-quantity" { 77 } else { 1 };
        let credit = polymeter_driver::Credit { quantity, amount: 500 };
        let written_back = WrittenBack {
            count,
            balance: Some(polymeter_driver::Credit { quantity: 1, amount: 250 }),
            at: Some(polymeter_driver::LocalTime {
                year: 2026,
                month: if call.address == "lost-clock" { 13 } else { 3 },
                day: 2,
                hour: 10,
                minute: 0,
                second: 0,
            }),
            measurements: vec![],
            extras: vec![],
        };
        Ok(CardContents {
            identity: identity(call, &serial),
            purchase: Some(Purchase { count, credit }),
            taken: if call.address == "taken-9" { 9 } else { codes::card::taken::YES },
            written_back: Some(written_back),
            extras: vec![],
        })
    }

    fn open(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        sell(host, call, order)
    }

    fn sell(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        sell(host, call, order)
    }

    fn replace(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        sell(host, call, order)
    }

    fn take_back(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        sell(host, call, order)
    }

    /// The code goes back to the one in the data sheet.
    fn clear(host: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        let serial = mine(host)?;
        host.verify_code(0, &psc(&serial))?;
        host.write_card(HEAD, &[0xFF; 8])?;
        host.set_code(0, &Secret::Published(vec![0xFF; 3]))?;
        Ok(confirmed(0))
    }

    fn make(_: &mut dyn Host, _: &Call, _: &CardOrder) -> Result<SellOutcome, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "no such card"))
    }
}
