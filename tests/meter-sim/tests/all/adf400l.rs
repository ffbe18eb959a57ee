//! The ADF400L user: registers, the sale and its list, exceptions, the control word.

use jiff::civil::date;
use meter_sim::{Adf400lPlan, BusKind, BusPlan, Event, Kind, Meters, Plan, Simulator};

use crate::host::{Host, bytes};

fn start(users: Vec<Adf400lPlan>) -> (Simulator, Host) {
    let bus = BusPlan::new("box", BusKind::Tcp, Meters::Adf400l(users));
    let simulator = Simulator::start(Plan { buses: vec![bus] }).unwrap();
    let host = Host::connect(&simulator, "box");
    (simulator, host)
}

fn user() -> Adf400lPlan {
    Adf400lPlan {
        balance_fen: 1_234,
        purchase_count: 3,
        total_purchased_fen: 70_000,
        energy: 0x0001_0203,
        clock: Some(date(2026, 3, 4).at(12, 34, 56, 0)),
        ..Adf400lPlan::new(5)
    }
}

/// CRC-16/MODBUS by long division over the reflected bits, in other words than the meter's.
fn sealed(body: &str) -> Vec<u8> {
    let mut frame = bytes(body);
    let mut rest: u16 = 0xFFFF;
    for byte in &frame {
        rest ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = rest % 2;
            rest /= 2;
            rest ^= carry * 0xA001;
        }
    }
    frame.push((rest % 256) as u8);
    frame.push((rest / 256) as u8);
    frame
}

#[test]
fn a_published_check() {
    // modbus.org's own example of a read: 01 03 00 00 00 0A has the check C5 CD.
    assert_eq!(sealed("01 03 0000 000A"), bytes("01030000000AC5CD"));
}

#[test]
fn registers_and_exceptions() {
    let three_phase = Adf400lPlan { unit: 6, three_phase: true, ..user() };
    let (_simulator, mut host) = start(vec![user(), three_phase]);
    let mut check = |asked: &str, answered: &str| {
        let reply = host.ask(&sealed(asked));
        assert_eq!(hex::encode(reply), hex::encode(sealed(answered)), "{asked}");
    };
    check("05 03 0306 0002", "05 03 04 00010203");
    check("05 03 030A 0005", "05 03 0A 000004D2 00011170 0003");
    check("05 04 030E 0001", "05 04 02 0003");
    check("05 03 0311 0001", "05 03 02 0000");
    check("05 03 0908 0001", "05 03 02 0000");
    check("05 03 0501 0008", "05 03 10 00000066 00000056 0000003A 00000020");
    check("05 03 0509 0004", "05 03 08 000007D0 000003E8");
    check("05 03 1B00 000A", "05 03 14 1A03040C2238 0003 000004D2 000004D2 00011170");
    check("05 03 1B01 000A", "05 03 14 0000000000000000000000000000000000000000");
    check("06 03 035E 0002", "06 03 04 00010203");
    check("06 03 0362 0005", "06 03 0A 000004D2 00011170 0003");
    check("06 03 0536 0003", "06 03 06 0001 00000066");
    // Wednesday the fourth of March 2026, 12:34:56.
    check("06 03 090B 0004", "06 03 08 3822 0C03 0403 1A00");
    check("05 03 0400 0008", "05 03 10 00000000 00000000 00010203 00000000");
    // Another family of registers, the end of a block, too many, none.
    check("05 03 035E 0002", "05 83 02");
    check("06 03 0306 0002", "06 83 02");
    check("05 03 0320 0002", "05 83 02");
    check("05 03 FFFF 0002", "05 83 02");
    check("05 03 1B13 000B", "05 83 02");
    check("05 03 0300 0000", "05 83 03");
    check("05 03 0300 007E", "05 83 03");
    check("05 05 0300 FF00", "05 85 01");
    check("05 2B 0E01 00", "05 AB 01");
    check("05 06 0306 0001", "05 86 02");
    check("05 10 0501 0002 02 0000", "05 90 03");
    check("05 10 050C 0002 04 00000000", "05 90 02");
    check("05 06 0801 0101", "05 86 03");
}

#[test]
fn others_and_wrong_checks_are_silent() {
    let (_simulator, mut host) = start(vec![user()]);
    for asked in [sealed("07 03 0306 0002"), sealed("00 06 0801 0100"), bytes("0503030600020000")] {
        host.send(&asked);
        assert!(host.silent(), "{asked:02X?}");
    }
    // And the line is not deaf afterwards, also behind noise and for torn frames.
    let ask = sealed("05 03 0311 0001");
    let answer = sealed("05 03 02 0000");
    assert_eq!(host.ask(&[vec![0xFF, 0x00], ask.clone()].concat()), answer);
    for byte in &ask {
        host.send(&[*byte]);
    }
    assert_eq!(host.listen(), answer);
}

#[test]
fn a_sale_and_its_proof() {
    let three_phase = Adf400lPlan { unit: 6, three_phase: true, ..user() };
    let (simulator, mut host) = start(vec![user(), three_phase]);
    let mut check = |asked: &str, answered: &str, meter: &str, credited: u64| {
        assert_eq!(host.ask(&sealed(asked)), sealed(answered), "{asked}");
        assert_eq!(simulator.state(meter).unwrap().credited_fen, credited, "{asked}");
    };
    check("05 10 050D 0003 06 00001388 0004", "05 10 050D 0003", "5", 5_000);
    // Acknowledged, yet nothing is credited.
    check("05 10 050D 0003 06 00001388 0004", "05 10 050D 0003", "5", 5_000);
    check("05 10 050D 0003 06 00001388 0006", "05 90 03", "5", 5_000);
    check("05 10 050D 0003 06 00001388 0003", "05 90 03", "5", 5_000);
    check("05 10 050D 0003 06 05F5E100 0005", "05 90 03", "5", 5_000);
    check("05 10 050D 0002 04 00001388", "05 90 03", "5", 5_000);
    check("05 10 050E 0002 04 13880005", "05 90 02", "5", 5_000);
    check("05 03 1B00 000A", "05 03 14 1A03040C2238 0004 00001388 0000185A 000124F8", "5", 5_000);
    check("05 03 050D 0003", "05 03 06 00001388 0004", "5", 5_000);
    check("06 10 0543 0003 06 00000064 0004", "06 10 0543 0003", "6", 100);
    check("06 10 050D 0003 06 00000064 0005", "06 90 02", "6", 100);
    // Metering mode sells nothing.
    check("05 06 0908 0100", "05 06 0908 0100", "5", 5_000);
    check("05 10 050D 0003 06 00001388 0005", "05 90 03", "5", 5_000);
    let state = simulator.state("5").unwrap();
    assert_eq!((state.money_fen, state.count, state.credits, state.sell_frames), (6_234, 4, 1, 7));
}

#[test]
fn the_list_holds_twenty() {
    let (_simulator, mut host) = start(vec![Adf400lPlan::new(1)]);
    for count in 1..=21 {
        host.ask(&sealed(&format!("01 10 050D 0003 06 000000{count:02X} {count:04X}")));
    }
    let last = host.ask(&sealed("01 03 1B13 000A"));
    // The oldest is the second: count 2, amount 2.
    assert_eq!(last[9..15], bytes("0002 00000002"));
}

#[test]
fn control_word_settings_and_load() {
    let (simulator, mut host) = start(vec![Adf400lPlan { load_watts: 1_000, ..user() }]);
    let state = || simulator.state("5").unwrap();
    let mut write = |asked: &str, status: &str| {
        host.ask(&sealed(asked));
        assert_eq!(host.ask(&sealed("05 03 0311 0001"))[3..5], bytes(status), "{asked}");
    };
    write("05 06 0801 0100", "0003");
    simulator.advance(3_600);
    assert_eq!((state().energy, state().relay_closed), (0x0001_0203, false));
    write("05 06 0801 0001", "0002");
    write("05 06 0801 0000", "0000");
    write("05 10 0505 0002 04 000003E8", "0000"); // flat: 10 yuan
    simulator.advance(3_600);
    assert_eq!((state().energy, state().money_fen), (0x0001_0203 + 100, 234));
    simulator.advance(3_600);
    assert!(state().money_fen <= 0 && !state().relay_closed, "{:?}", state());
    write("05 10 050D 0003 06 00001388 0004", "0000");
    assert!(state().relay_closed);
}

#[test]
fn clock_months_and_held_tables() {
    let (simulator, mut host) = start(vec![Adf400lPlan { load_watts: 1_000, ..user() }]);
    let mut check = |asked: &str, answered: &str| {
        let reply = host.ask(&sealed(asked));
        assert_eq!(hex::encode(reply), hex::encode(sealed(answered)), "{asked}");
    };
    // The last day of March, 23:30; then a day there is none of.
    check("05 10 090B 0004 08 001E 1702 1F03 1A00", "05 10 090B 0004");
    check("05 10 090B 0004 08 001E 1702 1F0D 1A00", "05 90 03");
    check("05 10 090B 0003 06 001E 1702 1F03", "05 90 03");
    check("05 03 1A00 000A", "05 03 14 0000000000000000000000000000000000000000");
    simulator.advance(3_600);
    check("05 03 1A00 000A", "05 03 14 1A04 0100 00000000 00000000 00010203 00000032");
    check("05 03 1A0B 000B", "05 83 02");
    check("05 10 0700 0002 04 0001 1388", "05 10 0700 0002");
    check("05 03 0700 0003", "05 03 06 0001 1388 0000");
    check("05 10 0718 0001 02 0001", "05 90 02");
    check("05 10 0707 0002 04 0001 0001", "05 90 02");
    check("05 10 0510 0002 04 00000064", "05 10 0510 0002");
    check("05 03 0510 0002", "05 03 04 00000064");
}

#[test]
fn kinds_of_requests() {
    let (simulator, mut host) = start(vec![user()]);
    let mut events = simulator.events();
    let mut check = |asked: &str, expected: Kind| {
        host.ask(&sealed(asked));
        let Ok(Event::Request { kind, .. }) = events.try_recv() else { panic!("no event") };
        assert_eq!(kind, expected, "{asked}");
    };
    check("05 03 0300 0021", Kind::Read);
    check("05 03 030A 0002", Kind::Read);
    check("05 03 030A 0005", Kind::Check);
    check("05 03 030E 0001", Kind::Check);
    check("05 03 1B03 000A", Kind::Check);
    check("05 10 050D 0003 06 00000001 0009", Kind::Sell);
    check("05 06 0801 0000", Kind::Control);
    check("05 10 0509 0002 04 00000000", Kind::Write);
    check("05 05 0000 FF00", Kind::Other);
}
