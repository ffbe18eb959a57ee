//! Who is on the line: by secondary address, digit by digit, and by primary address, one by one.
//!
//! Invariant: nothing is changed in any device but who is selected. A branch is left only when
//! nobody, or exactly one meter, answers in it; what cannot be told apart is reported as such. Two
//! telegrams at once may make a third one with a good checksum, so whoever answers is asked again by
//! the address that was told, which no meter but the true one has.

use crate::exchange::{self, Heard};
use crate::opened::identity;
use crate::read::model;
use polymeter_codec::mbus::{SecondaryAddress, address};
use polymeter_driver::codes::error;
use polymeter_driver::{Collision, DriverError, Found, Host, Step, Way};

const SECONDARY: &str = "secondary";
const PRIMARY: &str = "primary";
/// Select and ask, or initialise and ask.
const QUESTIONS_PER_PLACE: u32 = 2;
/// Eight digits of the number, then medium and version, which tell meters of one number apart.
const DIGITS: usize = 8;
const MEDIUM: usize = DIGITS;
const DEPTH_MAX: usize = DIGITS + 2;

pub fn ways() -> Vec<Way> {
    let way = |name: &str, title_en: &str, title_zh: &str| Way {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        arguments: vec![],
    };
    vec![
        way(SECONDARY, "By secondary address, digit by digit", "按二级地址逐位搜索"),
        way(PRIMARY, "Every primary address", "逐个一级地址搜索"),
    ]
}

pub fn search(
    host: &mut dyn Host,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    let places = questions.checked_div(QUESTIONS_PER_PLACE).unwrap_or(0).max(1);
    match way {
        SECONDARY => secondary(host, position, places),
        PRIMARY => primary(host, position, places),
        _ => Err(bad(format!("there is no way `{way}`: {SECONDARY}, {PRIMARY}"))),
    }
}

fn bad(detail: String) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}

fn nothing() -> Step {
    Step { found: vec![], collisions: vec![], done: 0, total: 0, next: None }
}

fn primary(host: &mut dyn Host, position: Option<&[u8]>, places: u32) -> Result<Step, DriverError> {
    let mut place = match position {
        None => 0,
        Some(&[place]) if place <= address::DEVICE_MAX => place,
        Some(_) => return Err(bad("the position is none of this driver's".to_owned())),
    };
    let mut step = nothing();
    step.total = u32::from(address::DEVICE_MAX).saturating_add(1);
    for _ in 0..places {
        match exchange::initialise(host, place)? {
            Heard::Silence => {}
            Heard::Noise(why) => step.collisions.push(collision(place.to_string(), why, false)),
            Heard::Ack | Heard::Data(_) => match answer(host, place)? {
                Ok(found) => step.found.push(Found { address: place.to_string(), ..found }),
                Err(why) => step.collisions.push(collision(place.to_string(), why, false)),
            },
        }
        step.done = u32::from(place).saturating_add(1);
        if place == address::DEVICE_MAX {
            return Ok(step);
        }
        place = place.saturating_add(1);
    }
    step.next = Some(vec![place]);
    Ok(step)
}

fn collision(asked: String, detail: String, narrowed: bool) -> Collision {
    Collision { asked, detail, narrowed }
}

/// `Err`: why what came is no answer of one meter.
fn answer(host: &mut dyn Host, field: u8) -> Result<Result<Found, String>, DriverError> {
    let reply = match exchange::data(host, field, true)? {
        Heard::Data(reply) => reply,
        Heard::Noise(why) => return Ok(Err(why)),
        Heard::Silence | Heard::Ack => return Ok(Err("it says yes and then nothing".to_owned())),
    };
    let known = identity((&reply).into());
    Ok(Ok(Found {
        address: known.map_or_else(|| reply.address.to_string(), |known| known.to_string()),
        model: known.map(model).unwrap_or_default(),
        extras: vec![(
            "primary address".to_owned(),
            polymeter_driver::Value::Text(reply.address.to_string()),
        )],
    }))
}

/// Where in the tree of patterns: the digits so far, the last of which is tried next, then medium and
/// version; how many patterns were asked; and who answered and is to be asked again.
struct Walk {
    asked: u32,
    heard: Option<SecondaryAddress>,
    path: Vec<u8>,
}

impl Walk {
    fn from(position: Option<&[u8]>) -> Option<Walk> {
        let Some(position) = position else {
            return Some(Walk { asked: 0, heard: None, path: vec![0] });
        };
        let ([a, b, c, d, told], rest) = position.split_first_chunk::<5>()?;
        let (heard, path) = match told {
            0 => (None, rest),
            1 => {
                let (heard, path) = rest.split_first_chunk::<8>()?;
                (Some(SecondaryAddress::from_wire(*heard)), path)
            }
            _ => return None,
        };
        let good = (1..=DEPTH_MAX).contains(&path.len())
            && path.iter().take(DIGITS).all(|digit| *digit <= 9);
        let asked = u32::from_be_bytes([*a, *b, *c, *d]);
        good.then(|| Walk { asked, heard, path: path.to_vec() })
    }

    fn position(&self) -> Vec<u8> {
        let asked = self.asked.to_be_bytes();
        match self.heard {
            None => [asked.as_slice(), &[0], &self.path].concat(),
            Some(heard) => [asked.as_slice(), &[1], &heard.to_wire(), &self.path].concat(),
        }
    }

    fn pattern(&self) -> SecondaryAddress {
        let digit = |nth: usize| self.path.get(nth).copied().filter(|_| nth < DIGITS);
        let pair = |high: usize| {
            let low = high.saturating_add(1);
            digit(high).unwrap_or(0xF) << 4 | digit(low).unwrap_or(0xF)
        };
        let rest = |nth: usize| self.path.get(nth).copied().unwrap_or(0xFF);
        let (medium, version) = (rest(MEDIUM), rest(MEDIUM.saturating_add(1)));
        let number = [pair(6), pair(4), pair(2), pair(0)];
        let [a, b, c, d] = number;
        SecondaryAddress::from_wire([a, b, c, d, 0xFF, 0xFF, version, medium])
    }

    /// The next branch beside this one, or above it; false: there is none.
    fn advance(&mut self) -> bool {
        while let Some(last) = self.path.pop() {
            // FE is the last byte that is no wildcard.
            let most = if self.path.len() < DIGITS { 9 } else { 0xFE };
            if last < most {
                self.path.push(last.saturating_add(1));
                return true;
            }
        }
        false
    }

    /// Branches that are known to be left.
    fn left(&self) -> u32 {
        let each = self.path.iter().enumerate().map(|(nth, place)| {
            let most: u8 = if nth < DIGITS { 9 } else { 0xFE };
            u32::from(most.saturating_sub(*place))
        });
        each.fold(0, u32::saturating_add)
    }
}

fn secondary(
    host: &mut dyn Host,
    position: Option<&[u8]>,
    places: u32,
) -> Result<Step, DriverError> {
    let Some(mut walk) = Walk::from(position) else {
        return Err(bad("the position is none of this driver's".to_owned()));
    };
    let mut step = nothing();
    for _ in 0..places {
        let went = match walk.heard.take() {
            Some(heard) => again(host, &walk, heard, &mut step)?,
            None => branch(host, &mut walk, &mut step)?,
        };
        walk.asked = walk.asked.saturating_add(1);
        let on = match went {
            Went::Stay => true,
            Went::Deeper => {
                walk.path.push(0);
                true
            }
            Went::On => walk.advance(),
        };
        step.done = walk.asked;
        if !on {
            step.total = walk.asked;
            return Ok(step);
        }
        // The branch that is asked next is one too.
        step.total = walk.asked.saturating_add(walk.left()).saturating_add(1);
    }
    step.next = Some(walk.position());
    Ok(step)
}

/// What became of a branch.
enum Went {
    /// Nobody else is in it.
    On,
    /// Several meters are in it.
    Deeper,
    /// Somebody answered and is to be asked again.
    Stay,
}

/// Asks one pattern.
fn branch(host: &mut dyn Host, walk: &mut Walk, step: &mut Step) -> Result<Went, DriverError> {
    let pattern = walk.pattern();
    let why = match exchange::select(host, pattern)? {
        Heard::Silence => return Ok(Went::On),
        Heard::Noise(why) => why,
        Heard::Ack | Heard::Data(_) => match answer(host, address::SELECTED)? {
            Ok(found) => match found.address.parse::<SecondaryAddress>() {
                Ok(heard) if pattern.matches(heard) => {
                    walk.heard = Some(heard);
                    return Ok(Went::Stay);
                }
                Ok(_) => "a meter answered that was not selected".to_owned(),
                // The fixed structure does not tell all of an address.
                Err(_) => {
                    step.found.push(found);
                    return Ok(Went::On);
                }
            },
            Err(why) => why,
        },
    };
    Ok(collided(walk, step, why))
}

/// Asks the one that answered, by all of its address.
fn again(
    host: &mut dyn Host,
    walk: &Walk,
    heard: SecondaryAddress,
    step: &mut Step,
) -> Result<Went, DriverError> {
    let why = match exchange::select(host, heard)? {
        Heard::Ack | Heard::Data(_) => match answer(host, address::SELECTED)? {
            Ok(found) if found.address == heard.to_string() => {
                step.found.push(found);
                return Ok(Went::On);
            }
            Ok(_) => "another meter answered the second time".to_owned(),
            Err(why) => why,
        },
        Heard::Silence => format!("{heard} answered, but there is no such meter"),
        Heard::Noise(why) => why,
    };
    Ok(collided(walk, step, why))
}

fn collided(walk: &Walk, step: &mut Step, why: String) -> Went {
    let deeper = walk.path.len() < DEPTH_MAX;
    step.collisions.push(collision(walk.pattern().to_string(), why, deeper));
    if deeper { Went::Deeper } else { Went::On }
}
