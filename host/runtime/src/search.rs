//! Searching a line for meters that nobody has listed: the ability `bus` of a driver.
//!
//! Invariant: a search is made of steps that each end within [`STEP_TIME`] or soon after, so that a
//! sale never waits long for the line; a driver that does not get on is stopped. Where a search stands
//! is in its [`Position`], because each step has a fresh instance.
//! Not here: which steps follow each other and who is told of it (service).

use crate::bindings::exports::polymeter::driver::bus;
use crate::carried::Carried;
use crate::convert::{self, Checked, list, text, value};
use crate::driver::{Driver, Identity, Moment, undescribed};
use crate::error::{CallError, LoadError};
use crate::exports::Functions;
use crate::limits::{NAME_BYTES, PARAMETERS, SEARCH, STEP_TIME, TEXT_BYTES};
use crate::session::{Act, Callee, Session};
use crate::text::printable;
use polymeter_domain::{MeterAddress, Value};
use polymeter_transcript::{Collision, Request};
use polymeter_transport::{LineLease, LineSettings};
use std::collections::BTreeSet;
use std::convert::Infallible;

/// One way of searching that a driver offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    pub name: String,
    pub title_en: String,
    pub title_zh: String,
    pub arguments: Vec<Argument>,
}

/// What a way takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    pub title_en: String,
    pub title_zh: String,
    pub default: Value,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
}

/// What is searched: the same for all steps of one search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The name of a [`Way`].
    pub way: String,
    /// The way's arguments and the driver's own parameters.
    pub parameters: Vec<(String, Value)>,
}

/// Where a search goes on; only the driver can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    bytes: Vec<u8>,
    /// Questions done when it was told; the next step must do more.
    done: u32,
}

/// What one step brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub found: Vec<Identity>,
    pub collisions: Vec<Collision>,
    /// Questions of the search that are answered or given up, and altogether as far as known.
    pub done: u32,
    pub total: u32,
    /// `None`: the search is over.
    pub next: Option<Position>,
}

impl Driver {
    /// The ways in which it can search a line; none where it lacks the ability.
    pub fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// How many questions one step may ask on such a line.
    pub fn questions(&self, line: &LineSettings) -> u32 {
        // A question that nobody answers, and the time that its bytes are on a slow wire.
        let silent = line.reply_timeout + line.byte_timeout + line.inter_frame;
        let time = STEP_TIME.min(self.limits().wall / 2).min(line.total_timeout / 2);
        let fit = time.as_millis() / silent.as_millis().max(1);
        // Two is what the contract promises a driver at least.
        u32::try_from(fit).unwrap_or(u32::MAX).min(self.limits().exchanges).max(2)
    }

    /// One step; `from` is where the step before stopped.
    pub async fn search(
        &self,
        line: &mut LineLease,
        search: &Search,
        moment: Moment,
        from: Option<&Position>,
        questions: u32,
    ) -> Result<Step, CallError> {
        let unable =
            || CallError::Unable { driver: self.name().to_owned(), ability: "search a line" };
        self.functions.bus().ok_or_else(unable)?;
        let call = crate::driver::call("", &search.parameters, moment);
        let position = from.map(|position| position.bytes.as_slice());
        let ask = async |session: &mut Session| {
            session.asked(|| Request::Search {
                told: call.clone().carried(),
                way: search.way.clone(),
                position: position.map(<[u8]>::to_vec),
                questions,
            });
            let said =
                self.functions.search(session, &call, &search.way, position, questions).await?;
            session.said(said)
        };
        let done = from.map_or(0, |position| position.done);
        self.callee
            .call(Act::Look, Some(line), ask, |said| step(said, done, questions))
            .await
            .answer
    }
}

/// `done` is how far the search was before. More findings than questions are no findings.
pub(crate) fn step(said: bus::Step, done: u32, questions: u32) -> Checked<Step> {
    let most = usize::try_from(questions).unwrap_or(usize::MAX);
    let step = Step {
        found: list("found", said.found, most, found)?,
        collisions: list("collisions", said.collisions, most, collision)?,
        done: said.done,
        total: said.total.max(said.done),
        next: said.next.map(|bytes| position(bytes, said.done)).transpose()?,
    };
    if step.next.is_some() && step.done <= done {
        return Err(format!("a search that does not get on: {done} questions done, as before"));
    }
    Ok(step)
}

fn position(bytes: Vec<u8>, done: u32) -> Checked<Position> {
    if bytes.len() > SEARCH.position_bytes {
        let most = SEARCH.position_bytes;
        return Err(format!("a position of {} bytes, more than {most}", bytes.len()));
    }
    Ok(Position { bytes, done })
}

fn found(said: bus::Found) -> Checked<Identity> {
    let shown = printable(&said.address, NAME_BYTES);
    MeterAddress::new(&said.address).map_err(|_| format!("as an address `{shown}`"))?;
    Ok(Identity {
        address: said.address,
        model: text("a model", said.model, NAME_BYTES)?,
        extras: convert::extras(said.extras)?,
    })
}

/// For people only, so what is dangerous in it is escaped and what is too long is cut.
fn collision(said: bus::Collision) -> Checked<Collision> {
    Ok(Collision {
        asked: printable(&said.asked, NAME_BYTES),
        detail: printable(&said.detail, TEXT_BYTES),
        narrowed: said.narrowed,
    })
}

/// The ways of a driver that can search a line; asked once, at load.
pub(crate) async fn told(callee: &Callee, functions: &Functions) -> Result<Vec<Way>, LoadError> {
    let Some(bus) = functions.bus() else { return Ok(Vec::new()) };
    let ask = async |session: &mut Session| {
        let at = session.placed()?;
        let bus = bus.load(&mut at.store, &at.instance)?;
        Ok(Ok::<_, Infallible>(bus.call_ways(&mut at.store).await?))
    };
    let told = callee.call(Act::Look, None, ask, ways).await;
    told.answer.map_err(|error| undescribed(callee.name(), error))
}

fn ways(said: Vec<bus::Way>) -> Checked<Vec<Way>> {
    let ways = list("ways", said, SEARCH.ways, way)?;
    let names: BTreeSet<&String> = ways.iter().map(|way| &way.name).collect();
    if names.len() < ways.len() {
        return Err("two ways of the same name".to_owned());
    }
    if ways.is_empty() {
        return Err("no way to search, though it exports bus".to_owned());
    }
    Ok(ways)
}

fn way(said: bus::Way) -> Checked<Way> {
    let name = |content: String| -> Checked<String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if content.is_empty() || content.len() > NAME_BYTES || !content.bytes().all(fits) {
            return Err(format!("a name `{}`", printable(&content, NAME_BYTES)));
        }
        Ok(content)
    };
    let argument = |said: bus::Argument| -> Checked<Argument> {
        Ok(Argument {
            name: name(said.name)?,
            title_en: text("a title", said.title_en, NAME_BYTES)?,
            title_zh: text("a title", said.title_zh, NAME_BYTES)?,
            default: value(said.default)?,
            minimum: said.minimum,
            maximum: said.maximum,
        })
    };
    Ok(Way {
        name: name(said.name)?,
        title_en: text("a title", said.title_en, NAME_BYTES)?,
        title_zh: text("a title", said.title_zh, NAME_BYTES)?,
        arguments: list("arguments", said.arguments, PARAMETERS, argument)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> bus::Step {
        bus::Step {
            found: vec![bus::Found {
                address: "1".to_owned(),
                model: String::new(),
                extras: vec![],
            }],
            collisions: vec![],
            done: 5,
            total: 4,
            next: Some(vec![1]),
        }
    }

    #[test]
    fn a_step_is_checked() {
        let good = step(said(), 4, 2).expect("good");
        assert_eq!((good.done, good.total), (5, 5), "never more done than there is");
        assert_eq!(good.next, Some(Position { bytes: vec![1], done: 5 }));
        let check = |change: fn(&mut bus::Step), done: u32, sentence: &str| {
            let mut said = said();
            change(&mut said);
            assert_eq!(step(said, done, 2), Err(sentence.to_owned()));
        };
        check(|_| {}, 5, "a search that does not get on: 5 questions done, as before");
        check(
            |said| said.next = Some(vec![0; 4097]),
            0,
            "a position of 4097 bytes, more than 4096",
        );
        check(|said| said.found = vec![said.found[0].clone(); 3], 0, "3 found, more than 2");
        check(|said| said.found[0].address = "\n".to_owned(), 0, "as an address `\\n`");
        let over = bus::Step { next: None, ..said() };
        assert!(step(over, 9, 2).is_ok(), "a search that is over need not get on");
    }

    #[test]
    fn ways_are_checked() {
        let way = |name: &str| bus::Way {
            name: name.to_owned(),
            title_en: String::new(),
            title_zh: String::new(),
            arguments: vec![],
        };
        assert!(ways(vec![way("walk"), way("wildcard-2")]).is_ok());
        for (bad, sentence) in [
            (vec![], "no way to search, though it exports bus"),
            (vec![way("a"), way("a")], "two ways of the same name"),
            (vec![way("A b")], "a name `A b`"),
            (vec![way("a"); 17], "17 ways, more than 16"),
        ] {
            assert_eq!(ways(bad), Err(sentence.to_owned()));
        }
    }
}
