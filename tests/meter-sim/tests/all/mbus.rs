//! M-Bus meters: who answers which selection, what two answers at once look like, and several
//! protocols on one line. Telegrams are written by hand from EN 13757-2.

use crate::host::{Host, bytes, frame};
use jiff::civil::date;
use meter_sim::{
    BusKind, BusPlan, Cjt188Plan, Dlt645Plan, Editions, MbusPlan, Meters, Plan, Simulator,
};

fn simulator(meters: Meters) -> Simulator {
    let bus = BusPlan::new("line", BusKind::Tcp, meters);
    Simulator::start(Plan { buses: vec![bus] }).unwrap()
}

fn meter(primary: u8, number: &str) -> MbusPlan {
    MbusPlan {
        primary,
        number: number.to_owned(),
        counted: 54_321,
        clock: Some(date(2026, 3, 2).at(10, 11, 0, 0)),
        ..MbusPlan::default()
    }
}

fn short(control: u8, address: u8) -> Vec<u8> {
    vec![0x10, control, address, control.wrapping_add(address), 0x16]
}

fn select(pattern: &str) -> Vec<u8> {
    let body = [&[0x53, 0xFD, 0x52][..], &bytes(pattern)].concat();
    let sum = body.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    [&[0x68, 0x0B, 0x0B, 0x68][..], &body, &[sum, 0x16]].concat()
}

/// Number 12345678 of SIM, version 1, water: 54.321 m3 at 10:11 on 2 March 2026.
const ANSWER: &str = "68 1B 1B 68 08 05 72 78 56 34 12 2D 4D 01 07 01 00 00 00 \
                      04 13 31 D4 00 00 04 6D 0B 0A 42 33 2D 16";

#[test]
fn a_meter_answers_its_address_and_whoever_selects_it() {
    let simulator = simulator(Meters::Mbus(vec![meter(5, "12345678")]));
    let mut host = Host::connect(&simulator, "line");
    assert_eq!(host.ask(&short(0x40, 5)), [0xE5]);
    assert_eq!(host.ask(&short(0x7B, 5)), bytes(ANSWER));
    for (pattern, selected) in [
        ("FFFFFFFFFFFFFFFF", true),
        ("78563412FFFFFFFF", true),
        ("FFFFFF1FFFFFFFFF", true),
        ("785634122D4D0107", true),
        ("FFFFFF2FFFFFFFFF", false),
        ("78563412FFFF01FF", true),
        ("78563412FFFF02FF", false),
        ("78563412FFFFFF06", false),
        ("78563412004DFFFF", false),
    ] {
        host.send(&select(pattern));
        assert_eq!(selected, !host.silent(), "{pattern}");
        host.send(&short(0x7B, 0xFD));
        assert_eq!(selected, !host.silent(), "{pattern}: data");
    }
    // Deselected; somebody else's address; a spoilt sum.
    host.ask(&select("FFFFFFFFFFFFFFFF"));
    assert_eq!(host.ask(&short(0x40, 0xFD)), [0xE5]);
    for silent in [short(0x7B, 0xFD), short(0x7B, 6), bytes("10 7B 05 81 16")] {
        host.send(&silent);
        assert!(host.silent(), "{silent:02X?}");
    }
}

#[test]
fn two_that_answer_at_once_say_yes_and_garble_their_data() {
    let meters = vec![meter(1, "12345678"), meter(2, "12345679")];
    let simulator = simulator(Meters::Mbus(meters));
    let mut host = Host::connect(&simulator, "line");
    assert_eq!(host.ask(&select("FFFFFF12FFFFFFFF")), [0xE5]);
    let garbled = host.ask(&short(0x7B, 0xFD));
    let sum = garbled[4..garbled.len() - 2].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    assert_ne!(garbled[garbled.len() - 2], sum, "{garbled:02X?}");
    // The second one is no longer selected by the first one's number.
    assert_eq!(host.ask(&select("78563412FFFFFFFF")), [0xE5]);
    assert_eq!(host.ask(&short(0x7B, 0xFD))[7..11], bytes("78563412"));
}

#[test]
fn a_plan_that_is_none_is_refused() {
    for wrong in [
        MbusPlan { primary: 251, ..MbusPlan::default() },
        MbusPlan { number: "1234567".to_owned(), ..MbusPlan::default() },
        MbusPlan { maker: "Sim".to_owned(), ..MbusPlan::default() },
    ] {
        let bus = BusPlan::new("line", BusKind::Tcp, Meters::Mbus(vec![wrong]));
        assert!(Simulator::start(Plan { buses: vec![bus] }).is_err());
    }
}

/// Each protocol has its own ear; a meter of 1997 alone does not know what 2007 brought.
#[test]
fn several_protocols_share_a_line() {
    let old = Dlt645Plan {
        editions: Editions::Of1997,
        wake_up_bytes: 0,
        ..Dlt645Plan::new("000000000097")
    };
    let new = Dlt645Plan { wake_up_bytes: 0, ..Dlt645Plan::new("000000000001") };
    let simulator = simulator(Meters::Mixed(vec![
        Meters::Dlt645(vec![new, old]),
        Meters::Cjt188(vec![Cjt188Plan { wake_up_bytes: 0, ..Cjt188Plan::default() }]),
        Meters::Mbus(vec![meter(5, "12345678")]),
    ]));
    let mut host = Host::connect(&simulator, "line");
    // Read address: only the one of 2007. Forward energy of 1997: only the other.
    let answer = host.ask(&frame("AAAAAAAAAAAA", 0x13, &[]));
    assert_eq!(answer[1], 0x01, "{answer:02X?}");
    let answer = host.ask(&frame("AAAAAAAAAAAA", 0x01, &[0x10, 0x90]));
    assert_eq!(answer[1], 0x97, "{answer:02X?}");
    assert_eq!(host.ask(&short(0x7B, 5))[7..11], bytes("78563412"));
    let water = bytes("68 AA AA AA AA AA AA AA AA 03 03 0A 81 00 49 16");
    assert_eq!(host.ask(&water)[2], 0x01);
}
