//! Which meters answer on an HDLC line. There is no address that every meter answers, so each is
//! asked by its own (SNRM, IEC 62056-46), and whoever answers is asked for its name and its number as
//! the public client, which changes nothing.
//!
//! Invariant: where the search stands is in its position and nowhere else; a step sends no more frames
//! than it may. Not here: meters behind a wrapper, which are found by their network address.

use crate::association;
use crate::link::{Line, Link};
use crate::measure::text;
use crate::read::DEVICE_NAME;
use crate::session::{Got, Session};
use crate::settings::{PUBLIC_CLIENT, Settings, bad, name};
use polymeter_codec::Obis;
use polymeter_codec::dlms::{Attribute, Data};
use polymeter_driver::codes::error;
use polymeter_driver::{
    Argument, Call, Collision, Decimal, DriverError, Found, Host, Step, Value, Way,
};

/// The connection of what is found.
const HDLC: &str = "hdlc";
const ADDRESSES: &str = "addresses";
const LOGICAL: &str = "logical-device";
const FIRST: &str = "first-address";
const LAST: &str = "last-address";
/// The upper and lower addresses that may name one meter (IEC 62056-46, 6.4.2): those above name all
/// or none. One byte of seven bits, or two.
const LOGICAL_MAX: u16 = 0x3FFD;
const PHYSICAL_MAX: u16 = 0x3FFD;
/// Those of one byte, without the station that calls (7E) and that of all (7F).
const PHYSICAL_SHORT_MAX: i64 = 0x7D;
/// The serial number that the maker gave it, device id 1.
const SERIAL: Obis = Obis([0, 0, 96, 1, 0, 255]);
/// SNRM, AARQ, GET, DISC: who it is, for one meter.
const FRAMES_A_METER: u32 = 4;
/// DISC, whatever came before.
const TO_FINISH: u32 = 1;

pub fn ways() -> Vec<Way> {
    let argument = |name: &str, title_en: &str, title_zh: &str, default, maximum: u16| Argument {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        default: Value::Number(Decimal { mantissa: default, scale: 0 }),
        minimum: Some(1),
        maximum: Some(maximum.into()),
    };
    vec![Way {
        name: ADDRESSES.to_owned(),
        title_en: "HDLC, every address by its number".to_owned(),
        title_zh: "HDLC逐个地址搜索".to_owned(),
        arguments: vec![
            argument(LOGICAL, "Logical device", "逻辑设备", 1, LOGICAL_MAX),
            argument(FIRST, "First physical address", "起始物理地址", 1, PHYSICAL_MAX),
            argument(
                LAST,
                "Last physical address",
                "结束物理地址",
                PHYSICAL_SHORT_MAX,
                PHYSICAL_MAX,
            ),
        ],
    }]
}

pub fn search(
    host: &mut dyn Host,
    call: &Call,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    if way != ADDRESSES {
        return Err(bad(format!("there is no way `{way}`: {ADDRESSES}")));
    }
    let logical = number(call, LOGICAL, 1, LOGICAL_MAX)?;
    let first = number(call, FIRST, 1, PHYSICAL_MAX)?;
    let last = number(call, LAST, PHYSICAL_SHORT_MAX, PHYSICAL_MAX)?;
    if first > last {
        return Err(bad(format!("{FIRST} {first} lies behind {LAST} {last}")));
    }
    let mut physical = match position {
        None => first,
        Some(bytes) => <[u8; 2]>::try_from(bytes)
            .ok()
            .map(u16::from_le_bytes)
            .filter(|physical| (first..=last).contains(physical))
            .ok_or_else(|| bad("the position is none of this driver's"))?,
    };
    let mut step = Step { found: vec![], collisions: vec![], done: 0, total: 0, next: None };
    step.total = u32::from(last.saturating_sub(first)).saturating_add(1);
    let mut left = questions;
    loop {
        let asked = Asked { logical, physical };
        let (heard, sent) = asked.ask(host, call, left)?;
        left = left.saturating_sub(sent);
        match heard {
            Heard::Nobody => {}
            Heard::One(found) => step.found.push(found),
            Heard::Noise(detail) => {
                let asked = asked.address();
                step.collisions.push(Collision { asked, detail, narrowed: false });
            }
        }
        step.done = u32::from(physical.saturating_sub(first)).saturating_add(1);
        if physical == last {
            return Ok(step);
        }
        physical = physical.saturating_add(1);
        // One that answers shall have time to say who it is.
        if left < FRAMES_A_METER {
            step.next = Some(physical.to_le_bytes().to_vec());
            return Ok(step);
        }
    }
}

enum Heard {
    Nobody,
    One(Found),
    Noise(String),
}

#[derive(Clone, Copy)]
struct Asked {
    logical: u16,
    physical: u16,
}

impl Asked {
    fn address(self) -> String {
        format!("{}/{}", self.logical, self.physical)
    }

    /// Who answers, and how many frames that took.
    fn ask(self, host: &mut dyn Host, call: &Call, left: u32) -> Result<(Heard, u32), DriverError> {
        let mut call = Call { address: self.address(), ..call.clone() };
        call.parameters.retain(|(known, _)| known != name::CONNECTION);
        call.parameters.push((name::CONNECTION.to_owned(), Value::Text(HDLC.to_owned())));
        // Addresses that name all meters name none here.
        let Ok(settings) = Settings::of(&call) else { return Ok((Heard::Nobody, 0)) };
        let line = Line::within(host, left.saturating_sub(TO_FINISH).max(1));
        let link = match Link::open(line, &settings, PUBLIC_CLIENT) {
            Ok(link) => link,
            Err(silent) if silent.code == error::NO_REPLY => return Ok((Heard::Nobody, 1)),
            Err(noise) if matches!(noise.code, error::GARBLED | error::OTHER_DEVICE) => {
                return Ok((Heard::Noise(noise.detail), 1));
            }
            // It is there, and takes no link.
            Err(no) if no.code == error::DEVICE_SAYS_NO => {
                return Ok((Heard::One(self.found(Told::says(no.detail))), 1));
            }
            Err(failed) => return Err(failed),
        };
        let (told, sent) = identity(link, &settings);
        Ok((Heard::One(self.found(told)), sent))
    }

    fn found(self, told: Told) -> Found {
        let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
        // As the driver's parameter wants it for this meter.
        let mut extras = vec![text(name::CONNECTION, HDLC.to_owned())];
        extras.extend(told.serial.map(|serial| text("serial-number", serial)));
        extras.extend(told.says.map(|says| text("says", says)));
        Found { address: self.address(), model: told.model.unwrap_or_default(), extras }
    }
}

/// What a meter tells of itself.
#[derive(Default)]
struct Told {
    model: Option<String>,
    serial: Option<String>,
    /// Why it tells no more.
    says: Option<String>,
}

impl Told {
    fn says(why: String) -> Told {
        Told { says: Some(why), ..Told::default() }
    }
}

/// Name and number, as far as the frames go that are left, and how many were sent.
fn identity(link: Link<'_>, settings: &Settings) -> (Told, u32) {
    let mut session = Session::new(link, None);
    let told = match association::greet(&mut session, settings, None) {
        Ok(()) => name_and_number(&mut session).unwrap_or_else(|why| Told::says(why.detail)),
        Err(why) => Told::says(why.detail),
    };
    (told, session.hang_up())
}

fn name_and_number(session: &mut Session<'_>) -> Result<Told, DriverError> {
    let of = |object| Attribute { class: 1, object, attribute: 2 };
    let got = if session.agreed.several {
        session.get_all(&[of(DEVICE_NAME), of(SERIAL)])?
    } else {
        let mut got = vec![session.get(of(DEVICE_NAME))?];
        if session.left() > 0 {
            got.push(session.get(of(SERIAL))?);
        }
        got
    };
    let told = |nth: usize| got.get(nth).and_then(printed);
    Ok(Told { model: told(0), serial: told(1), says: None })
}

fn printed(got: &Got) -> Option<String> {
    match got.data() {
        Ok(Ok(Data::Octets(bytes) | Data::Visible(bytes) | Data::Utf8(bytes))) => text(bytes),
        _ => None,
    }
}

fn number(call: &Call, name: &str, default: i64, maximum: u16) -> Result<u16, DriverError> {
    let wrong = || bad(format!("`{name}` must be 1 to {maximum}"));
    let number = match call.parameters.iter().find(|(known, _)| known == name) {
        None => default,
        Some((_, Value::Number(Decimal { mantissa, scale: 0 }))) => *mantissa,
        Some(_) => return Err(wrong()),
    };
    u16::try_from(number).ok().filter(|it| (1..=maximum).contains(it)).ok_or_else(wrong)
}
