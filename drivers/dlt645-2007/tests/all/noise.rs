//! A bus with noise on it and answers that come late, twice or from somebody else (targets.md, R11
//! and R12): whatever comes, a value that the driver gives out is the asked meter's own.
//!
//! The line is 8E1 as the standard wants it: a byte in which an odd number of bits is turned over
//! fails its parity and is lost. What an 8-bit sum lets through without parity is measured beside
//! it, because a gateway may not check it.

use driver_dlt645_2007::Dlt645;
use polymeter_codec::Decoded;
use polymeter_codec::bcd::{self, Sign};
use polymeter_codec::dlt645::{self, Address, Data, Frame, control};
use polymeter_driver::codes::{line, quality, register};
use polymeter_driver::{
    Call, Evidence, Host, LineError, LocalTime, Measurement, MeterDriver, Snapshot, Value,
};
use std::io::Write as _;

const METERS: u64 = 4;

/// xorshift64*
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        times > 0 && self.bits().is_multiple_of(times)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.bits()).unwrap() % count.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.bits().to_le_bytes()[0]
    }
}

/// Once in so many; 0 never.
#[derive(Clone, Copy, Default)]
struct Trouble {
    /// Bits turned over.
    bit: u64,
    parity: bool,
    /// Bytes put in or lost, replies cut.
    byte: u64,
    cut: u64,
    /// Harmless: noise before the reply, the question's own echo, the reply twice.
    noise: u64,
    echo: u64,
    twice: u64,
    /// The answer of the meter that was asked before, or another meter's, comes first.
    late: u64,
    stranger: u64,
    /// The right answer comes behind another one of the same meter to the question before.
    swapped: u64,
}

struct Bus {
    random: Random,
    trouble: Trouble,
    heard: Vec<u8>,
    before: Vec<u8>,
    exchanges: u64,
    spoilt: u64,
}

/// What a meter holds: different for each meter, item and place.
fn truth(meter: u64, identifier: u32) -> Option<Vec<u8>> {
    let count = match identifier {
        0x0001_FF00 => 5,
        0x0090_0200 | 0x0090_0201 | 0x0333_0201 | 0x0333_0301 => 1,
        _ => return None,
    };
    let number =
        |place: u64| (meter * 7_919 + u64::from(identifier >> 8) * 31 + place * 977) % 100_000_000;
    let encoded = |number: u64| {
        let mut bytes = [0; 4];
        bcd::encode(number, &mut bytes).unwrap();
        bytes
    };
    Some((0..count).flat_map(|place| encoded(number(place))).collect())
}

fn address_of(meter: u64) -> Address {
    format!("{:012}", 201_800_000_000 + meter * 11).parse().unwrap()
}

fn bytes_of(frame: &Frame) -> Vec<u8> {
    let mut bytes = vec![0xFE; 4];
    bytes.resize(4 + frame.encoded_length(), 0);
    frame.encode(&mut bytes[4..]).unwrap();
    bytes
}

/// The reply of whichever meter the question is for.
fn reply(question: &Frame) -> Option<Vec<u8>> {
    let meter = (0..METERS).find(|meter| address_of(*meter) == question.address)?;
    let identifier = question.data_identifier()?;
    let held = truth(meter, identifier).filter(|_| question.control == control::READ);
    let (code, data) = match held {
        Some(held) => (control::REPLY, [identifier.to_le_bytes().as_slice(), &held].concat()),
        None => (control::REPLY | control::ERROR, vec![0x02]),
    };
    let control = question.control | code;
    let data = Data::new(&data).unwrap();
    Some(bytes_of(&Frame { address: question.address, control, data }))
}

impl Bus {
    fn new(seed: u64, trouble: Trouble) -> Bus {
        let (heard, before) = (Vec::new(), Vec::new());
        Bus { random: Random(seed | 1), trouble, heard, before, exchanges: 0, spoilt: 0 }
    }

    /// What of `bytes` comes out at the other end.
    fn carried(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Trouble { bit, parity, byte, cut, .. } = self.trouble;
        let mut out = Vec::new();
        for sent in bytes {
            let flips =
                (0..8).fold(0_u8, |flips, at| flips | u8::from(self.random.once_in(bit)) << at);
            if parity && flips.count_ones() % 2 == 1 || self.random.once_in(byte) {
                continue;
            }
            if self.random.once_in(byte) {
                out.push(self.random.byte());
            }
            out.push(sent ^ flips);
        }
        if self.random.once_in(cut) {
            out.truncate(self.random.below(out.len()));
        }
        if out != bytes {
            self.spoilt += 1;
        }
        out
    }
}

impl Host for Bus {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.exchanges += 1;
        self.heard.clear();
        let trouble = self.trouble;
        if self.random.once_in(trouble.noise) {
            let length = self.random.below(20);
            self.heard = (0..length).map(|_| self.random.byte()).collect();
        }
        if self.random.once_in(trouble.echo) {
            self.heard.extend(bytes);
        }
        let arrived = self.carried(bytes);
        let Decoded::Frame { frame: question, .. } = dlt645::decode(&arrived) else {
            return Ok(());
        };
        let Some(right) = reply(&question) else { return Ok(()) };
        if self.random.once_in(trouble.late) || self.random.once_in(trouble.swapped) {
            self.heard.extend(self.before.clone());
        }
        if self.random.once_in(trouble.stranger) {
            let meter = self.random.below(usize::try_from(METERS).unwrap());
            let address = address_of(u64::try_from(meter).unwrap());
            if address != question.address {
                self.heard.extend(reply(&Frame { address, ..question }).unwrap());
            }
        }
        let carried = self.carried(&right);
        self.heard.extend(&carried);
        if self.random.once_in(trouble.twice) {
            self.heard.extend(&carried);
        }
        self.before = right;
        Ok(())
    }

    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        if self.heard.is_empty() {
            return Err(LineError { code: line::SILENT, detail: String::new() });
        }
        // In pieces, as a line gives them.
        let length = 1 + self.random.below(self.heard.len());
        let length = if self.random.once_in(4) { length } else { self.heard.len() };
        Ok(self.heard.drain(..length).collect())
    }

    polymeter_replay::no_vault!();
}

#[derive(Debug, Default)]
struct Count {
    exchanges: u64,
    calls: u64,
    /// Calls in which no frame was spoilt, and those that gave values.
    clean: u64,
    good: u64,
    values: u64,
    wrong: u64,
}

/// Reads and checks the meters in turn: a reading is ten exchanges, a check four.
fn read_all(seed: u64, trouble: Trouble, calls: u64) -> Count {
    let mut bus = Bus::new(seed, trouble);
    let mut count = Count { calls, ..Count::default() };
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 11, second: 12 };
    for number in 0..calls {
        let meter = number / 2 % METERS;
        let address = address_of(meter).to_string();
        let call = Call { address, parameters: vec![], now, nonce: vec![0; 16] };
        let spoilt = bus.spoilt;
        let true_values = if number % 2 == 0 {
            Dlt645::read(&mut bus, &call).map(|snapshot| of_reading(meter, &snapshot))
        } else {
            Dlt645::check(&mut bus, &call, None).map(|evidence| of_check(meter, &evidence))
        };
        count.clean += u64::from(bus.spoilt == spoilt);
        let Ok(true_values) = true_values else { continue };
        count.good += 1;
        count.values += u64::try_from(true_values.len()).unwrap();
        count.wrong += u64::try_from(true_values.iter().filter(|good| !**good).count()).unwrap();
    }
    count.exchanges = bus.exchanges;
    count
}

/// Whether each value is the meter's own.
fn of_reading(meter: u64, snapshot: &Snapshot) -> Vec<bool> {
    let measured = |one: &&Measurement| one.quality == quality::MEASURED;
    let told = snapshot.measurements.iter().filter(measured);
    told.filter(|one| one.register != register::PURCHASE_COUNT)
        .map(|one| is_true(meter, &one.register, &one.value))
        .collect()
}

fn of_check(meter: u64, evidence: &Evidence) -> Vec<bool> {
    let held = |identifier| held(meter, identifier, 0).unwrap();
    let mut good = vec![i64::from(evidence.count) == held(0x0333_0201)];
    if let Some(purchase) = &evidence.purchase {
        good.push(i64::try_from(purchase.credit.amount).ok() == Some(held(0x0333_0301)));
    }
    if let Some(balance) = &evidence.balance {
        good.push(i64::try_from(balance.amount).ok() == Some(held(0x0090_0200)));
    }
    good
}

fn held(meter: u64, identifier: u32, place: usize) -> Option<i64> {
    let bytes = truth(meter, identifier)?;
    bcd::decode(bytes.chunks(4).nth(place)?, Sign::None).ok()?
}

fn is_true(meter: u64, register: &str, value: &Value) -> bool {
    let Value::Number(number) = value else { return false };
    let (identifier, place) = match register {
        "0.0.19.10.0.255" => (0x0090_0200, 0),
        "0.0.19.10.1.255" => (0x0090_0201, 0),
        energy => {
            let place = energy.strip_prefix("1.0.1.8.").and_then(|rest| rest.strip_suffix(".255"));
            (0x0001_FF00, place.and_then(|place| place.parse().ok()).unwrap_or(99))
        }
    };
    held(meter, identifier, place) == Some(number.mantissa)
}

/// Calls; more by the environment, as targets.md wants a million exchanges.
fn calls() -> u64 {
    std::env::var("POLYMETER_NOISE_CALLS")
        .ok()
        .and_then(|calls| calls.parse().ok())
        .unwrap_or(4_000)
}

fn say(row: &str, what: &str, count: &Count) {
    let text = format!(
        "{row} dlt645 {what}: {} exchanges, {} of {} calls good, {} unspoilt, {} values, {} wrong",
        count.exchanges, count.good, count.calls, count.clean, count.values, count.wrong
    );
    report!("{text}");
}

const HARMLESS: Trouble = Trouble {
    noise: 10,
    echo: 10,
    twice: 20,
    bit: 0,
    parity: true,
    byte: 0,
    cut: 0,
    late: 0,
    stranger: 0,
    swapped: 0,
};

#[test]
fn r11_noise_on_the_bus_makes_no_wrong_value() {
    for (seed, bit) in [(1, 100_000), (2, 10_000), (3, 1_000)] {
        let trouble = Trouble { bit, byte: 5_000, cut: 500, ..HARMLESS };
        let count = read_all(seed, trouble, calls());
        say("R11", &format!("a bit in {bit}"), &count);
        assert_eq!(count.wrong, 0, "{count:?}");
        // Noise before a reply may end in what looks like its beginning, and is waited out then.
        assert!(count.good * 10 >= count.clean * 9, "{count:?}");
        assert!(count.good > 0);
    }
}

/// How far the sum, address, identifier, length and digits carry where nobody checks parity.
#[test]
fn r11_without_parity_few_wrong_values_pass() {
    let count = read_all(4, Trouble { bit: 1_000, parity: false, ..HARMLESS }, calls());
    say("R11", "a bit in 1000 without parity", &count);
    assert!(count.wrong * 10_000 <= count.exchanges, "more than one in 10 000: {count:?}");
}

#[test]
fn r12_no_answer_is_taken_for_another() {
    let trouble = Trouble { late: 3, stranger: 3, swapped: 5, twice: 5, ..HARMLESS };
    let count = read_all(5, trouble, calls());
    say("R12", "late, strange, swapped and doubled answers", &count);
    assert_eq!(count.wrong, 0, "{count:?}");
    assert!(count.good * 10 >= count.calls * 9, "what is passed over costs no reading: {count:?}");
}

/// The check above can fail: a meter that has another one's number is noticed.
#[test]
fn the_truth_tells_meters_apart() {
    let number = |mantissa| Value::Number(polymeter_driver::Decimal { mantissa, scale: -2 });
    let first = held(1, 0x0001_FF00, 0).unwrap();
    assert!(is_true(1, "1.0.1.8.0.255", &number(first)));
    assert!(!is_true(2, "1.0.1.8.0.255", &number(first)));
    assert!(!is_true(1, "1.0.1.8.1.255", &number(first)));
}
