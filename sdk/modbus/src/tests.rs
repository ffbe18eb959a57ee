//! Maps on a bank of registers that is nobody's device: what is asked, what is made of the answers.

use crate::face::Face;
use crate::read::{Held, blocks, measurements};
use crate::{BEGIN, Block, END, relay};
use polymeter_codec::modbus::{Unit, crc16};
use polymeter_driver::codes::{command, error, line, quality, supply};
use polymeter_driver::{
    Call, ControlOutcome, Description, DriverError, Extras, Host, Key, Level, LineError, LocalTime,
    Measurement, Value, VaultError,
};
use std::collections::BTreeMap;

const HEAD: &str = "name = \"x\"\nversion = \"1.0.0\"\nmodels = [\"M\"]\n[[vendor]]\ncode = \"X\"\n\
                    name-en = \"X\"\nname-zh = \"X\"\n";

/// Registers behind unit 1; those that are not there are exception 2.
#[derive(Default)]
struct Bank {
    registers: BTreeMap<u16, u16>,
    asked: Vec<Vec<u8>>,
    reply: Vec<u8>,
}

impl Host for Bank {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.asked.push(bytes.to_vec());
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let (start, count) = (word(2), word(4));
        let held: Option<Vec<u16>> =
            (start..start + count.min(125)).map(|at| self.registers.get(&at).copied()).collect();
        let mut reply = match (bytes[1], held) {
            (3 | 4, Some(words)) => {
                let bytes_of = words.iter().flat_map(|word| word.to_be_bytes());
                [vec![1, bytes[1], u8::try_from(count * 2).unwrap()], bytes_of.collect()].concat()
            }
            (3 | 4, None) => vec![1, bytes[1] | 0x80, 2],
            _ => {
                for place in 0..count {
                    self.registers.insert(start + place, word(7 + usize::from(place) * 2));
                }
                bytes[..6].to_vec()
            }
        };
        reply.extend(crc16(&reply).to_le_bytes());
        self.reply = reply;
        Ok(())
    }

    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        match std::mem::take(&mut self.reply) {
            silent if silent.is_empty() => {
                Err(LineError { code: line::SILENT, detail: "no answer".to_owned() })
            }
            reply => Ok(reply),
        }
    }

    fn drain(&mut self) -> Result<u32, LineError> {
        Ok(0)
    }

    fn mac(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8]) -> Result<Vec<u8>, VaultError> {
        unreachable!("no vault")
    }

    fn encrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        unreachable!("no vault")
    }

    fn decrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        unreachable!("no vault")
    }

    fn random(&mut self, _: u32) -> Result<Vec<u8>, VaultError> {
        unreachable!("no vault")
    }

    fn log(&mut self, _: Level, _: &str) {}
}

fn face(map: &str) -> Result<Face, String> {
    Face::parse(&format!(
        "{HEAD}[[map]]\nmodel = \"M\"\nevidence = \"assumed\"\nsource = \"s\"\n{map}"
    ))
}

fn call(parameters: Extras) -> Call {
    Call {
        address: "1".to_owned(),
        parameters,
        now: LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 0, second: 0 },
        nonce: vec![0; 16],
    }
}

fn unit() -> Unit {
    Unit::new(1).unwrap()
}

/// One reading of `registers` by a map: the values, and how many questions they took.
fn read(map: &str, registers: &[(u16, &[u16])]) -> (Result<Vec<Measurement>, DriverError>, usize) {
    let face = face(map).expect("a good map");
    let mut bank = Bank::default();
    for (start, words) in registers {
        bank.registers.extend((*start..).zip(words.iter().copied()));
    }
    let map = face.map(&call(vec![])).expect("the only map");
    let held = Held::of(&mut bank, unit(), map);
    (held.map(|held| measurements(&held, map)), bank.asked.len())
}

#[test]
fn registers_that_stand_together_are_read_together() {
    let check = |wanted: &[(u16, u16)], gap, longest, expected: &[(u16, u16)]| {
        let found = blocks(wanted.to_vec(), gap, longest);
        let expected: Vec<Block> =
            expected.iter().map(|(start, count)| Block { start: *start, count: *count }).collect();
        assert_eq!(found, expected, "{wanted:?} {gap} {longest}");
    };
    check(&[(0, 2), (2, 2)], 0, 125, &[(0, 4)]);
    check(&[(2, 2), (0, 2)], 0, 125, &[(0, 4)]);
    check(&[(0, 2), (3, 2)], 0, 125, &[(0, 2), (3, 2)]);
    check(&[(0, 2), (3, 2)], 1, 125, &[(0, 5)]);
    check(&[(0, 2), (2, 2)], 0, 3, &[(0, 2), (2, 2)]);
    check(&[(0, 4), (1, 1), (3, 4)], 0, 125, &[(0, 7)]);
    check(&[(0, 125), (125, 1)], 9, 125, &[(0, 125), (125, 1)]);
    check(&[(0xFFFE, 2), (0xFFFF, 1)], 9, 125, &[(0xFFFE, 2)]);
    check(&[], 0, 125, &[]);
}

#[test]
fn values_are_as_the_map_says() {
    let check = |map: &str, registers: &[(u16, &[u16])], value: Value, of: u16| {
        let map = format!("register = [ {{ address = 0x10, obis = \"1.0.1.7.0.255\", {map} }} ]");
        let (found, _) = read(&map, registers);
        let found = found.expect("a reading").remove(0);
        assert_eq!((&found.value, found.quality), (&value, of), "{map}");
    };
    let number = crate::value::number;
    let good = quality::MEASURED;
    check("type = \"u16\", scale = -1", &[(0x10, &[0xFFFE])], number(0xFFFE, -1), good);
    check("type = \"i16\"", &[(0x10, &[0xFFFE])], number(-2, 0), good);
    check("type = \"u32\"", &[(0x10, &[1, 2])], number(0x0001_0002, 0), good);
    check(
        "type = \"u32\", word-order = \"low-first\"",
        &[(0x10, &[1, 2])],
        number(0x0002_0001, 0),
        good,
    );
    check("type = \"i32\"", &[(0x10, &[0xFFFF, 0xFFFF])], number(-1, 0), good);
    check("type = \"f32\"", &[(0x10, &[0x435C, 0x199A])], number(2201, -1), good);
    check("type = \"u64\"", &[(0x10, &[0, 1, 0, 2])], number(0x0001_0000_0002, 0), good);
    let exponent = "type = \"u16\", scale = -4, exponent = { address = 2, byte = \"high\" }";
    check(exponent, &[(0x10, &[2201]), (2, &[0x0305])], number(2201, -1), good);
    check(exponent, &[(0x10, &[2201]), (2, &[0xFE05])], number(2201, -6), good);
    let factor = "type = \"u16\", factor = { address = 2, type = \"f32\" }";
    check(factor, &[(0x10, &[3800]), (2, &[0x3E80, 0])], number(95_000, -2), good);

    let absent = "type = \"u32\", absent = [0xFFFFFFFF, 0]";
    let raw = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    check(absent, &[(0x10, &[0xFFFF, 0xFFFF])], raw(&[0xFF; 4]), quality::NOT_MEASURED);
    check(absent, &[(0x10, &[0, 0])], raw(&[0; 4]), quality::NOT_MEASURED);
    check(absent, &[(0x10, &[0, 1])], number(1, 0), good);
    check("type = \"f32\"", &[(0x10, &[0x7FC0, 0])], raw(&[0x7F, 0xC0, 0, 0]), quality::INVALID);
    check("type = \"u64\"", &[(0x10, &[0xFFFF; 4])], raw(&[0xFF; 8]), quality::INVALID);
    check(factor, &[(0x10, &[1]), (2, &[0x7F80, 0])], raw(&[0, 1]), quality::INVALID);
    check(exponent, &[(0x10, &[1]), (2, &[0x0C00])], number(1, 8), good);
    check(exponent, &[(0x10, &[1]), (2, &[0x0D00])], raw(&[0, 1]), quality::INVALID);
    check(exponent, &[(0x10, &[1]), (2, &[0x8000])], raw(&[0, 1]), quality::INVALID);
}

#[test]
fn what_a_device_does_not_have_costs_nothing_else() {
    let map = "register = [\n\
        { address = 0, type = \"u16\", obis = \"1.0.1.7.0.255\" },\n\
        { address = 9, type = \"u16\", obis = \"1.0.2.7.0.255\" } ]";
    let (found, asked) = read(map, &[(0, &[7])]);
    let found: Vec<_> = found.expect("half a reading").iter().map(|it| it.quality).collect();
    assert_eq!((found, asked), (vec![quality::MEASURED, quality::NOT_MEASURED], 2));
    let (none, _) = read(map, &[]);
    assert_eq!(none.expect_err("nothing at all").code, error::NO_SUCH_DATA);
    let (all, asked) = read(&format!("gap = 8\n{map}"), &[(0, &[0; 10])]);
    assert!(all.is_ok() && asked == 1, "one question for both");
    let (all, _) = read(&format!("function = 4\n{map}"), &[(0, &[0; 10])]);
    assert!(all.is_ok());
}

#[test]
fn a_map_that_cannot_be_used_says_where() {
    let check = |map: &str, part: &str| {
        let error = face(map).expect_err("refused");
        assert!(error.contains(part), "{error}");
    };
    let register = |more: &str| {
        format!(
            "register = [ {{ address = 0xFFFF, type = \"u16\", obis = \"1.0.1.7.0.255\"{more} }} ]\n"
        )
    };
    let good = register("");
    assert!(face(&good).is_ok());
    check("", "missing field `register`");
    check("register = []", "map M: 0 registers are not 1 to 256");
    check(&good.replace("u16", "u33"), "driver.toml:12: unknown variant `u33`");
    check(&good.replace("u16", "u32"), "map M: register FFFFH: 2 registers from FFFFH pass FFFFH");
    check(&good.replace("255", "256"), "`1.0.1.7.0.256` is no OBIS code");
    check(&good.replace(".255", ""), "is no OBIS code");
    check(&good.replace("0xFFFF", "0x10000"), "driver.toml:12");
    check(&register(", unit = \"kwh\""), "unit `kwh` is not known");
    check(&register(", scale = 13"), "scale 13 is beyond 12 places");
    check(&register(", colour = 1"), "unknown field `colour`");
    check(&format!("function = 5\n{good}"), "function 5 is none of 3 and 4");
    check(&format!("longest = 0\n{good}"), "longest 0 is not 1 to 125");
    let relay = |relay: &str| format!("{good}relay = {{ address = 1, {relay} }}");
    check(&relay("open = [1], close = []"), "relay: open and close have 1 and 0 registers");
    check(&relay("open = [1], close = [1]"), "open and close are the same");
    check(&relay("open = [1, 1], close = [0, 0], function = 6"), "function 6 does not write 2");
    let blind = "open = [1], close = [0], status = { address = 2, mask = 1, open = 2, close = 4 }";
    check(&relay(blind), "looks the same open and closed");
    let twice = "register = [ { address = 0, type = \"u16\", obis = \"1.0.1.7.0.255\" }, \
                 { address = 1, type = \"u16\", obis = \"1.0.1.7.0.255\" } ]";
    check(twice, "1.0.1.7.0.255 stands there twice");
    for (text, part) in [
        (HEAD.to_owned(), "no [[map]]"),
        (HEAD.replace("[\"M\"]", "[\"M\", \"N\"]"), "no [[map]]"),
        ("name = 1".to_owned(), "driver.toml:1"),
        ("\u{0}".to_owned(), "driver.toml:1"),
    ] {
        let error = Face::parse(&text).expect_err("refused");
        assert!(error.contains(part), "{error}");
    }
    assert!(Face::read(b"name = \"x\"").is_err(), "no marks");
    let place = [BEGIN, HEAD.as_bytes(), END].concat();
    let why = Face::read(&place).expect_err("no map");
    let told = Face::unusable(&place, why);
    assert_eq!((told.vendor_code.as_str(), told.version.as_str()), ("X", "1.0.0"));
    assert_eq!(told.models, ["driver.toml has no [[map]]"], "so that the host says it");
    assert_eq!(Face::unusable(b"", "why".to_owned()).vendor_code, "");
}

#[test]
fn a_model_chooses_its_map() {
    let map = |model: &str, address: u16| {
        format!(
            "[[map]]\nmodel = \"{model}\"\nevidence = \"proven\"\nsource = \"s\"\nregister = [ \
             {{ address = {address}, type = \"u16\", obis = \"1.0.1.7.0.255\" }} ]\n"
        )
    };
    let head = HEAD.replace("[\"M\"]", "[\"M\", \"N\"]");
    let two = format!("{head}{}{}", map("M", 1), map("N", 2));
    let face = Face::parse(&two).expect("two maps");
    let chosen = |face: &Face, model: Option<&str>| {
        let model = model.map(|it| ("model".to_owned(), Value::Text(it.to_owned())));
        let found = face.map(&call(model.into_iter().collect()));
        found.map(|map| map.model.clone()).map_err(|error| error.code)
    };
    assert_eq!(chosen(&face, Some("N")), Ok("N".to_owned()));
    assert_eq!(chosen(&face, Some("O")), Err(error::BAD_PARAMETER));
    assert_eq!(chosen(&face, None), Err(error::BAD_PARAMETER), "nobody says which");
    let declared = "[parameters.model]\ntype = \"string\"\ntitle-en = \"M\"\ntitle-zh = \"M\"\n\
                    default = \"N\"\n";
    let face = Face::parse(&format!("{two}{declared}")).expect("with a default");
    assert_eq!(chosen(&face, None), Ok("N".to_owned()));
    let Description { models, vendor_code, parameters, .. } = face.description();
    assert_eq!((models.len(), vendor_code.as_str(), parameters.len()), (2, "X", 1));
    let lost = format!("{head}{}", map("M", 1));
    assert_eq!(Face::parse(&lost).expect_err("no map for N"), "model N has 0 maps");
}

#[test]
fn a_relay_is_believed_when_it_is_seen() {
    let registers = "register = [ { address = 0, type = \"u16\", obis = \"1.0.1.7.0.255\" } ]\n";
    let check = |relay_text: &str, held: &[(u16, u16)], expected: Result<u16, &str>| {
        let face = face(&format!("{registers}relay = {{ {relay_text} }}")).expect("a good map");
        let mut bank = Bank { registers: held.iter().copied().collect(), ..Bank::default() };
        let map = face.map(&call(vec![])).expect("the only map");
        let call = call(vec![]);
        let outcome =
            relay::control(&mut bank, &call, unit(), map, command::DISCONNECT, None).expect("done");
        match (outcome, expected) {
            (ControlOutcome::Confirmed(state), Ok(wanted)) => assert_eq!(state, wanted),
            (ControlOutcome::Unknown(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    };
    let own = "address = 9, open = [2], close = [1], status = { address = 9, open = 2, close = 1 }";
    check(own, &[(9, 1)], Ok(supply::DISCONNECTED));
    // Acknowledged, so where it stood before is no matter.
    check(own, &[(9, 2)], Ok(supply::DISCONNECTED));
    let apart =
        "address = 9, open = [2], close = [1], status = { address = 8, open = 0, close = 1 }";
    check(apart, &[(9, 1), (8, 1)], Err("the relay is closed"));
    check("address = 9, open = [2], close = [1]", &[], Err("no status of the relay"));
}

/// A real file cut anywhere, and changed anywhere: a sentence or a face, never a panic.
#[test]
fn no_text_makes_it_panic() {
    let text = include_str!("../../../drivers/modbus-generic/driver.toml");
    assert!(Face::parse(text).is_ok());
    let (mut good, mut bad) = (0_u32, 0_u32);
    let mut take = |text: &str| match Face::parse(text) {
        Ok(face) => good += u32::try_from(face.maps().len()).unwrap(),
        Err(why) => {
            assert!(!why.is_empty());
            bad += 1;
        }
    };
    let places = || text.char_indices().map(|(at, _)| at).step_by(13);
    for at in places() {
        take(&text[..at]);
        for with in ["]", "\"", "0xFFFF", "-9223372036854775808", "\u{0}"] {
            let (before, behind) = text.split_at(at);
            let mut rest = behind.chars();
            rest.next();
            take(&format!("{before}{with}{}", rest.as_str()));
        }
    }
    take(&"[".repeat(100_000));
    take(&format!("a = {}", "[".repeat(100_000)));
    assert!(good > 100 && bad > 1_000, "{good} maps read, {bad} texts refused");
}
