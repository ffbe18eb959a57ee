//! DLMS meters: what is answered to a client that repeats itself, loses answers, uses a counter
//! twice or asks what it may not. Frames are written by hand from IEC 62056-46, -47 and -5-3; the
//! whole course with a client of somebody else's is `peer_dlms.rs`.

use crate::host::{Host, bytes};
use meter_sim::{BusKind, BusPlan, DlmsPlan, DlmsSecurity, Fault, FaultKind, Meters, Plan};
use meter_sim::{On, Simulator};

fn simulator(meters: Meters) -> Simulator {
    let bus = BusPlan::new("line", BusKind::Tcp, meters);
    Simulator::start(Plan { buses: vec![bus] }).unwrap()
}

/// From client 16 to logical device 1.
fn wrapped(apdu: &str) -> Vec<u8> {
    let apdu = bytes(apdu);
    let length = u8::try_from(apdu.len()).unwrap();
    [&[0, 1, 0, 16, 0, 1, 0, length][..], &apdu].concat()
}

fn answered(apdu: &str) -> Vec<u8> {
    let apdu = bytes(apdu);
    let length = u8::try_from(apdu.len()).unwrap();
    [&[0, 1, 0, 1, 0, 16, 0, length][..], &apdu].concat()
}

/// CRC-16 of ISO/IEC 13239, bit by bit.
fn check(bytes: &[u8]) -> [u8; 2] {
    let mut register = 0xFFFF_u32;
    for bit in bytes.iter().flat_map(|byte| (0..8).map(move |bit| u32::from(byte >> bit & 1))) {
        let carry = (register ^ bit) & 1;
        register = register >> 1 ^ (carry * 0x8408);
    }
    let register = u16::try_from(register ^ 0xFFFF).unwrap();
    register.to_le_bytes()
}

/// A frame between client 16 and device 1/17, with both checks.
fn hdlc(from_meter: bool, segmented: bool, control: u8, information: &[u8]) -> Vec<u8> {
    let addresses: &[u8] = if from_meter { &[0x21, 0x02, 0x23] } else { &[0x02, 0x23, 0x21] };
    let more = if information.is_empty() { 0 } else { 2 + information.len() };
    let length = u8::try_from(2 + 3 + 1 + more + 2).unwrap();
    let format = if segmented { 0xA8 } else { 0xA0 };
    let mut body = [&[format, length], addresses, &[control]].concat();
    if !information.is_empty() {
        let head = check(&body);
        body.extend(head.iter().chain(information));
    }
    let whole = check(&body);
    [&[0x7E][..], &body, &whole, &[0x7E]].concat()
}

/// Logical names, no security: the AARQ of the Green Book, with a longest APDU of FFFFH.
const AARQ: &str = "60 1D A1 09 06 07 60 85 74 05 08 01 01 BE 10 04 0E 01 00 00 00 06 5F 1F 04 00 \
                    00 1E 1D FF FF";
const AARE: &str = "61 29 A1 09 06 07 60 85 74 05 08 01 01 A2 03 02 01 00 A3 05 A1 03 02 01 00 \
                    BE 10 04 0E 08 00 06 5F 1F 04 00 00 1A 1D 02 00 00 07";
const ENERGY: &str = "C0 01 C1 00 03 01 00 01 08 00 FF 02 00";

#[test]
fn a_client_without_an_association_gets_none_and_one_with_gets_values() {
    let plan = DlmsPlan { tariff_energies: [1, 2, 3, 4], ..DlmsPlan::default() };
    let simulator = simulator(Meters::DlmsWrapper(vec![plan]));
    let mut host = Host::connect(&simulator, "line");
    assert_eq!(host.ask(&wrapped(ENERGY)), answered("D8 01 01"));
    assert_eq!(host.ask(&wrapped(AARQ)), answered(AARE));
    for (question, answer) in [
        (ENERGY, "C4 01 C1 00 06 00 00 00 0A"),
        ("C0 01 C2 00 03 01 00 01 08 00 FF 03 00", "C4 01 C2 00 02 02 0F 01 16 1E"),
        // No such object; such an object of another class; no such attribute.
        ("C0 01 C3 00 03 01 00 01 08 09 FF 02 00", "C4 01 C3 01 04"),
        ("C0 01 C4 00 01 01 00 01 08 00 FF 02 00", "C4 01 C4 01 09"),
        ("C0 01 C5 00 03 01 00 01 08 00 FF 09 00", "C4 01 C5 01 03"),
        // Two at once; the block after none; a service without an end.
        (
            "C0 03 C6 02 00 03 01 00 01 08 01 FF 02 00 00 03 01 00 01 08 09 FF 02 00",
            "C4 03 C6 02 00 06 00 00 00 01 01 04",
        ),
        ("C0 02 C7 00 00 00 01", "C4 02 C7 01 00 00 00 01 01 13"),
        ("C0 01 C8 00 03 01 00", "D8 02 03"),
        // The clock is set; a day that does not exist is not.
        (
            "C1 01 C9 00 08 00 00 01 00 00 FF 02 00 09 0C 07 EA 03 02 FF 0A 0B 0C FF 80 00 00",
            "C5 01 C9 00",
        ),
        (
            "C1 01 CA 00 08 00 00 01 00 00 FF 02 00 09 0C 07 EA 02 1E FF 0A 0B 0C FF 80 00 00",
            "C5 01 CA 0C",
        ),
        (
            "C0 01 CB 00 08 00 00 01 00 00 FF 02 00",
            "C4 01 CB 00 09 0C 07 EA 03 02 01 0A 0B 0C FF 80 00 00",
        ),
        ("62 03 80 01 00", "63 03 80 01 00"),
        (ENERGY, "D8 01 01"),
    ] {
        assert_eq!(host.ask(&wrapped(question)), answered(answer), "{question}");
    }
    // Another logical device is not here.
    host.send(&bytes("00 01 00 10 00 02 00 05 62 03 80 01 00"));
    assert!(host.silent());
}

#[test]
fn a_switch_obeys_its_mode_and_does_not_move_when_stuck() {
    let modes = [(0, false, 3, 1), (1, false, 0, 2), (4, false, 0, 1), (4, true, 0, 1)];
    for (control_mode, stuck, refusal, ends) in modes {
        let plan = DlmsPlan { control_mode, stuck, ..DlmsPlan::default() };
        let simulator = simulator(Meters::DlmsWrapper(vec![plan]));
        let mut host = Host::connect(&simulator, "line");
        host.ask(&wrapped(AARQ));
        for method in 1..=2 {
            let action = format!("C3 01 C1 00 46 00 00 60 03 0A FF 0{method} 01 0F 00");
            let done = answered(&format!("C7 01 C1 0{refusal} 00"));
            assert_eq!(host.ask(&wrapped(&action)), done, "mode {control_mode}");
        }
        let state = host.ask(&wrapped("C0 01 C1 00 46 00 00 60 03 0A FF 03 00"));
        assert_eq!(state.last(), Some(&ends), "mode {control_mode}, stuck {stuck}");
        simulator.press("00000001").unwrap();
        assert!(simulator.state("00000001").unwrap().relay_closed);
    }
}

#[test]
fn a_link_answers_again_what_was_lost_and_goes_on_where_it_stood() {
    let plan = DlmsPlan { information_bytes_max: 32, ..DlmsPlan::default() };
    let simulator = simulator(Meters::DlmsHdlc(vec![plan]));
    let mut host = Host::connect(&simulator, "line");
    // Nobody has begun; begin; and the parameters of the link.
    assert_eq!(host.ask(&hdlc(false, false, 0x11, &[])), hdlc(true, false, 0x1F, &[]));
    let agreed = bytes("81 80 12 05 01 20 06 01 20 07 04 00 00 00 01 08 04 00 00 00 01");
    assert_eq!(host.ask(&hdlc(false, false, 0x93, &[])), hdlc(true, false, 0x73, &agreed));
    // The question in two parts, the answer in two: 46 bytes, of which a frame takes 32.
    let question = [&[0xE6, 0xE6, 0x00][..], &bytes(AARQ)].concat();
    let answer = [&[0xE6, 0xE7, 0x00][..], &bytes(AARE)].concat();
    let first = hdlc(false, true, 0x10, &question[..20]);
    assert_eq!(host.ask(&first), hdlc(true, false, 0x31, &[]));
    let second = hdlc(false, false, 0x12, &question[20..]);
    let part = hdlc(true, true, 0x50, &answer[..32]);
    assert_eq!(host.ask(&second), part);
    // The same question, because its answer was lost; then a poll that says the same.
    assert_eq!(host.ask(&second), part);
    assert_eq!(host.ask(&hdlc(false, false, 0x11, &[])), part);
    let rest = hdlc(true, false, 0x52, &answer[32..]);
    assert_eq!(host.ask(&hdlc(false, false, 0x31, &[])), rest);
    assert_eq!(host.ask(&hdlc(false, false, 0x51, &[])), hdlc(true, false, 0x51, &[]));
    // What is no LLC, and what is no control byte of ours, is a frame that cannot be.
    assert_eq!(host.ask(&hdlc(false, false, 0x54, &[1, 2, 3])), hdlc(true, false, 0x97, &[]));
    assert_eq!(host.ask(&hdlc(false, false, 0x1D, &[])), hdlc(true, false, 0x97, &[]));
    // A spoilt frame, and another meter's.
    let mut spoilt = hdlc(false, false, 0x53, &[]);
    spoilt[6] ^= 1;
    host.send(&spoilt);
    assert!(host.silent());
    let end = hdlc(false, false, 0x53, &[]);
    assert_eq!(host.ask(&end), hdlc(true, false, 0x73, &[]));
    assert_eq!(host.ask(&end), hdlc(true, false, 0x1F, &[]));
}

#[test]
fn a_scripted_fault_in_a_frame_leaves_its_checks_right() {
    let simulator = simulator(Meters::DlmsHdlc(vec![DlmsPlan::default()]));
    let mut host = Host::connect(&simulator, "line");
    let fault = |kind| Fault { on: On::Any, kind, skip: 0, times: 1 };
    simulator.fault("00000001", fault(FaultKind::ReplyFromOtherMeter)).unwrap();
    let other = host.ask(&hdlc(false, false, 0x93, &[]));
    let body = &other[1..other.len() - 3];
    assert_eq!(other[4], 0x00, "another logical device");
    assert_eq!(other[other.len() - 3..other.len() - 1], check(body));
    assert_eq!(other[7..9], check(&other[1..7]));
}

#[test]
fn a_counter_that_was_used_is_refused_with_the_next_one() {
    let security = DlmsSecurity::Gmac {
        encryption_key: "000102030405060708090A0B0C0D0E0F".to_owned(),
        authentication_key: "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF".to_owned(),
    };
    let wrong = DlmsPlan {
        security: DlmsSecurity::Gmac {
            encryption_key: "0001".to_owned(),
            authentication_key: String::new(),
        },
        ..DlmsPlan::default()
    };
    let bus = BusPlan::new("line", BusKind::Tcp, Meters::DlmsWrapper(vec![wrong]));
    let refused = Simulator::start(Plan { buses: vec![bus] }).unwrap_err().to_string();
    assert!(refused.contains("16 bytes in hex"), "{refused}");
    let plan = DlmsPlan { security, counter: 7, ..DlmsPlan::default() };
    let simulator = simulator(Meters::DlmsWrapper(vec![plan]));
    let mut host = Host::connect(&simulator, "line");
    host.ask(&wrapped(AARQ));
    // Whoever asks without a key may know the counter, and nothing else.
    let counter = host.ask(&wrapped("C0 01 C1 00 01 00 00 2B 01 00 FF 02 00"));
    assert_eq!(counter, answered("C4 01 C1 00 06 00 00 00 07"));
    assert_eq!(host.ask(&wrapped(ENERGY)), answered("C4 01 C1 01 03"));
    // A context with ciphers whose proposal is sealed with nothing.
    let sealed = "60 39 A1 09 06 07 60 85 74 05 08 01 03 A6 0A 04 08 50 4C 4D 00 00 00 00 01 \
                  8B 07 60 85 74 05 08 02 05 BE 17 04 15 21 13 30 00 00 00 08 00 00 00 00 00 00 00 \
                  00 00 00 00 00 00 00";
    let answer = host.ask(&wrapped(sealed));
    let rejected = "61 17 A1 09 06 07 60 85 74 05 08 01 03 A2 03 02 01 01 A3 05 A1 03 02 01 0D";
    assert_eq!(answer, answered(rejected));
}
