//! The serial card reader, spoken to by the bytes that stand in its manual: each exchange here is one of
//! ACR122S Communication Protocol 2.01 (pages 9 to 13) or ACR122L Communication Protocol 1.03 (pages 41
//! to 46), with the sums that their rule gives.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use meter_sim::Endpoint;
use meter_sim::card::{
    Card, Chip, CpuCard, CpuKeys, MifareClassic, ReaderFault, ReaderFaultKind, SerialReader,
};

struct Host(TcpStream);

impl Host {
    fn of(reader: &SerialReader) -> Host {
        let Endpoint::Tcp(address) = reader.endpoint() else { panic!("it is on a port") };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        Host(stream)
    }

    fn hear(&mut self, bytes: usize) -> Vec<u8> {
        let mut heard = vec![0; bytes];
        self.0.read_exact(&mut heard).unwrap();
        heard
    }

    /// Nothing more comes.
    fn is_quiet(&mut self) -> bool {
        self.0.read_exact(&mut [0]).is_err()
    }

    /// A frame without its sum; what comes behind the positive status is returned without its own.
    fn ask(&mut self, frame: &str) -> String {
        self.0.write_all(&summed(frame)).unwrap();
        assert_eq!(self.hear(4), [2, 0, 0, 3]);
        let mut answer = self.hear(11);
        let length = usize::from(answer[2]);
        answer.extend(self.hear(length));
        assert_eq!(self.hear(2), [sum(&answer[1..]), 3]);
        answer.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
    }

    /// A command of the chip's, and what it says.
    fn chip(&mut self, command: &str) -> String {
        let length = command.split(' ').count();
        let frame = format!(
            "02 6F {:02X} 00 00 00 00 01 00 00 00 FF 00 00 00 {length:02X} {command}",
            length + 5
        );
        self.ask(&frame).split_off("02 80 05 00 00 00 00 01 00 00 00 ".len())
    }

    fn set_up(&mut self) {
        self.ask("02 62 00 00 00 00 00 01 01 00 00");
        assert_eq!(self.chip("D4 32 05 FF 01 01"), "D5 33 90 00");
        assert_eq!(self.chip("D4 32 01 01"), "D5 33 90 00");
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

fn summed(frame: &str) -> Vec<u8> {
    let bytes = hex::decode(frame.replace(' ', "")).unwrap();
    [&bytes[..], &[sum(&bytes[1..]), 3]].concat()
}

fn mifare() -> Card {
    let card = MifareClassic::blank([0xF6, 0x8E, 0x2A, 0x99]);
    Card::new(Chip::MifareClassic(Box::new(card)))
}

#[test]
fn the_manuals_flows_are_answered_as_it_shows() {
    let reader = SerialReader::tcp(0).unwrap();
    let mut host = Host::of(&reader);
    let on = "02 62 00 00 00 00 00 01 01 00 00";
    let module = "02 80 0D 00 00 00 00 01 00 00 00 3B 2A 00 80 65 24 B0 00 02 00 82 90 00";
    // Nothing goes past an interface that is off.
    assert_eq!(host.chip("D4 4A 01 00"), "63 00");
    assert_eq!(host.ask(on), module);

    // B: a wrong sum from the host.
    let mut wrong = summed(on);
    wrong[11] ^= 1;
    host.0.write_all(&wrong).unwrap();
    assert_eq!(host.hear(4), [2, 0xFF, 0xFF, 3]);
    // No end, and a length above 0105.
    *wrong.last_mut().unwrap() = 4;
    host.0.write_all(&wrong).unwrap();
    assert_eq!(host.hear(4), [2, 0xFD, 0xFD, 3]);
    host.0.write_all(&summed("02 6F 06 01 00 00 00 01 00 00 00")).unwrap();
    assert_eq!(host.hear(4), [2, 0xFE, 0xFE, 3]);

    // C: a wrong sum from the reader, and the right one when it is asked for again.
    reader.fault(ReaderFault { at: 1, kind: ReaderFaultKind::Corrupt { times: 1 } });
    host.0.write_all(&summed(on)).unwrap();
    assert_eq!(host.hear(4), [2, 0, 0, 3]);
    let garbled = host.hear(26);
    host.0.write_all(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]).unwrap();
    let good = host.hear(26);
    assert_eq!((&good[..24], good[25]), (&summed(module)[..24], 3));
    assert_ne!(garbled[24], good[24]);
    assert_eq!(host.ask("02 63 00 00 00 00 00 02 00 00 00"), "02 81 00 00 00 00 00 02 00 00 00");
}

#[test]
fn a_mifare_card_is_found_opened_read_and_written() {
    let (reader, card) = (SerialReader::tcp(0).unwrap(), mifare());
    let mut host = Host::of(&reader);
    host.set_up();
    assert_eq!(host.chip("D4 4A 01 00"), "D5 4B 00 90 00");
    reader.put(&card);
    assert_eq!(host.chip("D4 40 01 30 04"), "D5 41 01 90 00");
    assert_eq!(host.chip("D4 4A 01 00"), "D5 4B 01 01 00 04 08 04 F6 8E 2A 99 90 00");
    let open = "D4 40 01 60 04 FF FF FF FF FF FF F6 8E 2A 99";
    assert_eq!(host.chip(&open.replace("60 04 FF", "60 04 00")), "D5 41 14 90 00");
    // It has said no, and is silent until it is selected again.
    assert_eq!(host.chip(open), "D5 41 01 90 00");
    host.chip("D4 4A 01 00");
    assert_eq!(host.chip(open), "D5 41 00 90 00");
    let data = "01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10";
    assert_eq!(host.chip(&format!("D4 40 01 A0 04 {data}")), "D5 41 00 90 00");
    assert_eq!(host.chip("D4 40 01 30 04"), format!("D5 41 00 {data} 90 00"));
    assert_eq!(card.truth().memory[64..66], [1, 2]);
    assert_eq!(host.chip("D4 40 01 30 08"), "D5 41 13 90 00");
    assert_eq!(host.chip("D4 44 01"), "D5 45 00 90 00");
    reader.pull();
    assert_eq!(host.chip("D4 4A 01 00"), "D5 4B 00 90 00");
}

#[test]
fn a_card_without_a_field_has_forgotten_all() {
    let reader = SerialReader::tcp(0).unwrap();
    let mut host = Host::of(&reader);
    host.set_up();
    reader.put(&mifare());
    host.chip("D4 4A 01 00");
    assert_eq!(host.chip("D4 40 01 60 04 FF FF FF FF FF FF F6 8E 2A 99"), "D5 41 00 90 00");
    assert_eq!(host.chip("D4 32 01 00"), "D5 33 90 00");
    assert!(!reader.has_field());
    assert_eq!(host.chip("D4 4A 01 00"), "D5 4B 00 90 00");
    host.chip("D4 32 01 01");
    host.chip("D4 4A 01 00");
    assert_eq!(host.chip("D4 40 01 30 04"), "D5 41 13 90 00");
}

#[test]
fn a_processor_card_takes_its_own_commands() {
    let reader = SerialReader::tcp(0).unwrap();
    let mut host = Host::of(&reader);
    host.set_up();
    let card = CpuCard::blank([1, 2, 3, 4, 5, 6, 7, 8], &CpuKeys::same([1; 16]));
    reader.put(&Card::cpu(card));
    assert_eq!(
        host.chip("D4 4A 01 00"),
        "D5 4B 01 01 00 08 20 04 05 06 07 08 0E 77 F7 80 02 86 01 02 03 04 05 06 07 08 90 00"
    );
    assert_eq!(host.chip("D4 40 01 00 A4 00 00 02 DF 01"), "D5 41 00 90 00 90 00");
}

#[test]
fn faults_are_as_ordered_and_what_was_done_is_done_once() {
    let (reader, card) = (SerialReader::tcp(0).unwrap(), mifare());
    let mut host = Host::of(&reader);
    host.set_up();
    reader.put(&card);
    host.chip("D4 4A 01 00");
    host.chip("D4 40 01 60 04 FF FF FF FF FF FF F6 8E 2A 99");
    let write = summed(
        "02 6F 1A 00 00 00 00 09 00 00 00 FF 00 00 00 15 D4 40 01 A0 04 \
                        01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10",
    );
    let begun = card.commands();
    reader.fault(ReaderFault { at: 1, kind: ReaderFaultKind::Unheard });
    host.0.write_all(&write).unwrap();
    assert_eq!((host.hear(4), card.commands()), (vec![2, 0xFF, 0xFF, 3], begun));
    reader.fault(ReaderFault { at: 1, kind: ReaderFaultKind::Mute { done: true } });
    host.0.write_all(&write).unwrap();
    assert!(host.is_quiet());
    for _ in 0..2 {
        host.0.write_all(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]).unwrap();
        assert_eq!(host.hear(18)[..8], [2, 0x80, 5, 0, 0, 0, 0, 9]);
    }
    assert_eq!(card.commands(), begun + 1);
    reader.fault(ReaderFault { at: 1, kind: ReaderFaultKind::Says(vec![9, 9]) });
    host.0.write_all(&write).unwrap();
    assert_eq!((host.hear(2), host.is_quiet()), (vec![9, 9], true));
    reader.fault(ReaderFault { at: 1, kind: ReaderFaultKind::Unplugged { done: false } });
    host.0.write_all(&write).unwrap();
    assert_eq!(host.0.read(&mut [0]).unwrap(), 0);
    assert_eq!(card.commands(), begun + 1);
    assert_eq!(Host::of(&reader).0.read(&mut [0]).unwrap(), 0);
    reader.plug();
    Host::of(&reader).set_up();
}
