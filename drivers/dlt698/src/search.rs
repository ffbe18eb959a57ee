//! Which meters answer on the line: the wildcard first, and where several answer, a walk over the
//! last digits, two at a time.
//!
//! Invariant: only the address is asked for; a step sends no more questions than it may.

use crate::exchange::Exchange;
use crate::read::own_address;
use crate::settings::{Settings, bad};
use polymeter_codec::dlt698::{AddressKind, ServerAddress};
use polymeter_driver::codes::{error, line};
use polymeter_driver::{Call, Collision, DriverError, Found, Host, Step, Way};

const WILDCARD: &str = "wildcard";
/// The walk at once, for lines where one meter may be much louder than the others.
const WALK: &str = "walk";
/// Values of one pair of digits.
const PAIRS: u8 = 100;
/// Pairs in an address; longer ones are not searched for.
const ADDRESS_PAIRS: usize = 6;
/// First byte of a position; another one is of another version of this driver.
const POSITION: u8 = 1;

pub fn ways() -> Vec<Way> {
    let way = |name: &str, title_en: &str, title_zh: &str| Way {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        arguments: Vec::new(),
    };
    vec![
        way(
            WILDCARD,
            "Wildcard, then digit by digit if several answer",
            "通配地址，多表应答时逐位搜索",
        ),
        way(WALK, "Digit by digit", "逐位搜索"),
    ]
}

/// Where the walk stands.
struct Walk {
    /// Pairs of digits, 0 to 99, the last ones of the address first. Empty: all wildcards.
    path: Vec<u8>,
    done: u32,
    total: u32,
}

/// What a question brought.
enum Heard {
    Nobody,
    One(String),
    Several(String),
}

pub fn search(
    host: &mut dyn Host,
    call: &Call,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    let mut walk = match (position, way) {
        (None, WILDCARD) => Walk { path: Vec::new(), done: 0, total: 1 },
        (None, WALK) => Walk { path: vec![0], done: 0, total: u32::from(PAIRS) },
        (Some(bytes), WILDCARD | WALK) => {
            Walk::read(bytes).ok_or_else(|| bad("the position is none of this driver's"))?
        }
        _ => return Err(bad(format!("there is no way `{way}`: {WILDCARD} or {WALK}"))),
    };
    let settings = Settings::asking(&Call { address: "AA".repeat(6), ..call.clone() })?;
    let mut exchange = Exchange::new(host, settings);
    let mut step = Step { found: vec![], collisions: vec![], done: 0, total: 0, next: None };
    let mut on = true;
    for _ in 0..questions {
        let asked = walk.address()?;
        exchange.settings.address = asked;
        let heard = ask(&mut exchange)?;
        on = walk.advance(matches!(heard, Heard::Several(_)));
        match heard {
            Heard::Nobody => {}
            Heard::One(address) => {
                step.found.push(Found { address, model: String::new(), extras: vec![] });
            }
            Heard::Several(detail) => step.collisions.push(Collision {
                asked: asked.to_string(),
                detail,
                narrowed: asked.kind() == AddressKind::Wildcard,
            }),
        }
        if !on {
            break;
        }
    }
    step.done = walk.done;
    step.total = walk.total;
    step.next = on.then(|| walk.written());
    Ok(step)
}

fn ask(exchange: &mut Exchange<'_>) -> Result<Heard, DriverError> {
    let address = match own_address(exchange) {
        Ok(address) => address,
        Err(silent) if silent.code == error::NO_REPLY => return Ok(Heard::Nobody),
        Err(failed) if matches!(failed.code, error::LINE | error::BAD_PARAMETER) => {
            return Err(failed);
        }
        // Noise, or somebody who does not say its address: narrower questions tell.
        Err(noise) => return Ok(Heard::Several(noise.detail)),
    };
    let more = format!("more came after the answer of {address}");
    if exchange.left_over > 0 {
        return Ok(Heard::Several(more));
    }
    // A slower meter may answer after the first one has ended.
    match exchange.host.receive(1) {
        Ok(_) => Ok(Heard::Several(more)),
        Err(silent) if silent.code == line::SILENT => Ok(Heard::One(address)),
        Err(failed) => Err(failed.into()),
    }
}

impl Walk {
    fn address(&self) -> Result<ServerAddress, DriverError> {
        let known: String = self.path.iter().rev().map(|pair| format!("{pair:02}")).collect();
        let digits = format!("{known:A>12}");
        let address = ServerAddress::from_digits(&digits);
        address.ok_or_else(|| bad("the position is none of this driver's"))
    }

    /// Goes to the next question, one pair deeper if the last one was answered by several. Whether
    /// there is one.
    fn advance(&mut self, several: bool) -> bool {
        self.done = self.done.saturating_add(1);
        if several && self.path.len() < ADDRESS_PAIRS {
            self.path.push(0);
            self.total = self.total.saturating_add(u32::from(PAIRS));
            return true;
        }
        while let Some(pair) = self.path.pop() {
            let next = pair.saturating_add(1);
            if next < PAIRS {
                self.path.push(next);
                return true;
            }
        }
        false
    }

    fn written(&self) -> Vec<u8> {
        let (done, total) = (self.done.to_le_bytes(), self.total.to_le_bytes());
        [&[POSITION], done.as_slice(), &total, &self.path].concat()
    }

    /// The host gives back what it was given; anything else is refused and asks nothing.
    fn read(bytes: &[u8]) -> Option<Walk> {
        let (&version, rest) = bytes.split_first()?;
        let (done, rest) = rest.split_first_chunk()?;
        let (total, path) = rest.split_first_chunk()?;
        let good = version == POSITION
            && (1..=ADDRESS_PAIRS).contains(&path.len())
            && path.iter().all(|pair| *pair < PAIRS);
        good.then(|| Walk {
            path: path.to_vec(),
            done: u32::from_le_bytes(*done),
            total: u32::from_le_bytes(*total),
        })
    }
}
