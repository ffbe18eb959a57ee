//! Every fault on every reply of every call: never a second sale frame, never `confirmed` without
//! the credit in the box, never `refused` with it.

use crate::scripted::{Box, Fault, call};
use driver_acrel_adf400l::Adf400l;
use polymeter_driver::codes::{clock, command, error, quantity, refusal, supply};
use polymeter_driver::{
    ClockOutcome, ControlOutcome, Credit, Decimal, DriverError, MeterDriver, Order, Purchase,
    SellOutcome, SetOutcome, Value,
};

const FAULTS: [Fault; 17] = [
    Fault::None,
    Fault::ReplyLost,
    Fault::RequestLost,
    Fault::Cut,
    Fault::FlippedBit,
    Fault::OtherUnit,
    Fault::OtherFunction,
    Fault::Noise,
    Fault::Pieces,
    Fault::OtherUnitFirst,
    Fault::Exception(1),
    Fault::Exception(2),
    Fault::Exception(3),
    Fault::Exception(4),
    Fault::Exception(5),
    Fault::Exception(6),
    Fault::Exception(11),
];

fn order(count: u32, amount: u64) -> Order {
    let credit = Credit { quantity: quantity::MONEY, amount };
    Order { customer_number: "7".to_owned(), purchase: Purchase { count, credit } }
}

#[test]
fn a_sale_is_told_as_it_happened() {
    for at in 0..4 {
        for fault in FAULTS {
            let mut host = Box::new((at, fault));
            let outcome = Adf400l::sell(&mut host, &call(), &order(8, 1500));
            let applied = host.sales() == 1;
            let told = format!("{fault:?} at {at}: {outcome:?}");
            assert!(host.sale_frames() <= 1, "{told}");
            match &outcome {
                Ok(SellOutcome::Confirmed(receipt)) => {
                    assert!(applied && receipt.count == 8, "{told}");
                    assert_eq!(receipt.balance.map(|held| held.amount), Some(6500), "{told}");
                }
                Ok(SellOutcome::Refused(_)) => assert!(!applied, "{told}"),
                Ok(SellOutcome::Unknown(_)) => assert_eq!(host.sale_frames(), 1, "{told}"),
                Err(_) => assert_eq!(host.sale_frames(), 0, "{told}"),
            }
            // A proof that can be had is had: only the write and what follows it may fail at all.
            let recovers =
                matches!(fault, Fault::None | Fault::Noise | Fault::Pieces | Fault::OtherUnitFirst);
            if recovers || at >= 2 || (at == 1 && applied) {
                assert!(matches!(outcome, Ok(SellOutcome::Confirmed(_))), "{told}");
            }
        }
    }
}

#[test]
fn counts() {
    let check = |count, amount, expected: u16, device: Option<&str>, frames: usize| {
        let mut host = Box::new((0, Fault::None));
        let outcome = Adf400l::sell(&mut host, &call(), &order(count, amount));
        let Ok(SellOutcome::Refused(no)) = outcome else { panic!("{count} {amount}: {outcome:?}") };
        assert_eq!((no.code, no.device_code.as_deref()), (expected, device), "{count} {amount}");
        assert_eq!((host.sale_frames(), host.sales()), (frames, 0), "{count} {amount}");
    };
    check(7, 2000, refusal::ALREADY_TAKEN, None, 0);
    check(7, 1999, refusal::WRONG_COUNT, None, 0);
    check(3, 2000, refusal::WRONG_COUNT, None, 0);
    check(9, 2000, refusal::WRONG_COUNT, Some("03"), 1);
    check(8, 0, refusal::BAD_VALUE, None, 0);
    check(8, 1 << 32, refusal::BAD_VALUE, None, 0);
    check(0, 2000, refusal::BAD_VALUE, None, 0);
    check(65536, 2000, refusal::BAD_VALUE, None, 0);
}

/// A copy that the box ignores is acknowledged all the same: that is no proof.
#[test]
fn an_acknowledgement_is_no_proof() {
    let mut host = Box::new((0, Fault::None));
    host.registers.insert(0x030E, 8);
    let outcome = Adf400l::sell(&mut host, &call(), &order(8, 1500));
    assert!(matches!(outcome, Ok(SellOutcome::Unknown(_))), "{outcome:?}");
}

#[test]
fn evidence() {
    let check = |count, expected: Option<(u32, u64)>| {
        let mut host = Box::new((0, Fault::None));
        let found = Adf400l::check(&mut host, &call(), count).expect("evidence");
        let purchase = found.purchase.map(|bought| (bought.count, bought.credit.amount));
        assert_eq!((found.count, purchase), (7, expected), "{count:?}");
        assert!(host.requests.iter().all(|frame| frame[1] == 3), "check reads only");
    };
    check(None, Some((7, 2000)));
    check(Some(7), Some((7, 2000)));
    check(Some(8), None);
    check(Some(6), None);
    check(Some(0), None);
    check(Some(70000), None);
}

/// The readings, the energies by tariff, the clock.
#[test]
fn reading_takes_three_exchanges() {
    let check = |at, fault, expected: Option<u16>, exchanges| {
        let mut host = Box::new((at, fault));
        let result = Adf400l::read(&mut host, &call());
        assert_eq!(result.err().map(|error| error.code), expected, "{fault:?} at {at}");
        assert_eq!(host.requests.len(), exchanges, "{fault:?} at {at}");
    };
    for at in 0..3 {
        for fault in [Fault::None, Fault::Noise, Fault::Pieces, Fault::OtherUnitFirst] {
            check(at, fault, None, 3);
        }
        check(at, Fault::ReplyLost, Some(error::NO_REPLY), at + 1);
        check(at, Fault::Cut, Some(error::GARBLED), at + 1);
        check(at, Fault::FlippedBit, Some(error::GARBLED), at + 1);
        check(at, Fault::OtherUnit, Some(error::OTHER_DEVICE), at + 1);
        check(at, Fault::OtherFunction, Some(error::OTHER_DEVICE), at + 1);
        check(at, Fault::Exception(4), Some(error::DEVICE_SAYS_NO), at + 1);
        // A box may be without the later two; without the first it is none.
        let none = (at == 0).then_some(error::NO_SUCH_DATA);
        check(at, Fault::Exception(2), none, if at == 0 { 1 } else { 3 });
    }
}

/// Whatever happens on the line: told as set only where the box shows the time, written once.
#[test]
fn the_clock_is_told_as_it_stands() {
    for at in 0..3 {
        for fault in FAULTS {
            let mut host = Box::new((at, fault));
            let outcome = Adf400l::set_clock(&mut host, &call(), clock::SET);
            let told = format!("{fault:?} at {at}: {outcome:?}");
            // Friday the 20th of November 2026, 12:00:00.
            let set = [0x090B, 0x090C, 0x090D].map(|n| host.word(n)) == [0, 0x0C05, 0x140B];
            match outcome {
                Ok(ClockOutcome::Confirmed(shown)) => assert!(set && shown == call().now, "{told}"),
                Ok(ClockOutcome::Refused(_)) => assert!(!set, "{told}"),
                Ok(ClockOutcome::Unknown(_)) => assert!(at < 2, "{told}"),
                Err(_) => panic!("{told}"),
            }
            let writes = host.requests.iter().filter(|frame| frame[1] == 0x10).count();
            assert_eq!(writes, 1, "{told}");
        }
    }
}

#[test]
fn erased_memory_is_no_reading() {
    let mut host = Box::new((0, Fault::None));
    let erased = (0x0300..=0x0320).chain(0x0400..=0x0407);
    host.registers.extend(erased.map(|register| (register, 0xFFFF)));
    let snapshot = Adf400l::read(&mut host, &call()).expect("an intact reply");
    assert_eq!(snapshot.supply, supply::UNKNOWN);
    assert!(snapshot.measurements.iter().all(|row| row.quality == 2), "{snapshot:?}");
}

#[test]
fn the_relay_is_told_as_it_stands() {
    for at in 0..3 {
        for fault in FAULTS {
            let mut host = Box::new((at, fault));
            let outcome = Adf400l::control(&mut host, &call(), command::DISCONNECT, None);
            let told = format!("{fault:?} at {at}: {outcome:?}");
            let open = host.word(0x0311) & 1 == 1;
            match outcome {
                Ok(ControlOutcome::Confirmed(state)) => {
                    assert!(open && state == supply::DISCONNECTED, "{told}");
                }
                Ok(ControlOutcome::Refused(_)) => assert!(!open, "{told}"),
                Ok(ControlOutcome::Unknown(_)) => assert_eq!(at, 0, "{told}"),
                Err(_) => panic!("{told}"),
            }
            let writes = host.requests.iter().filter(|frame| frame[1] == 6).count();
            assert_eq!(writes, 1, "{told}");
        }
    }
    // A relay that stands open for want of credit does not prove a command that was lost.
    let mut host = Box::new((0, Fault::RequestLost));
    host.registers.insert(0x0311, 1);
    let outcome = Adf400l::control(&mut host, &call(), command::DISCONNECT, None);
    assert!(matches!(outcome, Ok(ControlOutcome::Unknown(_))), "{outcome:?}");
}

#[test]
fn parameters() {
    let number = |fen| Value::Number(Decimal { mantissa: fen, scale: 0 });
    let set = |fault, parameters: &[(&str, Value)]| {
        let mut host = Box::new((0, fault));
        host.registers.insert(0x0311, 0b11);
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let outcome = Adf400l::set_parameters(&mut host, &call(), &parameters);
        (outcome, host)
    };
    let two = [("price-flat", number(65)), ("alarm-2", number(100_000))];
    let (outcome, host) = set(Fault::None, &two);
    assert_eq!(outcome, Ok(SetOutcome::Confirmed));
    assert_eq!([0x0505, 0x0506, 0x050B, 0x050C].map(|n| host.word(n)), [0, 65, 1, 34464]);
    let (outcome, _) = set(Fault::ReplyLost, &two);
    assert_eq!(outcome, Ok(SetOutcome::Confirmed), "the registers are the proof");
    let (outcome, _) = set(Fault::RequestLost, &two);
    assert!(matches!(outcome, Ok(SetOutcome::Unknown(_))), "{outcome:?}");
    let (outcome, _) = set(Fault::Exception(2), &two);
    assert!(matches!(outcome, Ok(SetOutcome::Refused(_))), "{outcome:?}");
    let (outcome, host) = set(Fault::None, &[("automatic-control", Value::Flag(true))]);
    assert_eq!((outcome, host.word(0x0311)), (Ok(SetOutcome::Confirmed), 0));

    for bad in [
        &[][..],
        &[("price-flat", number(-1))],
        &[("price-flat", number(1 << 32))],
        &[("price-flat", Value::Text("65".to_owned()))],
        &[("price-flat", number(1)), ("price-flat", number(1))],
        &[("price-flat", number(1)), ("price-odd", number(1))],
        &[("prepaid-mode", number(1))],
        &[("automatic-control", Value::Flag(false))],
    ] {
        let (outcome, host) = set(Fault::None, bad);
        let code = outcome.err().map(|DriverError { code, .. }| code);
        assert_eq!(code, Some(error::BAD_PARAMETER), "{bad:?}");
        assert!(host.requests.is_empty(), "nothing is written before all is understood");
    }
}
