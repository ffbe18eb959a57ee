//! What is asked of a driver: one function of the contract and its arguments.
//!
//! Invariant: every argument that stands in a transcript is used; one that a function does not take
//! is an error.

use crate::function::Function;
use crate::text::{self, ReadError, credit_text, number, unescaped, value_text, word};
use crate::value::{
    CardOrder, Credit, Extras, LocalTime, Opening, Order, Purchase, TokenOrder, Told,
};

/// One call of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Describe,
    Probe(Told),
    Read(Told),
    Open(Told, Opening),
    Sell(Told, Order),
    Clear(Told),
    Check(Told, Option<u32>),
    Control {
        told: Told,
        command: u16,
        valid_until: Option<LocalTime>,
    },
    SetParameters(Told, Extras),
    Decode(Vec<u8>),
    Search {
        told: Told,
        way: String,
        position: Option<Vec<u8>>,
        questions: u32,
    },
    /// The purchase is what is taken back.
    Refund(Told, Order),
    /// The number is the way.
    SetClock(Told, u16),
    /// The digits of a token.
    Enter(Told, String),
    ReadRecords {
        told: Told,
        kind: String,
        since: LocalTime,
        position: Option<Vec<u8>>,
        questions: u32,
    },
    /// The number is the last identifier that was given.
    Plan(Told, TokenOrder, Option<u32>),
    /// The number is the identifier.
    Issue(Told, TokenOrder, Option<u32>),
    CardIdentify(Told),
    CardCheck(Told),
    CardClear(Told),
    Card(CardAct, Told, CardOrder),
}

/// What may be done to a card by an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardAct {
    Open,
    Sell,
    Replace,
    TakeBack,
    Make,
}

impl CardAct {
    pub fn function(self) -> Function {
        match self {
            CardAct::Open => Function::CardOpen,
            CardAct::Sell => Function::CardSell,
            CardAct::Replace => Function::CardReplace,
            CardAct::TakeBack => Function::CardTakeBack,
            CardAct::Make => Function::CardMake,
        }
    }
}

impl Request {
    pub fn function(&self) -> Function {
        match self {
            Request::Describe => Function::Describe,
            Request::Probe(_) => Function::Probe,
            Request::Read(_) => Function::Read,
            Request::Open(..) => Function::Open,
            Request::Sell(..) => Function::Sell,
            Request::Clear(_) => Function::Clear,
            Request::Check(..) => Function::Check,
            Request::Control { .. } => Function::Control,
            Request::SetParameters(..) => Function::SetParameters,
            Request::Decode(_) => Function::Decode,
            Request::Search { .. } => Function::Search,
            Request::Refund(..) => Function::Refund,
            Request::Plan(..) => Function::Plan,
            Request::Issue(..) => Function::Issue,
            Request::SetClock(..) => Function::SetClock,
            Request::Enter(..) => Function::Enter,
            Request::ReadRecords { .. } => Function::ReadRecords,
            Request::CardIdentify(_) => Function::CardIdentify,
            Request::CardCheck(_) => Function::CardCheck,
            Request::CardClear(_) => Function::CardClear,
            Request::Card(act, ..) => act.function(),
        }
    }

    /// What every call about a device is told.
    pub fn told(&self) -> Option<&Told> {
        match self {
            Request::Describe | Request::Decode(_) => None,
            Request::Probe(told)
            | Request::Read(told)
            | Request::Open(told, _)
            | Request::Sell(told, _)
            | Request::Clear(told)
            | Request::Check(told, _)
            | Request::Control { told, .. }
            | Request::SetParameters(told, _)
            | Request::Refund(told, _)
            | Request::Plan(told, ..)
            | Request::Issue(told, ..)
            | Request::SetClock(told, _)
            | Request::Enter(told, _)
            | Request::Search { told, .. }
            | Request::ReadRecords { told, .. }
            | Request::CardIdentify(told)
            | Request::CardCheck(told)
            | Request::CardClear(told)
            | Request::Card(_, told, _) => Some(told),
        }
    }

    /// From a name and arguments still as they stand in the text.
    pub(crate) fn read(name: &str, arguments: Vec<(String, String)>) -> Result<Self, ReadError> {
        let Some(function) = Function::from_name(name) else {
            return ReadError::because(format!("`{name}` is no call of the contract"));
        };
        let mut arguments = Arguments(arguments);
        let request = arguments.request(function)?;
        match arguments.0.first() {
            Some((name, _)) => {
                ReadError::because(format!("`{}` takes no `{name}`", function.name()))
            }
            None => Ok(request),
        }
    }
}

/// The words after `call: `, all of them, defaults too.
impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.function().name())?;
        if let Some(told) = self.told()
            && self.function() != Function::Search
        {
            write!(f, " address={}", word(&told.address))?;
        }
        match self {
            Request::Describe
            | Request::Probe(_)
            | Request::Read(_)
            | Request::Clear(_)
            | Request::CardIdentify(_)
            | Request::CardCheck(_)
            | Request::CardClear(_) => {}
            Request::Card(_, _, order) => card(f, order)?,
            Request::Open(_, Opening { customer_number, credit, count }) => {
                purchase(f, customer_number, *count, credit)?;
            }
            Request::Sell(_, order) | Request::Refund(_, order) => {
                let Order { customer_number, purchase: Purchase { count, credit } } = order;
                purchase(f, customer_number, *count, credit)?;
            }
            Request::Check(_, count) => {
                if let Some(count) = count {
                    write!(f, " count={count}")?;
                }
            }
            Request::Control { command, valid_until, .. } => {
                write!(f, " command={command}")?;
                if let Some(until) = valid_until {
                    write!(f, " valid-until={until}")?;
                }
            }
            Request::ReadRecords { kind, since, position, questions, .. } => {
                write!(f, " kind={} since={since}", word(kind))?;
                write!(f, " questions={questions}")?;
                if let Some(position) = position {
                    write!(f, " position={}", hex::encode(position))?;
                }
            }
            Request::SetClock(_, way) => write!(f, " way={way}")?,
            Request::Enter(_, digits) => write!(f, " digits={}", word(digits))?,
            Request::SetParameters(_, parameters) => typed(f, "set.", parameters)?,
            Request::Search { way, position, questions, .. } => {
                write!(f, " way={} questions={questions}", word(way))?;
                if let Some(position) = position {
                    write!(f, " position={}", hex::encode(position))?;
                }
            }
            Request::Decode(frame) => write!(f, " frame={}", hex::encode(frame))?,
            Request::Plan(_, order, last) => {
                token(f, order)?;
                last.iter().try_for_each(|last| write!(f, " last={last}"))?;
            }
            Request::Issue(_, order, identifier) => {
                token(f, order)?;
                identifier.iter().try_for_each(|number| write!(f, " identifier={number}"))?;
            }
        }
        let Some(told) = self.told() else { return Ok(()) };
        typed(f, "param.", &told.parameters)?;
        write!(f, " now={} nonce={}", told.now, hex::encode(&told.nonce))
    }
}

fn purchase(
    f: &mut std::fmt::Formatter<'_>,
    customer: &str,
    count: u32,
    credit: &Credit,
) -> std::fmt::Result {
    write!(f, " customer={} count={count} amount={}", word(customer), credit_text(credit))
}

/// What is empty is left out.
fn card(f: &mut std::fmt::Formatter<'_>, order: &CardOrder) -> std::fmt::Result {
    write!(f, " purpose={}", order.purpose)?;
    for (name, value) in [("region", &order.region), ("customer", &order.customer_number)] {
        if !value.is_empty() {
            write!(f, " {name}={}", word(value))?;
        }
    }
    if let Some(Purchase { count, credit }) = &order.purchase {
        write!(f, " count={count} amount={}", credit_text(credit))?;
    }
    typed(f, "carry.", &order.parameters)
}

fn token(f: &mut std::fmt::Formatter<'_>, order: &TokenOrder) -> std::fmt::Result {
    write!(f, " kind={} value={}", order.kind, order.value)?;
    order.credit.iter().try_for_each(|credit| write!(f, " amount={}", credit_text(credit)))?;
    typed(f, "change.", &order.change)
}

fn typed(f: &mut std::fmt::Formatter<'_>, prefix: &str, values: &Extras) -> std::fmt::Result {
    values.iter().try_for_each(|(name, value)| {
        write!(f, " {prefix}{}={}", word(name), word(&value_text(value)))
    })
}

/// Arguments not used yet.
struct Arguments(Vec<(String, String)>);

impl Arguments {
    fn request(&mut self, function: Function) -> Result<Request, ReadError> {
        Ok(match function {
            Function::Describe => Request::Describe,
            Function::Decode => Request::Decode(text::bytes(&self.required("frame")?)?),
            Function::Probe => Request::Probe(self.told()?),
            Function::Read => Request::Read(self.told()?),
            Function::Clear => Request::Clear(self.told()?),
            Function::Open => {
                let told = self.told()?;
                let (customer_number, Purchase { count, credit }) = self.purchase()?;
                Request::Open(told, Opening { customer_number, credit, count })
            }
            Function::Sell => {
                let told = self.told()?;
                let (customer_number, purchase) = self.purchase()?;
                Request::Sell(told, Order { customer_number, purchase })
            }
            Function::Refund => {
                let told = self.told()?;
                let (customer_number, purchase) = self.purchase()?;
                Request::Refund(told, Order { customer_number, purchase })
            }
            Function::Plan => {
                let (told, order) = (self.told()?, self.token()?);
                let last = self.taken("last").map(|text| number(&text)).transpose()?;
                Request::Plan(told, order, last)
            }
            Function::Issue => {
                let (told, order) = (self.told()?, self.token()?);
                let identifier = self.taken("identifier").map(|text| number(&text)).transpose()?;
                Request::Issue(told, order, identifier)
            }
            Function::Check => {
                let told = self.told()?;
                let count = self.taken("count").map(|text| number(&text)).transpose()?;
                Request::Check(told, count)
            }
            Function::Control => Request::Control {
                told: self.told()?,
                command: number(&self.required("command")?)?,
                valid_until: self.taken("valid-until").map(|text| text::time(&text)).transpose()?,
            },
            Function::ReadRecords => Request::ReadRecords {
                told: self.told()?,
                kind: unescaped(&self.required("kind")?)?,
                since: text::time(&self.required("since")?)?,
                questions: number(&self.required("questions")?)?,
                position: self.taken("position").map(|text| text::bytes(&text)).transpose()?,
            },
            Function::CardIdentify => Request::CardIdentify(self.told()?),
            Function::CardCheck => Request::CardCheck(self.told()?),
            Function::CardClear => Request::CardClear(self.told()?),
            Function::CardOpen => self.card(CardAct::Open)?,
            Function::CardSell => self.card(CardAct::Sell)?,
            Function::CardReplace => self.card(CardAct::Replace)?,
            Function::CardTakeBack => self.card(CardAct::TakeBack)?,
            Function::CardMake => self.card(CardAct::Make)?,
            Function::SetClock => Request::SetClock(self.told()?, number(&self.required("way")?)?),
            Function::Enter => Request::Enter(self.told()?, unescaped(&self.required("digits")?)?),
            Function::SetParameters => Request::SetParameters(self.told()?, self.typed("set.")?),
            Function::Search => Request::Search {
                way: unescaped(&self.required("way")?)?,
                questions: number(&self.required("questions")?)?,
                position: self.taken("position").map(|text| text::bytes(&text)).transpose()?,
                // A search is about no device yet.
                told: self.told_of(String::new())?,
            },
        })
    }

    /// `purpose=` may be left out where it can be but one, and a purchase altogether.
    fn card(&mut self, act: CardAct) -> Result<Request, ReadError> {
        /// `identity.purpose`: a user card.
        const USER: u16 = 1;
        let purpose = match (self.taken("purpose"), act) {
            (None, CardAct::Make) => return ReadError::because("`purpose=` is missing"),
            (None, _) => USER,
            (Some(text), _) => number(&text)?,
        };
        let region = unescaped(&self.taken("region").unwrap_or_default())?;
        let customer_number = unescaped(&self.taken("customer").unwrap_or_default())?;
        let purchase = match (self.taken("count"), self.taken("amount")) {
            (None, None) => None,
            (Some(count), Some(amount)) => {
                Some(Purchase { count: number(&count)?, credit: text::credit(&amount)? })
            }
            _ => return ReadError::because("a purchase has `count=` and `amount=`"),
        };
        let parameters = self.typed("carry.")?;
        let order = CardOrder { purpose, region, customer_number, purchase, parameters };
        Ok(Request::Card(act, self.told()?, order))
    }

    fn taken(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }

    fn required(&mut self, name: &str) -> Result<String, ReadError> {
        self.taken(name).ok_or_else(|| ReadError(format!("`{name}=` is missing")))
    }

    /// All values whose name begins with `prefix`, in their order.
    fn typed(&mut self, prefix: &str) -> Result<Extras, ReadError> {
        let (found, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|(name, _)| name.starts_with(prefix));
        self.0 = left;
        found
            .iter()
            .map(|(name, content)| {
                let name = name.strip_prefix(prefix).unwrap_or(name);
                Ok((unescaped(name)?, text::value(&unescaped(content)?)?))
            })
            .collect()
    }

    fn told(&mut self) -> Result<Told, ReadError> {
        let address = unescaped(&self.taken("address").unwrap_or_default())?;
        self.told_of(address)
    }

    fn told_of(&mut self, address: String) -> Result<Told, ReadError> {
        let start = LocalTime { year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        let now = self.taken("now").map(|content| text::time(&content)).transpose()?;
        let nonce = self.taken("nonce").map(|content| text::bytes(&content)).transpose()?;
        Ok(Told {
            address,
            parameters: self.typed("param.")?,
            now: now.unwrap_or(start),
            nonce: nonce.unwrap_or_else(|| (0..16).collect()),
        })
    }

    fn token(&mut self) -> Result<TokenOrder, ReadError> {
        Ok(TokenOrder {
            kind: number(&self.required("kind")?)?,
            credit: self.taken("amount").map(|content| text::credit(&content)).transpose()?,
            value: self.taken("value").map_or(Ok(0), |content| number(&content))?,
            change: self.typed("change.")?,
        })
    }

    fn purchase(&mut self) -> Result<(String, Purchase), ReadError> {
        let count = number(&self.required("count")?)?;
        let credit = text::credit(&self.required("amount")?)?;
        Ok((unescaped(&self.required("customer")?)?, Purchase { count, credit }))
    }
}
