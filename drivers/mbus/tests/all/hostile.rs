//! A meter that says anything at all: every bit of its telegrams turned, and each cut at every byte, with
//! the link's sum right. Calls end, with an error or with what is bounded, and never in a panic.

use driver_mbus::Mbus;
use polymeter_driver::{
    Call, ClockOutcome, Host, Key, Level, LineError, LocalTime, MeterDriver, RecordsAsked,
    VaultError, codes, time,
};

/// Says yes to everything and tells one telegram; its vault has no key.
struct Liar {
    telegram: Vec<u8>,
    asked: Option<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Liar {
    fn new(body: &[u8]) -> Liar {
        let length = u8::try_from(body.len()).expect("short");
        let sum = body.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let telegram = [&[0x68, length, length, 0x68], body, &[sum, 0x16]].concat();
        Liar { telegram, asked: None, sent: Vec::new() }
    }
}

fn no_key<T>() -> Result<T, VaultError> {
    let detail = "no such key".to_owned();
    Err(VaultError { code: codes::vault::error::NO_SUCH_KEY, detail })
}

impl Host for Liar {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.sent.push(bytes.to_vec());
        let is_question = matches!(bytes, [0x10, 0x5B | 0x7B, ..]);
        self.asked = Some(if is_question { self.telegram.clone() } else { vec![0xE5] });
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        let silent = LineError { code: codes::line::SILENT, detail: String::new() };
        self.asked.take().ok_or(silent)
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        Ok(0)
    }
    fn mac(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8]) -> Result<Vec<u8>, VaultError> {
        no_key()
    }
    fn encrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        no_key()
    }
    fn decrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        no_key()
    }
    fn random(&mut self, _: u32) -> Result<Vec<u8>, VaultError> {
        no_key()
    }
    fn log(&mut self, _: Level, _: &str) {}
}

const NOW: LocalTime = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 11, second: 12 };
const LONG_AGO: LocalTime =
    LocalTime { year: 2000, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
const QUESTIONS: u32 = 8;

fn call() -> Call {
    Call { address: "5".to_owned(), parameters: vec![], now: NOW, nonce: (0..16).collect() }
}

fn play(body: &[u8]) {
    let asked =
        RecordsAsked { kind: "stored", since: LONG_AGO, position: None, questions: QUESTIONS };
    let mut liar = Liar::new(body);
    if let Ok(told) = Mbus::read_records(&mut liar, &call(), asked) {
        assert!(told.entries.len() <= 256, "{body:02X?}");
        for entry in &told.entries {
            let at = entry.at.expect("a time");
            assert!(time::ahead(at, NOW) <= 0, "{at:?} of {body:02X?}");
        }
    }
    assert!(liar.sent.len() <= QUESTIONS as usize, "{} frames", liar.sent.len());
    let mut liar = Liar::new(body);
    let set = Mbus::set_clock(&mut liar, &call(), codes::clock::SET);
    let written = liar.sent.iter().filter(|sent| sent.get(6) == Some(&0x51)).count();
    assert!(written <= 1, "the time is sent once: {body:02X?}");
    // Nothing was sent where no clock is told, and nothing is confirmed that was not sent.
    assert!(written == 1 || !matches!(set, Ok(ClockOutcome::Confirmed(_))), "{body:02X?}");
    let _ = Mbus::read(&mut Liar::new(body), &call());
    let _ = Mbus::decode(&Liar::new(body).telegram);
}

#[test]
fn every_bit_of_a_telegram_and_every_cut() {
    let head = "08057221436587770402070100 0000";
    let layer = "0805 90 0F002C25B30A0000AF5D74DF73A600D9 7278563412931533037500200710";
    for body in [
        format!(
            "{head} 0413 31D40000 046D 0B0A4233 4413 88520000 426C 3F3C 8401138C000000 84025B11000000"
        ),
        format!(
            "{head} 066D 0C0B0A423300 840413 00010000 82046C 7F2A 8D04931F08 72FE 0000 0300 1600"
        ),
        format!(
            "{head} 046D 0B0A4233 C40113 8C0A0000 C4016D 3B173E3C 8D0F931306 3401 07000000 820F6C 3F3C"
        ),
        format!("{layer} 9058475F4BC91DF878B80A1B0F98B629 024AAC727942BFC549233C0140829B93"),
    ] {
        let body = hex::decode(body.replace(' ', "")).expect("hexadecimal digits");
        play(&body);
        for cut in 3..body.len() {
            play(&body[..cut]);
        }
        for bit in 0..body.len() * 8 {
            let mut turned = body.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            play(&turned);
        }
    }
}
