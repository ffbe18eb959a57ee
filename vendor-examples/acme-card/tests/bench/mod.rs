//! What a host lends the driver, in memory: an AT24C02 that can be pulled, a vault with one key, and a
//! note of all that was asked, as transcripts have it. Beside it the device, written from the README.

use acme::Acme;
use hmac::{Hmac, KeyInit, Mac};
use polymeter_cards::{field, is_summed, summed};
use polymeter_driver::codes::{card, slot};
use polymeter_driver::{Host, InsertedCard, Key, Level, LineError, SlotError, VaultError};
use polymeter_replay::{Transcript, perform_card, rendered};
use sha2::Sha256;

const SOURCE: &str = "source: synthetic, from the README's layout and the card in tests/bench";
const KEY: [u8; 16] = *b"the tests' key!!";
pub const NUMBER: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

pub type Memory = [u8; 256];

/// As the maker of cards delivers one.
pub fn fresh(number: [u8; 8]) -> Memory {
    let mark = summed([&[0x7E, 0x41, 0x24, 0x02, 1, 0][..], &number].concat());
    let mut memory = [0xFF; 256];
    memory[..16].copy_from_slice(&mark);
    memory
}

/// One call's host.
pub struct Bench {
    pub memory: Memory,
    key: [u8; 16],
    pulled_after: Option<usize>,
    pub written: usize,
    is_gone: bool,
    asked: Vec<String>,
}

impl Bench {
    pub fn new(memory: Memory) -> Bench {
        let (pulled_after, written, is_gone) = (None, 0, false);
        Bench { memory, key: KEY, pulled_after, written, is_gone, asked: Vec::new() }
    }

    /// The vault of another region.
    pub fn of_others(memory: Memory) -> Bench {
        Bench { key: [7; 16], ..Bench::new(memory) }
    }

    /// Pulled when so many bytes are written.
    pub fn pulled(memory: Memory, after: usize) -> Bench {
        Bench { pulled_after: Some(after), ..Bench::new(memory) }
    }

    /// One call, in the words of a transcript; the transcript that it makes.
    pub fn call(&mut self, call: &str) -> String {
        let head = format!("{SOURCE}\ncall: {call}\n");
        let asked = Transcript::parse("a test", &format!("{head}result: none\n"));
        let outcome = perform_card::<Acme>(self, &asked.expect("a call").request);
        let asked: String = self.asked.iter().map(|line| format!("{line}\n")).collect();
        format!("{head}{asked}result: {}\n", rendered(&outcome).join("\n"))
    }

    fn at_card<T>(
        &mut self,
        asked: String,
        act: impl FnOnce(&mut Bench) -> Option<(T, String)>,
    ) -> Result<T, SlotError> {
        let answer = if self.is_gone { None } else { act(self) };
        if let Some((answer, told)) = answer {
            self.asked.push(format!("card {asked} = {told}"));
            return Ok(answer);
        }
        let detail = "the card was pulled";
        self.asked.push(format!("card {asked} = refused {} {detail}", slot::GONE));
        Err(SlotError { code: slot::GONE, detail: detail.to_owned() })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Host for Bench {
    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        let card = InsertedCard { kind: card::AT24C, atr: vec![0x3B, 0], uid: Vec::new() };
        let told = format!("kind={} atr=3b00", card::AT24C);
        self.at_card("inserted".to_owned(), |_| Some((card, told)))
    }

    fn read_card(&mut self, offset: u32, length: u32) -> Result<Vec<u8>, SlotError> {
        self.at_card(format!("read offset={offset} length={length}"), |bench| {
            let bytes = &bench.memory[offset as usize..][..length as usize];
            let told: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            Some((bytes.to_vec(), told.join(" ")))
        })
    }

    fn write_card(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotError> {
        self.at_card(format!("write offset={offset} data={}", hex(bytes)), |bench| {
            let left = bench.pulled_after.map_or(usize::MAX, |after| after - bench.written);
            bench.is_gone = left <= bytes.len();
            let taken = &bytes[..left.min(bytes.len())];
            bench.memory[offset as usize..][..taken.len()].copy_from_slice(taken);
            bench.written += taken.len();
            (!bench.is_gone).then(|| ((), "done".to_owned()))
        })
    }

    fn mac(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        assert_eq!((key.label.as_str(), algorithm, iv), ("card-data", 2, &[][..]));
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length");
        mac.update(data);
        let mac = mac.finalize().into_bytes().to_vec();
        let (data, told) = (hex(data), hex(&mac));
        self.asked.push(format!("vault mac card-data algorithm=2 data={data} = {told}"));
        Ok(mac)
    }

    fn send(&mut self, _: &[u8]) -> Result<(), LineError> {
        panic!("a driver of cards has no line")
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        panic!("a driver of cards has no line")
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        panic!("a driver of cards has no line")
    }
    fn encrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        panic!("nothing is encrypted on these cards")
    }
    fn decrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        panic!("nothing is encrypted on these cards")
    }
    fn random(&mut self, _: u32) -> Result<Vec<u8>, VaultError> {
        panic!("nothing is random on these cards")
    }
    fn log(&mut self, _: Level, _: &str) {}
}

/// What a device has taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub count: u32,
    pub balance: u32,
}

impl Device {
    /// The card is put in: the next purchase is taken, and the write-back written.
    pub fn take(&mut self, memory: &mut Memory) {
        let newer = |at: &usize| field(memory, *at).map(u16::from_be_bytes);
        let good = |from: [usize; 2], bytes| {
            let mut good: Vec<usize> =
                from.into_iter().filter(|at| is_summed(&memory[*at..][..bytes])).collect();
            good.sort_by_key(newer);
            good.pop()
        };
        let Some(state) = good([0x10, 0x40], 48).map(|at| memory[at..][..48].to_vec()) else {
            return;
        };
        let [count, amount] =
            [24, 28].map(|at| u32::from_be_bytes(field(&state, at).expect("it is long enough")));
        if count == self.count + 1 {
            (self.count, self.balance) = (count, self.balance + amount);
        }
        let last = good([0x70, 0x98], 40);
        let sequence = last.and_then(|at| newer(&at)).map_or(0, |it| it + 1);
        let back = [
            &sequence.to_be_bytes()[..],
            &[0, 0],
            &state[18..24],
            &state[12..18],
            &self.count.to_be_bytes(),
            &self.balance.to_be_bytes(),
            &[0; 4],
            &[0x26, 0x11, 0x26, 0x12, 0x00],
            &[0; 5],
        ];
        let at = if last == Some(0x70) { 0x98 } else { 0x70 };
        memory[at..][..40].copy_from_slice(&summed(back.concat()));
    }
}
