//! DL/T 698.45 meters: addresses and wildcards, answers in parts, records, the clock, the relay. Frames
//! are made here a second time, with a check by table instead of by bits.

use crate::host::{Host, bytes};
use jiff::civil::date;
use meter_sim::{BusKind, BusPlan, Dlt698Plan, Meters, Plan, Simulator};

fn simulator(meters: Vec<Dlt698Plan>) -> Simulator {
    let bus = BusPlan::new("line", BusKind::Tcp, Meters::Dlt698(meters));
    Simulator::start(Plan { buses: vec![bus] }).unwrap()
}

fn meter(address: &str) -> Dlt698Plan {
    Dlt698Plan {
        address: address.to_owned(),
        tariff_energies: [100, 200, 300, 400],
        money_fen: 12_345,
        purchase_count: 7,
        clock: Some(date(2026, 3, 2).at(10, 11, 12, 0)),
        wake_up_bytes: 0,
        ..Dlt698Plan::default()
    }
}

/// X-25, by a table of 256.
fn check(bytes: &[u8]) -> [u8; 2] {
    let row = |index: u16| {
        (0..8).fold(index, |row, _| if row & 1 == 1 { row >> 1 ^ 0x8408 } else { row >> 1 })
    };
    let table: Vec<u16> = (0..256).map(row).collect();
    let crc = bytes
        .iter()
        .fold(u16::MAX, |crc, byte| crc >> 8 ^ table[usize::from((crc ^ u16::from(*byte)) & 0xFF)]);
    (!crc).to_le_bytes()
}

/// `address` high pair first; `flag` is its kind and length.
fn frame(control: u8, flag: u8, address: &str, apdu: &[u8]) -> Vec<u8> {
    let mut address = bytes(address);
    address.reverse();
    let length = u16::try_from(address.len() + apdu.len() + 9).unwrap().to_le_bytes();
    let head = [&length[..], &[control, flag], &address, &[0x10]].concat();
    let body = [&head[..], &check(&head), apdu].concat();
    [&[0x68][..], &body, &check(&body), &[0x16]].concat()
}

const METER: &str = "003708191239";

fn ask(apdu: &str) -> Vec<u8> {
    frame(0x43, 0x05, METER, &bytes(apdu))
}

fn answer(apdu: &str) -> Vec<u8> {
    frame(0xC3, 0x05, METER, &bytes(apdu))
}

#[test]
fn a_meter_hears_its_address_and_wildcards() {
    let simulator = simulator(vec![meter(METER), meter("003708191240")]);
    let mut host = Host::connect(&simulator, "line");
    let question = bytes("05 01 05 40 01 02 00 00");
    let own = answer("85 01 05 40 01 02 00 01 09 06 00 37 08 19 12 39 00 00");
    assert_eq!(host.ask(&frame(0x43, 0x05, METER, &question)), own);
    assert_eq!(host.ask(&frame(0x43, 0x45, "AAAAAAAAAA39", &question)), own);
    assert_eq!(host.ask(&[&[0xFE; 4][..], &ask("05 01 05 40 01 02 00 00")].concat()), own);
    for (control, flag, address) in [
        (0x43, 0x45, "AAAAAAAAAA38"),
        (0x43, 0x05, "AAAAAAAAAAAA"),
        (0x43, 0x03, "08191239"),
        // An answer of another meter, and a frame of the link itself.
        (0xC3, 0x05, METER),
        (0x41, 0x05, METER),
    ] {
        host.send(&frame(control, flag, address, &question));
        assert!(host.silent(), "{control:02X} {flag:02X} {address}");
    }
    let mut spoilt = ask("05 01 05 40 01 02 00 00");
    spoilt[16] ^= 1;
    host.send(&spoilt);
    assert!(host.silent(), "a wrong check");
}

#[test]
fn values_come_alone_and_in_a_list_or_are_refused() {
    let simulator = simulator(vec![meter(METER)]);
    let mut host = Host::connect(&simulator, "line");
    let energy = "01 05 06 00 00 03 E8 06 00 00 00 64 06 00 00 00 C8 06 00 00 01 2C 06 00 00 01 90";
    let purse = "02 02 06 00 00 30 39 06 00 00 00 07";
    for (asked, told) in [
        ("05 01 01 00 10 02 00 00", format!("85 01 01 00 10 02 00 01 {energy} 00 00")),
        ("05 01 02 20 2C 02 00 00", format!("85 01 02 20 2C 02 00 01 {purse} 00 00")),
        ("05 01 03 20 99 02 00 00", "85 01 03 20 99 02 00 00 06 00 00".to_owned()),
        (
            "05 02 04 02 00 10 02 00 20 99 02 00 00",
            format!("85 02 04 02 00 10 02 00 01 {energy} 20 99 02 00 00 06 00 00"),
        ),
    ] {
        assert_eq!(host.ask(&ask(asked)), answer(&told), "{asked}");
    }
}

#[test]
fn a_long_answer_comes_in_parts_that_are_confirmed() {
    let plan = Dlt698Plan { answer_bytes_max: 16, ..meter(METER) };
    let simulator = simulator(vec![plan]);
    let mut host = Host::connect(&simulator, "line");
    let part = |apdu: &str| frame(0xE3, 0x05, METER, &bytes(apdu));
    let confirm = |number: &str| frame(0x63, 0x05, METER, &bytes(number));
    let first = part("00 00 85 01 01 00 10 02 00 01 01 05 06 00 00 03 E8 06");
    assert_eq!(host.ask(&ask("05 01 01 00 10 02 00 00")), first);
    let second = part("01 C0 00 00 00 64 06 00 00 00 C8 06 00 00 01 2C 06 00");
    assert_eq!(host.ask(&confirm("00 80")), second);
    assert_eq!(host.ask(&confirm("01 80")), part("02 40 00 01 90 00 00"));
    host.send(&confirm("02 80"));
    assert!(host.silent(), "nothing is left");
}

#[test]
fn a_day_is_frozen_at_its_end_and_found_as_a_record() {
    let simulator = simulator(vec![Dlt698Plan { load_watts: 1_000, ..meter(METER) }]);
    let mut host = Host::connect(&simulator, "line");
    let last = "05 03 01 50 04 02 00 09 01 02 00 20 21 02 00 00 00 10 02 00 00";
    let columns = "50 04 02 00 02 00 20 21 02 00 00 00 10 02 00";
    assert_eq!(host.ask(&ask(last)), answer(&format!("85 03 01 {columns} 01 00 00 00")));
    simulator.advance(14 * 3600);
    let told = host.ask(&ask(last));
    let row = bytes(&format!("85 03 01 {columns} 01 01 1C 07 EA 03 03 00 00 00 01 05"));
    assert_eq!(told[14..14 + row.len()], row[..], "{told:02X?}");
    // 13 h 48 min 48 s of a kilowatt.
    assert_eq!(told[14 + row.len()..][..5], bytes("06 00 00 09 4D"), "{told:02X?}");
}

#[test]
fn the_clock_is_set_and_nothing_else_is() {
    let simulator = simulator(vec![meter(METER)]);
    let mut host = Host::connect(&simulator, "line");
    for (asked, dar) in [
        ("40 00 02 00 1C 07 EA 0B 1A 02 0F 00 00", "00"),
        ("40 00 02 00 1C 07 EA 0D 1A 02 0F 00 00", "07"),
        ("40 00 02 00 06 00 00 00 00 00", "07"),
        ("00 10 02 00 06 00 00 00 00 00", "03"),
        ("20 99 02 00 06 00 00 00 00 00", "06"),
    ] {
        let attribute = &asked[..11];
        let told = answer(&format!("86 01 09 {attribute} {dar} 00 00"));
        assert_eq!(host.ask(&ask(&format!("06 01 09 {asked}"))), told, "{asked}");
    }
    let told = answer("85 01 0A 40 00 02 00 01 1C 07 EA 0B 1A 02 0F 00 00 00");
    assert_eq!(host.ask(&ask("05 01 0A 40 00 02 00 00")), told);
}

#[test]
fn the_relay_does_what_it_is_told_in_the_right_words() {
    const TRIP: &str = "80 00 81 00 01 01 02 04 51 F2 05 02 01 11 00 12 00 00 03 00";
    const CLOSE: &str = "80 00 82 00 01 01 02 02 51 F2 05 02 01 16 01";
    let secured = Dlt698Plan { secured: true, ..meter("000000000002") };
    let simulator = simulator(vec![meter(METER), secured]);
    let mut host = Host::connect(&simulator, "line");
    let mut told = |address: &str, asked: &str, dar: &str| {
        let apdu = bytes(&format!("07 01 0B {asked} 00"));
        let said = bytes(&format!("87 01 0B {} {dar} 00 00 00", &asked[..11]));
        let heard = host.ask(&frame(0x43, 0x05, address, &apdu));
        assert_eq!(heard, frame(0xC3, 0x05, address, &said), "{asked}");
        let state = simulator.state(address).unwrap();
        (state.relay_closed, state.relay_command_open, state.keep_power)
    };
    assert_eq!(told(METER, TRIP, "00"), (false, true, false));
    assert_eq!(told(METER, CLOSE.replace("16 01", "16 00").as_str(), "00"), (false, false, false));
    assert_eq!(told(METER, CLOSE, "00"), (true, false, false));
    assert_eq!(told(METER, "80 01 7F 00 00", "00"), (true, false, true));
    assert_eq!(told(METER, TRIP, "00"), (true, true, true));
    assert_eq!(told(METER, "80 01 80 00 00", "00"), (true, true, false));
    assert_eq!(told(METER, TRIP.replace("11 00", "16 00").as_str(), "07"), (true, true, false));
    assert_eq!(told(METER, "80 00 99 00 00", "06"), (true, true, false));
    assert_eq!(told("000000000002", TRIP, "03"), (true, false, false));
}
