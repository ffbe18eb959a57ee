//! Every scripted fault does what it says, on both protocols and both kinds of line.

use std::time::{Duration, Instant};

use meter_sim::{
    Adf400lPlan, BusKind, BusPlan, Dlt645Plan, Event, Fault, FaultKind, Kind, Meters, On, Plan,
    Release, Simulator,
};

use crate::host::{ADDRESS, Host, bytes, dlt645, frame, identifier};

const ASK: &str = "68 01 00 00 00 00 00 68 11 04 33 33 34 33 B3 16";
const ANSWER: &str = "68 01 00 00 00 00 00 68 91 08 33 33 34 33 33 33 33 33 03 16";
const ASK_UNIT: &str = "01 03 0311 0001 D44B";

fn units() -> Simulator {
    let bus = BusPlan::new(
        "line",
        BusKind::Tcp,
        Meters::Adf400l(vec![Adf400lPlan { balance_fen: 1, ..Adf400lPlan::new(1) }]),
    );
    Simulator::start(Plan { buses: vec![bus] }).unwrap()
}

fn text(hex: &str) -> String {
    hex.to_owned()
}

#[test]
fn spoilt_replies_dlt645() {
    let simulator = dlt645(BusKind::Tcp, vec![Dlt645Plan::new(ADDRESS)]);
    let mut host = Host::connect(&simulator, "line");
    let mut check = |fault: FaultKind, answered: &str| {
        simulator.fault(ADDRESS, Fault::new(On::Read, fault.clone())).unwrap();
        assert_eq!(host.ask(&bytes(ASK)), bytes(answered), "{fault:?}");
        assert_eq!(host.ask(&bytes(ASK)), bytes(ANSWER), "once only: {fault:?}");
    };
    check(FaultKind::CutReply { keep_bytes: 9 }, "68 01 00 00 00 00 00 68 91");
    check(
        FaultKind::FlipReply { bit: 8 * 18 + 1 },
        "68 01 00 00 00 00 00 68 91 08 33 33 34 33 33 33 33 33 01 16",
    );
    check(
        FaultKind::ReplyFromOtherMeter,
        "68 02 00 00 00 00 00 68 91 08 33 33 34 33 33 33 33 33 04 16",
    );
    check(FaultKind::WrongFunction, "68 01 00 00 00 00 00 68 94 08 33 33 34 33 33 33 33 33 06 16");
    check(FaultKind::WrongBcd, "68 01 00 00 00 00 00 68 91 08 33 33 34 33 DD DD DD DD AB 16");
    check(FaultKind::AllFf, "68 01 00 00 00 00 00 68 91 08 33 33 34 33 32 32 32 32 FF 16");
    check(FaultKind::GarbageBefore { hex: text("68FF") }, &format!("68FF {ANSWER}"));
    check(FaultKind::GarbageAfter { hex: text("0016") }, &format!("{ANSWER} 0016"));
    check(
        FaultKind::GarbageInside { hex: text("AABB") },
        "68 01 00 00 00 00 00 68 91 08 AABB 33 33 34 33 33 33 33 33 03 16",
    );
    check(FaultKind::Doubled, &format!("{ANSWER} {ANSWER}"));
    check(FaultKind::Refuse { word: 0x02 }, "68 01 00 00 00 00 00 68 D1 01 35 D8 16");
    let odd = Fault::new(On::Any, FaultKind::GarbageAfter { hex: text("0") });
    assert!(simulator.fault(ADDRESS, odd).is_err());
}

#[test]
fn counts_start_behind_wake_up_bytes() {
    let bus = BusPlan::new("line", BusKind::Tcp, Meters::Dlt645(vec![Dlt645Plan::new(ADDRESS)]));
    let simulator = Simulator::start(Plan { buses: vec![bus] }).unwrap();
    let mut host = Host::connect(&simulator, "line");
    assert_eq!(host.ask(&bytes(ASK)), bytes(&format!("FEFEFEFE {ANSWER}")));
    simulator.fault(ADDRESS, Fault::new(On::Any, FaultKind::CutReply { keep_bytes: 2 })).unwrap();
    assert_eq!(host.ask(&bytes(ASK)), bytes("FEFEFEFE 68 01"));
    simulator.fault(ADDRESS, Fault::new(On::Any, FaultKind::AllFf)).unwrap();
    let expected = "FEFEFEFE 68 01 00 00 00 00 00 68 91 08 33 33 34 33 32 32 32 32 FF 16";
    assert_eq!(host.ask(&bytes(ASK)), bytes(expected));
}

#[test]
fn spoilt_replies_modbus() {
    let simulator = units();
    let mut host = Host::connect(&simulator, "line");
    let mut check = |fault: FaultKind, answered: &str| {
        simulator.fault("1", Fault::new(On::Any, fault.clone())).unwrap();
        assert_eq!(
            hex::encode_upper(host.ask(&bytes(ASK_UNIT))),
            answered.replace(' ', ""),
            "{fault:?}"
        );
    };
    check(FaultKind::CutReply { keep_bytes: 3 }, "01 03 02");
    check(FaultKind::FlipReply { bit: 0 }, "00 03 02 0000 B844");
    check(FaultKind::ReplyFromOtherMeter, "02 03 02 0000 FC44");
    check(FaultKind::WrongFunction, "01 06 02 0000 B888");
    check(FaultKind::AllFf, "01 03 02 FFFF B9F4");
    check(FaultKind::WrongBcd, "01 03 02 AAAA 469B");
    check(FaultKind::Refuse { word: 3 }, "01 83 03 0131");
    check(FaultKind::Doubled, "01 03 02 0000 B844 01 03 02 0000 B844");
}

#[test]
fn silence_and_what_was_done() {
    let simulator = units();
    let mut host = Host::connect(&simulator, "line");
    let mut events = simulator.events();
    // 100 fen with count 1, its check made once by hand.
    let sale = bytes("01 10 050D 0003 06 0000 0064 0001 E6A9");
    let mut check = |fault: FaultKind, credited: u64| {
        simulator.fault("1", Fault::new(On::Sell, fault.clone())).unwrap();
        host.ask(&bytes(ASK_UNIT)); // not a sale: passes by
        host.send(&sale);
        assert!(host.silent(), "{fault:?}");
        assert_eq!(simulator.state("1").unwrap().credited_fen, credited, "{fault:?}");
        let told: Vec<Event> = std::iter::from_fn(|| events.try_recv().ok()).skip(1).collect();
        let request =
            Event::Request { meter: text("1"), kind: Kind::Sell, hex: hex::encode(&sale) };
        let hit = Event::Fault { meter: text("1"), on: Kind::Sell, fault };
        let credit = Event::Credit { meter: text("1"), count: 1, amount_fen: 100 };
        let expected = if credited == 0 { vec![request, hit] } else { vec![request, hit, credit] };
        assert_eq!(told, expected);
    };
    check(FaultKind::NoReply, 0);
    check(FaultKind::CutRequest { keep_bytes: 7 }, 0);
    check(FaultKind::LostAfterApply, 100);
    assert_eq!(simulator.state("1").unwrap().sell_frames, 3);
}

#[test]
fn late_replies_do_not_hold_the_line() {
    let simulator =
        dlt645(BusKind::Tcp, vec![Dlt645Plan::new(ADDRESS), Dlt645Plan::new("000000000002")]);
    let mut host = Host::connect(&simulator, "line");
    simulator.fault(ADDRESS, Fault::new(On::Any, FaultKind::Late { wait_ms: 300 })).unwrap();
    let asked = Instant::now();
    host.send(&bytes(ASK));
    let other = host.ask(&frame("000000000002", 0x11, &identifier("00010000")));
    assert_eq!(other[1], 0x02, "the other meter is faster");
    assert_eq!(host.listen(), bytes(ANSWER));
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[test]
fn skip_times_and_clear() {
    let simulator = dlt645(BusKind::Tcp, vec![Dlt645Plan::new(ADDRESS)]);
    let mut host = Host::connect(&simulator, "line");
    let cut = Fault::new(On::Any, FaultKind::CutReply { keep_bytes: 1 }).skip(1).times(2);
    simulator.fault(ADDRESS, cut.clone()).unwrap();
    let mut lengths = || [(); 4].map(|()| host.ask(&bytes(ASK)).len());
    assert_eq!(lengths(), [20, 1, 1, 20]);
    simulator.fault(ADDRESS, cut).unwrap();
    simulator.clear_faults(ADDRESS).unwrap();
    assert_eq!(lengths(), [20, 20, 20, 20]);
    assert_eq!(simulator.state(ADDRESS).unwrap().requests, 8);
}

/// Waits for a state, not for a time.
fn until_held(simulator: &Simulator) {
    while simulator.held() == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn held_requests() {
    for kind in [BusKind::Tcp, BusKind::Pty] {
        let simulator = dlt645(kind, vec![Dlt645Plan::new(ADDRESS)]);
        let mut host = Host::connect(&simulator, "line");
        let mut hold = |fault: FaultKind, release: Release, answered: bool| {
            simulator.fault(ADDRESS, Fault::new(On::Any, fault)).unwrap();
            host.send(&bytes(ASK));
            until_held(&simulator);
            simulator.release(release);
            if answered {
                assert_eq!(host.listen(), bytes(ANSWER));
            } else {
                assert!(host.silent());
            }
            // The answer is on the wire a moment before its request counts as over.
            while simulator.held() > 0 {
                std::thread::yield_now();
            }
        };
        hold(FaultKind::Hold { after_bytes: Some(5) }, Release::Deliver, true);
        hold(FaultKind::Hold { after_bytes: Some(5) }, Release::Vanish, false);
        hold(FaultKind::Hold { after_bytes: None }, Release::Deliver, true);
        hold(FaultKind::HoldReply { after_bytes: None }, Release::Deliver, true);
        hold(FaultKind::HoldReply { after_bytes: None }, Release::Vanish, false);
        hold(FaultKind::HoldReply { after_bytes: Some(0) }, Release::Deliver, true);
        hold(FaultKind::HoldReply { after_bytes: Some(500) }, Release::Deliver, true);
    }
}

#[test]
fn a_host_that_dies_in_the_middle() {
    let simulator = units();
    let sale = bytes("01 10 050D 0003 06 0000 0064 0001 E6A9");
    let die = |after_bytes, credited: u64| {
        simulator.fault("1", Fault::new(On::Sell, FaultKind::Hold { after_bytes })).unwrap();
        let mut host = Host::connect(&simulator, "line");
        host.send(&sale);
        until_held(&simulator);
        // The reading thread of the host keeps the socket: shut both ends as a dead process does.
        host.die();
        simulator.release(Release::Deliver);
        let mut next = Host::connect(&simulator, "line");
        next.ask(&bytes(ASK_UNIT));
        while simulator.held() > 0 {
            std::thread::yield_now();
        }
        // The held thread has left the gate; what it does then is done before the next is read.
        let mut state = simulator.state("1").unwrap();
        let patience = Instant::now();
        while state.credited_fen != credited && patience.elapsed() < Duration::from_secs(5) {
            state = simulator.state("1").unwrap();
        }
        assert_eq!(state.credited_fen, credited, "{after_bytes:?}");
    };
    die(Some(9), 0);
    die(None, 100);
}

#[test]
fn the_same_over_a_pseudo_terminal() {
    let simulator = dlt645(BusKind::Pty, vec![Dlt645Plan::new(ADDRESS)]);
    for _ in 0..2 {
        // A host may come and go.
        let mut host = Host::connect(&simulator, "line");
        assert_eq!(host.ask(&bytes(ASK)), bytes(ANSWER));
        simulator.fault(ADDRESS, Fault::new(On::Read, FaultKind::AllFf)).unwrap();
        let spoilt = "68 01 00 00 00 00 00 68 91 08 33 33 34 33 32 32 32 32 FF 16";
        assert_eq!(host.ask(&bytes(ASK)), bytes(spoilt));
        simulator.fault(ADDRESS, Fault::new(On::Read, FaultKind::NoReply)).unwrap();
        host.send(&bytes(ASK));
        assert!(host.silent());
        // The old reading thread would take the next host's bytes: it ends with this one.
        host.ask_last(&bytes(ASK), &bytes(ANSWER));
    }
}

#[test]
fn paced_and_delayed_bytes() {
    let mut bus = BusPlan::new(
        "line",
        BusKind::Tcp,
        Meters::Dlt645(vec![Dlt645Plan { wake_up_bytes: 0, ..Dlt645Plan::new(ADDRESS) }]),
    );
    bus.baud = Some(9_600);
    bus.reply_delay_ms = 20;
    let simulator = Simulator::start(Plan { buses: vec![bus] }).unwrap();
    let mut host = Host::connect(&simulator, "line");
    let asked = Instant::now();
    let mut reply = host.ask(&bytes(ASK));
    while reply.len() < 20 {
        reply.extend(host.listen());
    }
    // 36 bytes of 11 bits and the delay.
    assert!(asked.elapsed() >= Duration::from_micros(36 * 11 * 1_000_000 / 9_600 + 20_000));
    assert_eq!(reply, bytes(ANSWER));
}

#[test]
fn a_dropped_simulator_ends_all() {
    for kind in [BusKind::Tcp, BusKind::Pty] {
        let simulator = dlt645(kind, vec![Dlt645Plan::new(ADDRESS)]);
        let mut host = Host::connect(&simulator, "line");
        host.ask(&bytes(ASK));
        simulator
            .fault(ADDRESS, Fault::new(On::Any, FaultKind::Hold { after_bytes: None }))
            .unwrap();
        host.send(&bytes(ASK));
        until_held(&simulator);
        drop(simulator);
        assert!(host.closed(), "{kind:?}");
    }
}
