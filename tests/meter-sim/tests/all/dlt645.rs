//! Reading, addressing, writing and the relay of the DL/T 645 meter.

use jiff::civil::date;
use meter_sim::{BusKind, Dlt645Plan, Editions, RelayReplies};

use crate::host::{ADDRESS, Host, bytes, data, dlt645, frame, identifier};

fn plan() -> Dlt645Plan {
    Dlt645Plan {
        money_fen: 19_856,
        overdraft_fen: 1_234,
        overdraft_limit_fen: 5_000,
        purchase_count: 17,
        customer: Some("000000123456".into()),
        tariff_energies: [100, 200, 300, 123_456],
        load_watts: 2_200,
        clock: Some(date(2026, 3, 4).at(12, 34, 56, 0)),
        ..Dlt645Plan::new(ADDRESS)
    }
}

#[test]
fn published_frames() {
    // The reply is a published capture (dlt645.jsonl); the others are made by hand from the layout.
    let meter = |address: &str| Dlt645Plan {
        tariff_energies: [0, 0, 186, 0],
        voltage_decivolts: 2_301,
        ..Dlt645Plan::new(address)
    };
    let simulator = dlt645(BusKind::Tcp, vec![meter("201709320072"), meter("100000000001")]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |asked: &str, answered: &str| {
        assert_eq!(hex::encode_upper(host.ask(&bytes(asked))), answered.replace(' ', ""));
    };
    check(
        "FEFE 68 72 00 32 09 17 20 68 11 04 33 33 34 33 96 16",
        "68 72 00 32 09 17 20 68 91 08 33 33 34 33 B9 34 33 33 6D 16",
    );
    // Phase 0 has no voltage: a captured request, answered "no such data".
    check("6801000000001068110433333435C516", "68 01 00 00 00 00 10 68 D1 01 35 E8 16");
    // 230.1 V in phase A.
    check(
        "68 01 00 00 00 00 10 68 11 04 33 34 34 35 C6 16",
        "68 01 00 00 00 00 10 68 91 06 33 34 34 35 34 56 D2 16",
    );
}

#[test]
fn items() {
    let simulator = dlt645(BusKind::Tcp, vec![plan()]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |item: &str, value: &str| {
        let reply = host.ask(&frame(ADDRESS, 0x11, &identifier(item)));
        let expected = [identifier(item), bytes(value)].concat();
        assert_eq!(data(&reply), (0x91, expected), "{item}");
    };
    check("00010000", "56 40 12 00");
    check("00010300", "00 03 00 00");
    check("0001FF00", "56401200 00010000 00020000 00030000 56341200");
    check("0000FF00", "56401200 00010000 00020000 00030000 56341200");
    check("00020000", "00 00 00 00");
    check("00900200", "56 98 01 00");
    check("00900201", "34 12 00 00");
    check("02010100", "00 22");
    check("0201FF00", "0022 FFFF FFFF");
    check("02020100", "00 00 01"); // 10 A
    check("02030000", "00 20 02"); // 2.2 kW
    check("0203FF00", "002002 002002 FFFFFF FFFFFF");
    check("02060000", "00 10");
    check("02800002", "00 50");
    check("02800020", "00 58 00 00"); // flat at noon, 0.58 yuan
    check("02800022", "00 00");
    check("04000101", "03 04 03 26"); // Wednesday
    check("04000102", "56 34 12");
    check("0400010C", "56 34 12 03 04 03 26");
    check("04000401", "01 00 00 00 00 00");
    check("0400040E", "56 34 12 00 00 00");
    check("04000503", "00 02"); // closed, a money purse, opened
    check("040005FF", "0000 0000 0002 0000 0000 0000 0000");
    check("04001001", "00 20 00 00");
    check("040501FF", "00020100 00860000 00580000 00320000");
    check("03330201", "17 00");
    check("03330200", "17 00");
    check("03330301", "56 98 01 00");
    check("03330101", "34 12 04 03 26");
    check("033303FF", "56 98 01 00");
    check("0333FF01", "3412040326 1700 56980100 00000000 56980100 56980100");
}

#[test]
fn refused_requests() {
    let simulator = dlt645(BusKind::Tcp, vec![plan()]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |control: u8, asked: &[u8], error: u8| {
        let reply = host.ask(&frame(ADDRESS, control, asked));
        assert_eq!(data(&reply), (control | 0xC0, vec![error]), "{control:02X} {asked:02X?}");
    };
    check(0x11, &identifier("00900100"), 0x02); // an energy purse
    check(0x11, &identifier("03330302"), 0x02); // no second purchase
    check(0x11, &identifier("033302FE"), 0x02);
    check(0x11, &[], 0x01);
    check(0x12, &bytes("00000100 01"), 0x02);
    check(0x15, &bytes("020000000000"), 0x01);
    let alarm = |rest: &str| [identifier("04001001"), bytes(rest)].concat();
    check(0x14, &alarm("04 000001 00000000 00500000"), 0x04); // wrong password
    check(0x14, &alarm("02 000000 00000000 00500000"), 0x04); // wrong level
    check(0x14, &alarm("04 000000 00000000 0050000A"), 0x01); // no BCD
    check(0x14, &alarm("04 000000 00000000 005000"), 0x01);
    let unknown = [identifier("04001009"), bytes("04 000000 00000000 00500000")].concat();
    check(0x14, &unknown, 0x02);
    check(0x1A, &bytes("02 000001 00000000"), 0x04);
}

#[test]
fn addresses() {
    let alone = dlt645(BusKind::Tcp, vec![Dlt645Plan::new("123456789012")]);
    let mut host = Host::connect(&alone, "line");
    let mut check = |asked: &str, control: u8, sent: &[u8], heard: bool| {
        host.send(&frame(asked, control, sent));
        if heard {
            // Whoever asked by wildcard learns the true address.
            assert_eq!(host.listen()[1..7], bytes("129078563412"), "{asked}");
        } else {
            assert!(host.silent(), "{asked} {control:02X}");
        }
    };
    let energy = identifier("00010000");
    check("123456789012", 0x11, &energy, true);
    check("AAAAAAAAAAAA", 0x11, &energy, true);
    check("AAAAAAAAAAAA", 0x13, &[], true);
    check("AAAAAAAA9012", 0x11, &energy, true); // shortened
    check("12AAAAAA9012", 0x11, &energy, false); // a wildcard behind a real pair
    check("AAAAAAAA9013", 0x11, &energy, false);
    check("AAAAAAAAAAAA", 0x1A, &bytes("02 000000 00000000"), false);
    check("AAAAAAAAAAAA", 0x1C, &[0; 16], false);
    check("AAAAAAAAAAAA", 0x03, &[0; 8], false);
    check("999999999999", 0x11, &energy, false); // broadcast: only time, freeze, multi-function
    check("999999999999", 0x08, &bytes("000000010126"), false);
    check("123456789012", 0x91, &energy, false); // a reply, not a request
    check("000000000007", 0x11, &energy, false);

    // Two meters answer the wildcard at once: what is heard is no frame of either.
    let both = dlt645(
        BusKind::Tcp,
        vec![Dlt645Plan::new("000000000001"), Dlt645Plan::new("000000000002")],
    );
    let reply = Host::connect(&both, "line").ask(&frame("AAAAAAAAAAAA", 0x13, &[]));
    let sum = reply[..reply.len() - 2].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    assert_ne!(sum, reply[reply.len() - 2], "{reply:02X?}");
}

#[test]
fn time_broadcast() {
    let meter = Dlt645Plan { clock: Some(date(2026, 3, 4).at(12, 0, 0, 0)), ..plan() };
    let simulator = dlt645(BusKind::Tcp, vec![meter]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |sent: &str, minute: i8| {
        host.send(&frame("999999999999", 0x08, &bytes(sent)));
        host.ask(&frame(ADDRESS, 0x13, &[]));
        assert_eq!(simulator.state(ADDRESS).unwrap().clock.minute(), minute);
    };
    check("00 10 12 04 03 26", 0); // ten minutes off
    check("00 04 12 04 03 26", 4);
    check("00 05 12 04 03 26", 4); // the second of the day
}

#[test]
fn time_written_with_authority() {
    let meter = Dlt645Plan { clock: Some(date(2026, 3, 4).at(12, 0, 0, 0)), ..plan() };
    let simulator = dlt645(BusKind::Tcp, vec![meter]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |item: &str, password: &str, value: &str, control: u8, shown: &str| {
        let who = bytes(&format!("04 {password} 00000000"));
        let data = [identifier(item), who, bytes(value)].concat();
        let (said, _) = self::data(&host.ask(&frame(ADDRESS, 0x14, &data)));
        let clock = simulator.state(ADDRESS).unwrap().clock.to_string();
        assert_eq!((said, clock.as_str()), (control, shown), "{item} {value}");
    };
    let noon = "2026-03-04T12:00:00";
    check("0400010C", "111111", "00 10 09 01 02 03 26", 0xD4, noon);
    check("0400010C", "000000", "00 10 09 01 30 02 26", 0xD4, noon); // 30 February
    check("0400010C", "000000", "00 10 09 07 02 03 26", 0xD4, noon); // no such day of the week
    check("04000101", "000000", "01 02 03 26", 0x94, "2026-03-02T12:00:00");
    check("04000102", "000000", "05 04 03", 0x94, "2026-03-02T03:04:05");
    check("0400010C", "000000", "00 59 23 04 31 12 26", 0x94, "2026-12-31T23:59:00");
}

#[test]
fn a_stream_of_bytes() {
    let simulator = dlt645(BusKind::Tcp, vec![plan()]);
    let mut host = Host::connect(&simulator, "line");
    let ask = frame(ADDRESS, 0x13, &[]);
    let answer = frame(ADDRESS, 0x93, &bytes("010000000000"));
    // Wake-up bytes, noise with a false start, two frames in one piece, a frame in single bytes.
    assert_eq!(host.ask(&[bytes("FEFEFEFE"), ask.clone()].concat()), answer);
    assert_eq!(host.ask(&[bytes("00 68 FF 16 68"), ask.clone()].concat()), answer);
    host.send(&[ask.clone(), ask.clone()].concat());
    let mut twice = host.listen();
    while twice.len() < 2 * answer.len() {
        twice.extend(host.listen());
    }
    assert_eq!(twice, [answer.clone(), answer.clone()].concat());
    for byte in &ask {
        host.send(&[*byte]);
    }
    assert_eq!(host.listen(), answer);
    // A wrong check and a wrong end are no frames.
    for at in [ask.len() - 1, ask.len() - 2] {
        let mut wrong = ask.clone();
        wrong[at] ^= 1;
        host.send(&wrong);
        assert!(host.silent());
    }
    assert_eq!(host.ask(&ask), answer);
}

#[test]
fn settings_and_clearing() {
    let simulator = dlt645(BusKind::Tcp, vec![plan()]);
    let mut host = Host::connect(&simulator, "line");
    let set = [identifier("04001001"), bytes("04 000000 00000000 00500000")].concat();
    assert_eq!(data(&host.ask(&frame(ADDRESS, 0x14, &set))), (0x94, vec![]));
    let reply = host.ask(&frame(ADDRESS, 0x11, &identifier("04001001")));
    assert_eq!(data(&reply).1[4..], bytes("00500000"));

    let clear = bytes("02 000000 00000000");
    assert_eq!(data(&host.ask(&frame(ADDRESS, 0x1A, &clear))), (0x9A, vec![]));
    let state = simulator.state(ADDRESS).unwrap();
    assert_eq!((state.money_fen, state.overdraft_fen, state.count), (0, 0, 0));
    assert_eq!((state.customer, state.last_purchase, state.energy), (None, None, 0));
}

/// PA 02, password, operator, command, 00 and a validity end.
fn control(command: u8, until: &str) -> Vec<u8> {
    [bytes("02 000000 00000000"), vec![command, 0], bytes(until)].concat()
}

const ALWAYS: &str = "999999999999";

#[test]
fn relay_commands() {
    let simulator = dlt645(BusKind::Tcp, vec![plan()]);
    let mut host = Host::connect(&simulator, "line");
    // Command, validity end, the error byte, then: relay open, command to open, keep power.
    let mut check =
        |command: u8, until: &str, error: Option<u8>, open: bool, order: bool, keep: bool| {
            let reply = data(&host.ask(&frame(ADDRESS, 0x1C, &control(command, until))));
            let expected = error.map_or((0x9C, vec![]), |error| (0xDC, vec![error]));
            assert_eq!(reply, expected, "{command:02X}");
            let status = data(&host.ask(&frame(ADDRESS, 0x11, &identifier("04000503")))).1;
            let status = u16::from_le_bytes([status[4], status[5]]);
            let bits = [4, 6, 12].map(|bit| status >> bit & 1 == 1);
            assert_eq!(bits, [open, order, keep], "{command:02X}");
            let state = simulator.state(ADDRESS).unwrap();
            assert_eq!([!state.relay_closed, state.relay_command_open, state.keep_power], bits);
        };
    check(0x1A, "553412040326", Some(0x01), false, false, false); // one second too late
    check(0x1A, "563412040326", None, true, true, false);
    check(0x1B, ALWAYS, None, true, false, false);
    check(0x1C, ALWAYS, None, false, false, false);
    check(0x3A, ALWAYS, None, false, false, true);
    check(0x1A, ALWAYS, Some(0x01), false, false, true); // refused while power is kept
    check(0x3B, ALWAYS, None, false, false, false);
    check(0x2A, ALWAYS, None, false, false, false);
    check(0x77, ALWAYS, Some(0x01), false, false, false);
    check(0x1A, "001312043226", Some(0x01), false, false, false); // no such day
    check(0x1A, ALWAYS, None, true, true, false);
    check(0x1B, ALWAYS, None, true, false, false);
    simulator.press(ADDRESS).unwrap();
    assert!(simulator.state(ADDRESS).unwrap().relay_closed);
    let wrong = [bytes("02 100000 00000000"), vec![0x1A, 0], bytes(ALWAYS)].concat();
    assert_eq!(data(&host.ask(&frame(ADDRESS, 0x1C, &wrong))), (0xDC, vec![0x04]));
}

#[test]
fn relay_words_and_delays() {
    let meter = Dlt645Plan {
        relay_replies: RelayReplies::Words,
        trip_delay_minutes: 2,
        load_watts: 0,
        ..plan()
    };
    let simulator = dlt645(BusKind::Tcp, vec![meter]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |command: u8, until: &str, code: u8, word: u16| {
        let reply = data(&host.ask(&frame(ADDRESS, 0x1C, &control(command, until))));
        assert_eq!(reply, (code, word.to_le_bytes().to_vec()), "{command:02X}");
    };
    check(0x3A, ALWAYS, 0x9C, 0x0100);
    check(0x1A, ALWAYS, 0xDC, 0x0020);
    check(0x3B, ALWAYS, 0x9C, 0x0200);
    check(0x1A, "000000010120", 0xDC, 0x0010);
    check(0x1A, ALWAYS, 0x9C, 0x0008);
    let closed = || simulator.state(ADDRESS).unwrap().relay_closed;
    assert!(closed());
    simulator.advance(119);
    assert!(closed());
    simulator.advance(1);
    assert!(!closed());
    check(0x1C, ALWAYS, 0x9C, 0x0001);
    assert!(closed());
}

#[test]
fn load_uses_up_the_purse() {
    // 2 kW in the flat tariff at 0.58 yuan: 1.16 yuan an hour.
    let meter = Dlt645Plan {
        money_fen: 1_000,
        overdraft_fen: 0,
        overdraft_limit_fen: 100,
        tariff_energies: [0; 4],
        load_watts: 2_000,
        clock: Some(date(2026, 3, 4).at(11, 0, 0, 0)),
        ..plan()
    };
    let simulator = dlt645(BusKind::Tcp, vec![meter]);
    let state = || simulator.state(ADDRESS).unwrap();
    simulator.advance(3_600);
    assert_eq!((state().energy, state().money_fen), (200, 884));
    // In pieces it comes to the same.
    for _ in 0..3_600 {
        simulator.advance(1);
    }
    assert_eq!((state().energy, state().money_fen), (400, 768));
    simulator.advance(10 * 86_400);
    let spent = state();
    assert_eq!((spent.money_fen, spent.relay_closed), (0, false));
    assert!((100..110).contains(&spent.overdraft_fen), "{spent:?}");
    simulator.advance(86_400);
    assert_eq!(state().energy, spent.energy);
}

/// B1, then each part by its number, which stands behind the data; a part may be asked for again.
#[test]
fn answers_in_several_frames() {
    let plan = Dlt645Plan { answer_bytes_max: 9, ..plan() };
    let simulator = dlt645(BusKind::Tcp, vec![plan]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |control: u8, asked: &str, answered: u8, value: &str| {
        let item = identifier("0001FF00");
        let reply = host.ask(&frame(ADDRESS, control, &[item.clone(), bytes(asked)].concat()));
        assert_eq!(data(&reply), (answered, [item, bytes(value)].concat()), "part {asked}");
    };
    check(0x11, "", 0xB1, "56401200 00010000 00");
    check(0x12, "01", 0xB2, "020000 00030000 5634 01");
    check(0x12, "01", 0xB2, "020000 00030000 5634 01");
    check(0x12, "02", 0x92, "1200 02");
    let reply = host.ask(&frame(ADDRESS, 0x12, &[identifier("0001FF00"), vec![3]].concat()));
    assert_eq!(data(&reply), (0xD2, vec![0x02]), "there is no part 3");
    let reply = host.ask(&frame(ADDRESS, 0x12, &[identifier("0001FF01"), vec![1]].concat()));
    assert_eq!(data(&reply), (0xD2, vec![0x02]), "nothing was asked about it");
}

#[test]
fn edition_of_1997() {
    let plan = Dlt645Plan { editions: Editions::Both, answer_bytes_max: 12, ..plan() };
    let simulator = dlt645(BusKind::Tcp, vec![plan]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |control: u8, asked: &str, answered: u8, value: &str| {
        let reply = host.ask(&frame(ADDRESS, control, &bytes(asked)));
        assert_eq!(data(&reply), (answered, bytes(value)), "{control:02X} {asked}");
    };
    check(0x01, "1090", 0x81, "1090 56401200");
    check(0x01, "1F90", 0xA1, "1F90 56401200 00010000 00020000");
    check(0x02, "1F90", 0x82, "1F90 00030000 56341200 AA");
    check(0x01, "11B6", 0x81, "11B6 2002");
    check(0x01, "21B6", 0x81, "21B6 0010");
    check(0x01, "12B6", 0x81, "12B6 FFFF");
    check(0x01, "10C0", 0x81, "10C0 03040326");
    check(0x01, "11C0", 0x81, "11C0 563412");
    check(0x01, "99B6", 0xC1, "02");
    check(0x04, "33C0 00000000 070000000000", 0x84, "");
    check(0x01, "33C0", 0x81, "33C0 070000000000");
    check(0x04, "33C0 01000000 070000000000", 0xC4, "04");
    check(0x04, "10C0 00000000 01010126", 0xC4, "02");
    check(0x01, "", 0xC1, "01");
}
