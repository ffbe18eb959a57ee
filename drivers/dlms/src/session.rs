//! An association that is used: questions and their answers, lists and blocks put together, sealed
//! and opened where there is a key.
//!
//! Invariant: an answer is taken only for the question whose number it has. A question is sent once;
//! only further blocks of its answer are asked for.

use crate::cipher::Cipher;
use crate::link::{APDU_BYTES_MAX, Link};
use crate::settings::bad;
use polymeter_codec::dlms::{
    ActionResponse, Apdu, Attribute, Ciphered, Data, GetResponse, GetResult, Method, Request,
    SetResponse,
};
use polymeter_driver::DriverError;
use polymeter_driver::codes::error;

/// With high priority, confirmed.
const PRIORITY: u8 = 0xC0;
/// Attributes in one question: it fits into one frame of HDLC with its cipher.
const LIST_MAX: usize = 8;
/// Blocks of one value, and its bytes.
const BLOCKS_MAX: u32 = 64;
const VALUE_BYTES_MAX: usize = 32_768;
/// What stands around a block's bytes: its own head, that of a cipher, and its tag.
const AROUND_BLOCK: usize = 40;
/// A tag of GET, SET or ACTION with this bit is the same under the global key.
const GLOBAL: u8 = 0x08;

/// A value with its type as it came, or the meter's reason why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got(pub Result<Vec<u8>, u8>);

impl Got {
    pub fn data(&self) -> Result<Result<Data<'_>, u8>, DriverError> {
        match &self.0 {
            Ok(bytes) => match Data::decode(bytes) {
                Ok(data) => Ok(Ok(data)),
                Err(why) => Err(garbled(why.to_string())),
            },
            Err(refusal) => Ok(Err(*refusal)),
        }
    }
}

/// What came of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// 0, or the meter's reason.
    pub refusal: u8,
    /// What it answered, if anything.
    pub answer: Option<Vec<u8>>,
}

pub struct Session<'a> {
    link: Link<'a>,
    cipher: Option<Cipher>,
    /// Of the last question.
    invoke: u8,
    /// What the meter agreed to.
    pub agreed: Agreed,
}

/// What of the services a meter offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Several attributes in one question.
    pub several: bool,
    /// A value to write may come in blocks.
    pub blocks_of_set: bool,
    /// The longest APDU that it takes; 0 for no limit.
    pub apdu_bytes_max: u16,
}

impl<'a> Session<'a> {
    pub fn new(link: Link<'a>, cipher: Option<Cipher>) -> Session<'a> {
        Session { link, cipher, invoke: 0, agreed: Agreed::default() }
    }

    /// Sends an AARQ; its answer. A meter behind a wrapper that is still in an association, because
    /// nobody has closed it, is asked to end that first.
    pub fn knock(&mut self, aarq: &[u8]) -> Result<Vec<u8>, DriverError> {
        let answer = self.link.ask(aarq, &is_aare)?;
        let is_exception = matches!(Apdu::decode(&answer), Ok(Apdu::Exception { .. }));
        if !is_exception || !self.link.is_wrapper() || self.cipher.is_some() {
            return Ok(answer);
        }
        self.release();
        self.link.ask(aarq, &is_aare)
    }

    /// The value of one attribute.
    pub fn get(&mut self, attribute: Attribute) -> Result<Got, DriverError> {
        self.one(|invoke| Request::Get(invoke, attribute))
    }

    /// A part of an attribute: the selector, and its parameters as they are written.
    pub fn select(
        &mut self,
        attribute: Attribute,
        selection: (u8, &[u8]),
    ) -> Result<Got, DriverError> {
        self.one(|invoke| Request::GetSelected(invoke, attribute, selection))
    }

    fn one<'r>(&mut self, request: impl FnOnce(u8) -> Request<'r>) -> Result<Got, DriverError> {
        let invoke = self.next();
        let answer = self.ask(invoke, request(invoke))?;
        match expect(&answer)? {
            Apdu::GetResponse(GetResponse::One { result, .. }) => Ok(got(&result)),
            Apdu::GetResponse(GetResponse::Block { .. }) => Ok(Got(self.blocks(invoke, answer)?)),
            _ => Err(other("not an answer with one value")),
        }
    }

    /// The values of all of them, in their order.
    pub fn get_all(&mut self, attributes: &[Attribute]) -> Result<Vec<Got>, DriverError> {
        if !self.agreed.several {
            return attributes.iter().map(|attribute| self.get(*attribute)).collect();
        }
        let mut all = Vec::new();
        for asked in attributes.chunks(LIST_MAX) {
            all.extend(self.list(asked)?);
        }
        Ok(all)
    }

    fn list(&mut self, asked: &[Attribute]) -> Result<Vec<Got>, DriverError> {
        let invoke = self.next();
        let answer = self.ask(invoke, Request::GetSeveral(invoke, asked))?;
        let answer = match expect(&answer)? {
            Apdu::GetResponse(GetResponse::Block { .. }) => match self.blocks(invoke, answer)? {
                // The blocks together are what stands behind the head of an answer in one piece.
                Ok(results) => [&[0xC4, 0x03, invoke], results.as_slice()].concat(),
                Err(refusal) => return Ok(vec![Got(Err(refusal)); asked.len()]),
            },
            _ => answer,
        };
        match expect(&answer)? {
            Apdu::GetResponse(GetResponse::Several { results, .. })
                if results.len() == asked.len() =>
            {
                Ok(results.iter().map(|result| got(&result)).collect())
            }
            _ => Err(other("not an answer with as many values as were asked for")),
        }
    }

    /// A value that comes in blocks, whose first one `answer` is.
    fn blocks(
        &mut self,
        invoke: u8,
        mut answer: Vec<u8>,
    ) -> Result<Result<Vec<u8>, u8>, DriverError> {
        let mut value = Vec::new();
        for wanted in 1..=BLOCKS_MAX {
            let is_last = match expect(&answer)? {
                Apdu::GetResponse(GetResponse::Block { last, number, result, .. })
                    if number == wanted =>
                {
                    match result {
                        Ok(bytes) => value.extend(bytes),
                        Err(refusal) => return Ok(Err(refusal)),
                    }
                    last
                }
                _ => return Err(other("not the block that is due")),
            };
            if is_last {
                return Ok(Ok(value));
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(garbled("a value without an end".to_owned()));
            }
            answer = self.ask(invoke, Request::GetNext(invoke, wanted))?;
        }
        Err(garbled(format!("a value of more than {BLOCKS_MAX} blocks")))
    }

    /// Calls a method.
    pub fn act(&mut self, method: Method, data: Option<Data<'_>>) -> Result<Acted, DriverError> {
        let invoke = self.next();
        let answer = self.ask(invoke, Request::Action(invoke, method, data))?;
        match expect(&answer)? {
            Apdu::ActionResponse(ActionResponse::One { result, .. }) => {
                let answer = result.answer.and_then(|answer| got(&answer).0.ok());
                Ok(Acted { refusal: result.refusal, answer })
            }
            _ => Err(other("not an answer to one method")),
        }
    }

    /// Frames that may still be sent.
    pub fn left(&self) -> u32 {
        self.link.line.left()
    }

    /// Bytes of a value that come for one frame of ours, about.
    pub fn bytes_a_frame(&self) -> usize {
        let limit = match usize::from(self.agreed.apdu_bytes_max) {
            0 => usize::from(APDU_BYTES_MAX),
            limit => limit.min(APDU_BYTES_MAX.into()),
        };
        self.link.bytes_a_frame(limit.saturating_sub(AROUND_BLOCK))
    }

    pub fn next(&mut self) -> u8 {
        self.invoke = self.invoke.wrapping_add(1) & 0x0F;
        PRIORITY | self.invoke
    }

    /// The answer to a question, in the clear.
    pub fn ask(&mut self, invoke: u8, request: Request<'_>) -> Result<Vec<u8>, DriverError> {
        // The first try counts the bytes.
        let needed = request.encode(&mut []).unwrap_or_else(|room| room.needed);
        let mut question = vec![0; needed];
        request.encode(&mut question).map_err(|why| bad(why.to_string()))?;
        let Some(cipher) = &mut self.cipher else {
            return self.link.ask(&question, &|apdu| answers(invoke, apdu));
        };
        let tag = question.first().copied().unwrap_or(0) | GLOBAL;
        let sealed = cipher.seal(self.link.line.host, tag, &question)?;
        let answer = self.link.ask(&sealed, &is_sealed)?;
        let Apdu::Ciphered(sealed) = expect(&answer)? else { return Err(other("no answer")) };
        let plain = cipher.open(self.link.line.host, &sealed)?;
        answers(invoke, &plain).map_err(|why| *why)?;
        Ok(plain)
    }

    /// RLRQ, and the end of the link; how many frames there were. What is not answered does not matter
    /// any more.
    pub fn close(mut self) -> u32 {
        self.release();
        self.link.close()
    }

    /// Ends association and link with one frame, whatever may still be sent: the end of a link is that
    /// of its association (IEC 62056-5-3, 9.4.5). How many frames there were.
    pub fn hang_up(mut self) -> u32 {
        if self.link.is_wrapper() {
            self.link.allow_one();
            self.release();
        }
        self.link.close()
    }

    fn release(&mut self) {
        let mut question = [0; 8];
        if let Ok(length) = Request::Release.encode(&mut question) {
            let _ = self.link.ask(question.get(..length).unwrap_or_default(), &is_released);
        }
    }

    pub fn title(&self) -> Option<[u8; 8]> {
        self.cipher.as_ref().map(Cipher::title)
    }

    pub fn meet(&mut self, title: [u8; 8]) {
        if let Some(cipher) = &mut self.cipher {
            cipher.meet(title);
        }
    }

    pub fn sealed(&mut self, tag: u8, plain: &[u8]) -> Result<Vec<u8>, DriverError> {
        let Some(cipher) = &mut self.cipher else { return Err(no_key()) };
        cipher.seal(self.link.line.host, tag, plain)
    }

    pub fn opened(&mut self, sealed: &Ciphered<'_>) -> Result<Vec<u8>, DriverError> {
        let Some(cipher) = &mut self.cipher else { return Err(no_key()) };
        cipher.open(self.link.line.host, sealed)
    }

    pub fn proof(&mut self, challenge: &[u8]) -> Result<Vec<u8>, DriverError> {
        let Some(cipher) = &mut self.cipher else { return Err(no_key()) };
        cipher.proof(self.link.line.host, challenge)
    }

    pub fn proves(&mut self, proof: &[u8], challenge: &[u8]) -> Result<(), DriverError> {
        let Some(cipher) = &mut self.cipher else { return Err(no_key()) };
        cipher.proves(self.link.line.host, proof, challenge)
    }
}

pub fn garbled(why: impl Into<String>) -> DriverError {
    DriverError::new(error::GARBLED, why)
}

pub fn other(why: &str) -> DriverError {
    DriverError::new(error::OTHER_DEVICE, why)
}

fn no_key() -> DriverError {
    DriverError::new(error::BAD_PARAMETER, "an association without ciphers has no key")
}

/// The value by itself: what an APDU borrows ends with it.
fn got(result: &GetResult<'_>) -> Got {
    match result {
        GetResult::Data(data) => Got(Ok(written(data))),
        GetResult::Refused(why) => Got(Err(*why)),
    }
}

/// A value with its type, as it is written.
pub fn written(data: &Data<'_>) -> Vec<u8> {
    // The first try counts the bytes.
    let needed = data.encode(&mut []).unwrap_or_else(|room| room.needed);
    let mut bytes = vec![0; needed];
    let _ = data.encode(&mut bytes);
    bytes
}

/// An APDU that answers, unless it says that the question cannot be answered.
pub fn expect(apdu: &[u8]) -> Result<Apdu<'_>, DriverError> {
    let (why, code) = match Apdu::decode(apdu).map_err(|why| garbled(why.to_string()))? {
        Apdu::Exception { state, service, .. } => {
            let why = match (state, service) {
                (_, 5) => "the meter cannot decipher the question: another key?",
                (_, 6) => "the meter has seen a higher counter with this key",
                (1, _) => "the meter allows no such question in this association",
                _ => "the meter does not know this service",
            };
            (why, format!("D8{state:02X}{service:02X}"))
        }
        Apdu::ServiceError([service, kind, which]) => (
            "the meter says that the service failed",
            format!("0E{service:02X}{kind:02X}{which:02X}"),
        ),
        apdu => return Ok(apdu),
    };
    let mut no = DriverError::new(error::DEVICE_SAYS_NO, why);
    no.device_code = Some(code);
    Err(no)
}

type Judged = Result<(), Box<DriverError>>;

fn judged(apdu: &[u8], is_it: impl FnOnce(&Apdu<'_>) -> bool, what: &str) -> Judged {
    match Apdu::decode(apdu) {
        Ok(Apdu::Exception { .. } | Apdu::ServiceError(_)) => Ok(()),
        Ok(apdu) if is_it(&apdu) => Ok(()),
        Ok(_) => Err(Box::new(other(what))),
        Err(why) => Err(Box::new(garbled(why.to_string()))),
    }
}

fn is_aare(apdu: &[u8]) -> Judged {
    judged(apdu, |apdu| matches!(apdu, Apdu::Aare(_)), "an APDU that is no AARE")
}

fn is_released(apdu: &[u8]) -> Judged {
    judged(apdu, |apdu| matches!(apdu, Apdu::Rlre(_)), "an APDU that is no RLRE")
}

fn is_sealed(apdu: &[u8]) -> Judged {
    judged(apdu, |apdu| matches!(apdu, Apdu::Ciphered(_)), "an answer in the clear")
}

/// GET, SET and ACTION answers carry the number of their question.
fn answers(invoke: u8, apdu: &[u8]) -> Judged {
    let numbered = |apdu: &Apdu<'_>| match apdu {
        Apdu::GetResponse(
            GetResponse::One { invoke, .. }
            | GetResponse::Block { invoke, .. }
            | GetResponse::Several { invoke, .. },
        ) => Some(*invoke),
        Apdu::ActionResponse(
            ActionResponse::One { invoke, .. }
            | ActionResponse::Block { invoke, .. }
            | ActionResponse::Several { invoke, .. }
            | ActionResponse::Next { invoke, .. },
        ) => Some(*invoke),
        Apdu::SetResponse(
            SetResponse::One { invoke, .. }
            | SetResponse::Block { invoke, .. }
            | SetResponse::LastBlock { invoke, .. },
        ) => Some(*invoke),
        _ => None,
    };
    // A meter may clear the bits of priority and of the kind of service.
    let is_it =
        |apdu: &Apdu<'_>| numbered(apdu).is_some_and(|number| (number ^ invoke) & 0x0F == 0);
    judged(apdu, is_it, "the answer to another question")
}
