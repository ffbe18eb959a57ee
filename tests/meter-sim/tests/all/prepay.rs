//! Authentication, opening and selling on the DL/T 645 meter: every error word, and that nothing is
//! ever credited twice.

use jiff::civil::date;
use meter_sim::{BusKind, Dlt645Plan, Event, Kind, Simulator};

use crate::host::{ADDRESS, Host, KEY, bytes, data, dlt645, frame, identifier, mac, triple};

const CUSTOMER: &str = "000000123456";
const OPEN: &str = "070101FF";
const SELL: &str = "070102FF";
const REFUND: &str = "070108FF";

fn reversed(field: &[u8]) -> Vec<u8> {
    field.iter().rev().copied().collect()
}

/// C=03H: identifier, operator 00000000, fields.
fn command(host: &mut Host, written: &str, fields: &[u8]) -> (u8, Vec<u8>) {
    let sent = [identifier(written), vec![0; 4], fields.to_vec()].concat();
    data(&host.ask(&frame(ADDRESS, 0x03, &sent)))
}

/// The fields of an authentication with this key.
fn challenge(key: &[u8], number: &str) -> Vec<u8> {
    let factor: [u8; 8] = bytes(&format!("0000{number}")).try_into().unwrap();
    let work = triple(key, factor);
    let session: Vec<u8> = work.iter().copied().chain(work.iter().map(|byte| !byte)).collect();
    let random = *b"\x01\x23\x45\x67\x89\xAB\xCD\xEF";
    let cipher = triple(&session, random);
    [reversed(&cipher), reversed(&random), reversed(&factor)].concat()
}

/// Authenticates; random2 in natural order.
fn authenticate(host: &mut Host) -> Vec<u8> {
    let (code, reply) = command(host, "070000FF", &challenge(&bytes(KEY), ADDRESS));
    assert_eq!((code, reply.len()), (0x83, 16));
    assert_eq!(reply[..4], identifier("070000FF"));
    reversed(&reply[4..8])
}

/// The fields of an opening or a sale.
fn order(random: &[u8], amount: u32, count: u32, customer: &str) -> Vec<u8> {
    moving("8432010C", random, amount, count, customer)
}

/// The same of a refund.
fn refund(random: &[u8], amount: u32, count: u32, customer: &str) -> Vec<u8> {
    moving("8430010C", random, amount, count, customer)
}

fn moving(header: &str, random: &[u8], amount: u32, count: u32, customer: &str) -> Vec<u8> {
    let key = bytes(KEY);
    let money = [amount.to_be_bytes(), count.to_be_bytes()].concat();
    let customer = bytes(customer);
    [
        amount.to_le_bytes().to_vec(),
        count.to_le_bytes().to_vec(),
        reversed(&mac(&key, random, header, &money)),
        reversed(&customer),
        reversed(&mac(&key, random, "04D68224", &customer)),
    ]
    .concat()
}

fn done(written: &str) -> (u8, Vec<u8>) {
    (0x83, identifier(written))
}

fn word(word: u16) -> (u8, Vec<u8>) {
    (0xC3, word.to_le_bytes().to_vec())
}

fn opened() -> Dlt645Plan {
    Dlt645Plan {
        customer: Some(CUSTOMER.into()),
        purchase_count: 7,
        money_fen: 1_000,
        clock: Some(date(2026, 3, 4).at(12, 0, 0, 0)),
        ..Dlt645Plan::new(ADDRESS)
    }
}

fn start(meter: Dlt645Plan) -> (Simulator, Host) {
    let simulator = dlt645(BusKind::Tcp, vec![meter]);
    let host = Host::connect(&simulator, "line");
    (simulator, host)
}

#[test]
fn the_mathematics() {
    // FIPS 46-3 arithmetic known from outside: DES of zeros under the key 00..00.
    assert_eq!(triple(&[0; 16], [0; 8]).to_vec(), bytes("8CA64DE9C1B123A7"));
}

#[test]
fn a_sale() {
    let (simulator, mut host) = start(opened());
    let random = authenticate(&mut host);
    let fields = order(&random, 5_000, 8, CUSTOMER);
    assert_eq!(command(&mut host, SELL, &fields), done(SELL));
    let state = simulator.state(ADDRESS).unwrap();
    assert_eq!((state.money_fen, state.count), (6_000, 8));
    assert_eq!((state.credited_fen, state.credits, state.sell_frames), (5_000, 1, 1));

    // The same frame once more, and an older count: repeated. A jump: count error.
    assert_eq!(command(&mut host, SELL, &fields), word(0x0002));
    let fields = order(&random, 5_000, 3, CUSTOMER);
    assert_eq!(command(&mut host, SELL, &fields), word(0x0002));
    let fields = order(&random, 5_000, 10, CUSTOMER);
    assert_eq!(command(&mut host, SELL, &fields), word(0x0020));
    let fields = order(&random, 5_000, 9, "000000123457");
    assert_eq!(command(&mut host, SELL, &fields), word(0x0010));
    assert_eq!(simulator.state(ADDRESS).unwrap().credited_fen, 5_000);
    assert_eq!(simulator.state(ADDRESS).unwrap().sell_frames, 5);

    let reply = host.ask(&frame(ADDRESS, 0x11, &identifier("0333FF01")));
    let purchase = bytes("0012040326 0800 00500000 00100000 00600000 00600000");
    assert_eq!(data(&reply).1[4..], purchase);
}

#[test]
fn a_refund_is_counted_and_listed_like_a_purchase() {
    let (simulator, mut host) = start(opened());
    let random = authenticate(&mut host);
    // An order to add is not one to take, more than there is is not there, and a jump is none.
    assert_eq!(command(&mut host, REFUND, &order(&random, 400, 8, CUSTOMER)), word(0x0004));
    assert_eq!(command(&mut host, REFUND, &refund(&random, 1_001, 8, CUSTOMER)), word(0x0001));
    assert_eq!(command(&mut host, REFUND, &refund(&random, 400, 9, CUSTOMER)), word(0x0020));
    assert_eq!(command(&mut host, REFUND, &refund(&random, 400, 7, CUSTOMER)), word(0x0002));
    assert_eq!(command(&mut host, REFUND, &refund(&random, 400, 8, "000000123457")), word(0x0010));
    assert_eq!(simulator.state(ADDRESS).unwrap().money_fen, 1_000);

    let fields = refund(&random, 400, 8, CUSTOMER);
    assert_eq!(command(&mut host, REFUND, &fields), done(REFUND));
    assert_eq!(command(&mut host, REFUND, &fields), word(0x0002));
    let state = simulator.state(ADDRESS).unwrap();
    assert_eq!((state.money_fen, state.count, state.taken_back_fen), (600, 8, 400));
    assert_eq!((state.credited_fen, state.sell_frames), (0, 0));
    let reply = host.ask(&frame(ADDRESS, 0x11, &identifier("0333FF01")));
    let listed = bytes("0012040326 0800 00040000 00100000 00060000 00060000");
    assert_eq!(data(&reply).1[4..], listed);
}

#[test]
fn purse_status_and_end() {
    let (_simulator, mut host) = start(opened());
    let (code, reply) = command(&mut host, "078102FF", &[]);
    assert_eq!((code, reply.len()), (0x83, 30));
    assert_eq!(reply[4..8], 1_000u32.to_le_bytes());
    assert_eq!(reply[8..12], reversed(&mac(&bytes(KEY), &[0; 4], "8432010C", &bytes("000003E8"))));
    assert_eq!(reply[12..16], 7u32.to_le_bytes());
    assert_eq!(reply[20..26], reversed(&bytes(CUSTOMER)));

    assert_eq!(command(&mut host, "070002FF", &[]), word(0x0008));
    let random = authenticate(&mut host);
    let (code, reply) = command(&mut host, "070002FF", &[]);
    assert_eq!((code, reply.len()), (0x83, 22));
    assert_eq!(reply[4..18], [reversed(&bytes(CUSTOMER)), bytes("E8030000 07000000")].concat());
    // It has ended.
    assert_eq!(command(&mut host, SELL, &order(&random, 1, 8, CUSTOMER)), word(0x0008));
}

#[test]
fn authentication_is_needed_and_times_out() {
    let (simulator, mut host) = start(opened());
    let fields = order(&[0; 4], 100, 8, CUSTOMER);
    assert_eq!(command(&mut host, SELL, &fields), word(0x0008));
    let other_key = challenge(&bytes("00112233445566778899AABBCCDDEE00"), ADDRESS);
    assert_eq!(command(&mut host, "070000FF", &other_key), word(0x0008));
    let other_meter = challenge(&bytes(KEY), "000000000002");
    assert_eq!(command(&mut host, "070000FF", &other_meter), word(0x0008));
    assert_eq!(command(&mut host, "070000FF", &[0; 23]), word(0x0001));

    let random = authenticate(&mut host);
    simulator.advance(299);
    let fields = order(&random, 100, 8, CUSTOMER);
    assert_eq!(command(&mut host, SELL, &fields), done(SELL));
    simulator.advance(1);
    let fields = order(&random, 100, 9, CUSTOMER);
    assert_eq!(command(&mut host, SELL, &fields), word(0x0008));
    assert_ne!(authenticate(&mut host), random, "a random number is used once");
}

#[test]
fn wrong_macs_suspend() {
    let (simulator, mut host) = start(opened());
    let random = authenticate(&mut host);
    let right = order(&random, 100, 8, CUSTOMER);
    // One bit of the amount, of the first and of the second MAC.
    for at in [0, 8, 21] {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        assert_eq!(command(&mut host, SELL, &wrong), word(0x0004));
    }
    let state = simulator.state(ADDRESS).unwrap();
    assert_eq!((state.mac_failures, state.suspended, state.credits), (3, true, 0));
    assert_eq!(command(&mut host, SELL, &right), word(0x0100));
    simulator.advance(86_400);
    assert!(!simulator.state(ADDRESS).unwrap().suspended);
    let random = authenticate(&mut host);
    assert_eq!(command(&mut host, SELL, &order(&random, 100, 8, CUSTOMER)), done(SELL));
}

#[test]
fn limits_and_keys() {
    let check = |meter: Dlt645Plan, amount: u32, expected: (u8, Vec<u8>)| {
        let (simulator, mut host) = start(meter);
        let random = authenticate(&mut host);
        assert_eq!(command(&mut host, SELL, &order(&random, amount, 8, CUSTOMER)), expected);
        simulator.state(ADDRESS).unwrap()
    };
    let limited = || Dlt645Plan { hoarding_limit_fen: 3_000, ..opened() };
    check(limited(), 2_001, word(0x0040));
    check(limited(), 2_000, done(SELL));
    check(opened(), 99_999_000, word(0x0040));
    check(opened(), u32::MAX, word(0x0040));
    check(opened(), 99_998_999, done(SELL));
    check(Dlt645Plan { private_key: false, ..opened() }, 100, word(0x0001));
    check(Dlt645Plan { customer: None, ..opened() }, 100, word(0x0010));

    let overdrawn = || Dlt645Plan {
        money_fen: 0,
        overdraft_fen: 500,
        overdraft_limit_fen: 500,
        relay_open: true,
        ..opened()
    };
    let state = check(overdrawn(), 300, done(SELL));
    assert_eq!((state.money_fen, state.overdraft_fen, state.credited_fen), (0, 200, 300));
    let state = check(overdrawn(), 1_700, done(SELL));
    assert_eq!((state.money_fen, state.overdraft_fen, state.relay_closed), (1_200, 0, true));
    let minimum = Dlt645Plan { close_minimum_fen: 1_201, ..overdrawn() };
    assert!(!check(minimum, 1_700, done(SELL)).relay_closed);
}

#[test]
fn opening_an_account() {
    let (simulator, mut host) = start(Dlt645Plan { relay_open: true, ..Dlt645Plan::new(ADDRESS) });
    let random = authenticate(&mut host);
    let mut check = |amount, count, customer: &str, expected: (u8, Vec<u8>), credited| {
        let fields = order(&random, amount, count, customer);
        assert_eq!(command(&mut host, OPEN, &fields), expected, "{amount} {count} {customer}");
        assert_eq!(simulator.state(ADDRESS).unwrap().credited_fen, credited);
    };
    check(0, 2, CUSTOMER, word(0x0020), 0);
    check(100, 0, CUSTOMER, word(0x0020), 0);
    check(0, 0, CUSTOMER, done(OPEN), 0);
    check(0, 0, CUSTOMER, done(OPEN), 0); // the same act
    check(0, 0, "000000999999", word(0x0010), 0);
    check(2_500, 1, CUSTOMER, done(OPEN), 2_500);
    check(2_500, 1, CUSTOMER, done(OPEN), 2_500); // the same act
    check(2_600, 1, CUSTOMER, word(0x0002), 2_500);
    check(0, 0, CUSTOMER, word(0x0002), 2_500);
    let state = simulator.state(ADDRESS).unwrap();
    assert_eq!((state.count, state.credits, state.open_frames), (1, 1, 9));
    assert_eq!((state.relay_closed, state.customer.as_deref()), (true, Some(CUSTOMER)));

    assert_eq!(command(&mut host, SELL, &order(&random, 100, 2, CUSTOMER)), done(SELL));
    assert_eq!(command(&mut host, OPEN, &order(&random, 100, 1, CUSTOMER)), word(0x0020));
}

#[test]
fn kinds_of_requests() {
    let (simulator, mut host) = start(opened());
    let mut events = simulator.events();
    let mut check = |control: u8, asked: &str, expected: Kind| {
        host.ask(&frame(ADDRESS, control, &bytes(asked)));
        let Ok(Event::Request { kind, .. }) = events.try_recv() else { panic!("no event") };
        assert_eq!(kind, expected, "{control:02X} {asked}");
    };
    check(0x11, "00000100", Kind::Read);
    check(0x13, "", Kind::Read);
    check(0x11, "01023303", Kind::Check);
    check(0x03, "FF028107 00000000", Kind::Check);
    check(0x03, "FF020007 00000000", Kind::Check);
    check(0x03, "FF000007", Kind::Authenticate);
    check(0x03, "FF010107", Kind::Open);
    check(0x03, "FF020107", Kind::Sell);
    check(0x03, "FF080107", Kind::Refund);
    check(0x14, "01100004", Kind::Write);
    check(0x1A, "", Kind::Clear);
    check(0x1C, "", Kind::Control);
    check(0x17, "02", Kind::Other);
}

#[test]
fn other_prepay_requests_are_refused() {
    let (_simulator, mut host) = start(opened());
    let random = authenticate(&mut host);
    assert_eq!(command(&mut host, "070301FF", &[0; 40]), word(0x0001));
    let short = &order(&random, 1, 8, CUSTOMER)[..21];
    assert_eq!(command(&mut host, SELL, short), word(0x0001));
    assert_eq!(data(&host.ask(&frame(ADDRESS, 0x03, &[1, 2, 3]))), word(0x0001));
}
