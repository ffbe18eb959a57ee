//! M-Bus meters: who answers which selection, what two answers at once look like, and several
//! protocols on one line. Telegrams are written by hand from EN 13757-2.

use crate::host::{Host, bytes, frame};
use jiff::civil::date;
use meter_sim::{
    BusKind, BusPlan, Cjt188Plan, Dlt645Plan, Editions, MbusPlan, MbusStored, Meters, Plan,
    Simulator,
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

/// A telegram to a meter, with its sum.
fn long(body: &str) -> Vec<u8> {
    let body = bytes(body);
    let length = u8::try_from(body.len()).unwrap();
    let sum = body.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    [&[0x68, length, length, 0x68][..], &body, &[sum, 0x16]].concat()
}

#[test]
fn the_past_comes_in_telegrams_by_the_frame_count_bit() {
    let day =
        |month: i8| MbusStored { on: date(2025, month, 28), counted: month.unsigned_abs().into() };
    let stored: Vec<MbusStored> = (1..=12).chain(1..=8).map(day).collect();
    let simulator = simulator(Meters::Mbus(vec![MbusPlan { stored, ..meter(5, "12345678") }]));
    let mut host = Host::connect(&simulator, "line");
    host.ask(&short(0x40, 5));
    let records = |told: Vec<u8>| told[19..told.len() - 2].to_vec();
    let first = records(host.ask(&short(0x7B, 5)));
    // Of now; then the stores 1 and 2 with their days.
    let begin = "0413 31D40000 046D 0B0A4233 4413 01000000 426C 3C31 840113 02000000 82016C 3C32";
    assert!(first.starts_with(&bytes(begin)), "{first:02X?}");
    assert_eq!(first.last(), Some(&0x1F), "more follows");
    // The same bit asks again, the other one goes on; behind the last one the first comes again.
    assert_eq!(records(host.ask(&short(0x7B, 5))), first);
    let second = records(host.ask(&short(0x5B, 5)));
    assert_eq!(second, bytes("840A13 08000000 820A6C 3C38"));
    assert_eq!(records(host.ask(&short(0x5B, 5))), second);
    assert_eq!(records(host.ask(&short(0x7B, 5))), first);
    host.ask(&short(0x5B, 5));
    assert_eq!(host.ask(&short(0x40, 5)), [0xE5]);
    assert_eq!(records(host.ask(&short(0x7B, 5))), first, "the link was begun anew");
}

#[test]
fn a_clock_gains_and_takes_the_time_as_it_tells_it() {
    let plan = MbusPlan { clock_gains: 120, ..meter(5, "12345678") };
    let exact = MbusPlan { clock_seconds: true, ..meter(6, "12345679") };
    let simulator = simulator(Meters::Mbus(vec![plan, exact]));
    let mut host = Host::connect(&simulator, "line");
    let clock = |host: &mut Host, address: u8| {
        host.ask(&short(0x40, address));
        let told = host.ask(&short(0x7B, address));
        told[25..told.len() - 2].to_vec()
    };
    for _ in 0..4 {
        simulator.advance(6 * 3_600);
    }
    assert_eq!(clock(&mut host, 5), bytes("046D 0D0A4333"), "two minutes ahead in a day");
    assert_eq!(clock(&mut host, 6), bytes("066D 000B0A433300"));
    host.ask(&short(0x40, 5));
    assert_eq!(host.ask(&long("73 05 51 046D 1E0B4233")), [0xE5]);
    assert_eq!(clock(&mut host, 5), bytes("046D 1E0B4233"));
    // The count bit of the question before would make it a frame that came already.
    assert_eq!(host.ask(&long("73 06 51 066D 071E0B423300")), [0xE5]);
    assert_ne!(clock(&mut host, 6), bytes("066D 071E0B423300"));
    host.ask(&short(0x40, 6));
    assert_eq!(host.ask(&long("73 06 51 066D 071E0B423300")), [0xE5]);
    assert_eq!(clock(&mut host, 6), bytes("066D 071E0B423300"));
    // Another form, a day that does not exist, a time that is marked as invalid, another quantity.
    for refused in [
        "53 05 51 066D 001E0B423300",
        "53 05 51 046D 1E0B5E32",
        "53 05 51 046D 9E0B4233",
        "53 05 51 0413 1E0B4233",
        "53 05 51",
    ] {
        host.ask(&short(0x40, 5));
        host.send(&long(refused));
        assert!(host.silent(), "{refused}");
    }
    assert_eq!(clock(&mut host, 5), bytes("046D 1E0B4233"));
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
