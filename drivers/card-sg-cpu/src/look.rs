//! Looking at a card: whose it is, what it holds, and whether its meter has taken that.
//!
//! Invariant: nothing here changes a card, and what cannot be read is not made up.

use crate::session::{PARAMETERS, PURSE, Session, WRITTEN_BACK};
use polymeter_codec::gbcard::{
    CardType, Family, Fault, Holder, Moment, PARAMETERS_BYTES, PURSE_BYTES, Parameters, Purse,
    WRITTEN_BACK_BYTES, WrittenBack, is_empty,
};
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quality, quantity, register, unit};
use polymeter_driver::ending::Stop;
use polymeter_driver::{
    Call, CardContents, CardIdentity, Credit, Decimal, DriverError, Extras, Host, LocalTime,
    Measurement, Purchase, Value, WrittenBack as BroughtHome,
};

pub const VENDOR: &str = "SGCPU";

/// What the parameters say of a card; none where they are empty.
#[derive(Debug, Clone, Copy)]
pub struct Marked {
    pub family: Family,
    pub parameters: Parameters,
}

/// What a meter left on a card.
#[derive(Debug, Clone)]
pub enum Back {
    Empty,
    /// Torn, or no file of ours: why.
    Damaged(String),
    Written(WrittenBack),
}

/// A user card, proved and read under MACs.
#[derive(Debug, Clone)]
pub struct Held {
    pub marked: Marked,
    pub holder: Holder,
    pub purse: Purse,
    pub back: Back,
}

/// The application, or the word that this is no card of ours.
pub fn session(host: &mut dyn Host) -> Result<Session<'_>, Stop> {
    let begun = Session::begin(host)?;
    let none = || DriverError::new(error::DEVICE_SAYS_NO, "not a card of this vendor");
    Ok(begun.ok_or_else(none)?)
}

/// The file of parameters, as anybody may read it.
pub fn file(session: &mut Session<'_>) -> Result<Vec<u8>, Stop> {
    session.read_plain(PARAMETERS, u8::try_from(PARAMETERS_BYTES).unwrap_or(u8::MAX))
}

/// What it says.
pub fn marked(session: &mut Session<'_>) -> Result<Option<Marked>, Stop> {
    parsed(&file(session)?)
        .map_err(|fault| Stop::garbled(format!("the card's parameters: {fault}")))
}

pub fn parsed(file: &[u8]) -> Result<Option<Marked>, Fault> {
    if is_empty(file) {
        return Ok(None);
    }
    let south = [Family::SOUTH_GRID.user, Family::SOUTH_GRID.setting];
    let is_south = file.get(1).is_some_and(|command| south.contains(command));
    let family = if is_south { Family::SOUTH_GRID } else { Family::STATE_GRID };
    Ok(Some(Marked { family, parameters: Parameters::parse(file, family)? }))
}

pub fn identify(host: &mut dyn Host, _: &Call) -> Result<Option<CardIdentity>, DriverError> {
    let Some(mut session) = Session::begin(host)? else { return Ok(None) };
    let file = match file(&mut session) {
        Ok(file) => file,
        // An application of that name that holds something else.
        Err(Stop::Refused(_)) => return Ok(None),
        Err(Stop::Failed(error)) => return Err(error),
    };
    match parsed(&file) {
        Ok(marked) => Ok(Some(identity(&session, marked.as_ref()))),
        Err(Fault::Start(_) | Fault::Command(_)) => Ok(None),
        Err(fault) => {
            let detail = format!("the card's parameters: {fault}");
            Err(DriverError::new(error::GARBLED, detail))
        }
    }
}

fn identity(session: &Session<'_>, marked: Option<&Marked>) -> CardIdentity {
    let holder = marked.and_then(|marked| marked.parameters.holder);
    let purpose = match (marked, holder) {
        (None, _) => purpose::BLANK,
        (Some(_), Some(_)) => purpose::USER,
        (Some(_), None) => purpose::SETTING,
    };
    let text = |digits: Option<polymeter_codec::gbcard::Digits>| {
        digits.map(|digits| digits.to_string()).unwrap_or_default()
    };
    CardIdentity {
        vendor_code: VENDOR.to_owned(),
        purpose,
        region: String::new(),
        customer_number: text(holder.map(|holder| holder.customer)),
        device: text(holder.map(|holder| holder.meter)),
        serial: session.serial(),
    }
}

/// Purse and write-back of a user card that was proved before.
pub fn held(session: &mut Session<'_>, marked: Marked, holder: Holder) -> Result<Held, Stop> {
    let purse = purse(session)?;
    let file = session.read(WRITTEN_BACK, WRITTEN_BACK_BYTES)?;
    let back = if is_empty(&file) {
        Back::Empty
    } else {
        WrittenBack::parse(&file)
            .map_or_else(|fault| Back::Damaged(fault.to_string()), Back::Written)
    };
    Ok(Held { marked, holder, purse, back })
}

pub fn purse(session: &mut Session<'_>) -> Result<Purse, Stop> {
    let file = session.read(PURSE, PURSE_BYTES)?;
    Purse::parse(&file).map_err(|fault| Stop::garbled(format!("the card's purse: {fault}")))
}

impl Held {
    /// Whether the meter has taken the purchase: by what it wrote back, or by the journal, which counts
    /// on a buying card alone (README).
    pub fn taken(&self) -> u16 {
        let count = self.purse.count;
        let by_journal = self.holder.kind == CardType::Buy && self.marked.parameters.spare >= count;
        match &self.back {
            _ if by_journal => taken::YES,
            Back::Written(back) if self.is_of(back) && back.count >= count => taken::YES,
            Back::Written(_) | Back::Empty => taken::NO,
            Back::Damaged(_) => taken::UNKNOWN,
        }
    }

    /// Whether the meter and the customer of this card wrote it.
    fn is_of(&self, back: &WrittenBack) -> bool {
        (back.meter, back.customer) == (self.holder.meter, self.holder.customer)
    }
}

pub fn check(host: &mut dyn Host, call: &Call) -> Result<CardContents, DriverError> {
    let mut session = session(host)?;
    let marked = marked(&mut session)?;
    session.prove_card(call)?;
    let identity = identity(&session, marked.as_ref());
    let mut contents = CardContents {
        identity,
        purchase: None,
        taken: taken::UNKNOWN,
        written_back: None,
        extras: Vec::new(),
    };
    let Some(marked) = marked else { return Ok(contents) };
    let Some(holder) = marked.parameters.holder else {
        let amount = session.read(WRITTEN_BACK, PURSE_BYTES)?;
        let preset = Purse::parse(&amount).map_err(|fault| Stop::garbled(fault.to_string()))?;
        contents.extras.push(("preset-amount".to_owned(), money(preset.amount)));
        return Ok(contents);
    };
    let held = held(&mut session, marked, holder)?;
    contents.extras.push(("type".to_owned(), Value::Text(type_name(holder.kind).to_owned())));
    if held.purse.count > 0 {
        let credit = credit(held.purse.amount);
        contents.purchase = Some(Purchase { count: held.purse.count, credit });
        contents.taken = held.taken();
    }
    match &held.back {
        Back::Empty => {}
        Back::Damaged(why) => {
            contents.extras.push(("write-back damaged".to_owned(), Value::Text(why.clone())));
        }
        Back::Written(back) => contents.written_back = Some(brought_home(&held, back)),
    }
    Ok(contents)
}

fn type_name(kind: CardType) -> &'static str {
    match kind {
        CardType::Reclose => "reclose",
        CardType::Open => "open",
        CardType::Buy => "buy",
        CardType::Replace => "replace",
    }
}

fn brought_home(held: &Held, back: &WrittenBack) -> BroughtHome {
    let measured = |register: &str, value: Value, unit: u16| Measurement {
        register: register.to_owned(),
        value,
        unit,
        quality: quality::MEASURED,
    };
    let [current, voltage] = back.ratios;
    let mut extras: Extras = vec![
        ("wrong-cards".to_owned(), whole(back.wrong_cards)),
        ("current-ratio".to_owned(), whole(current)),
        ("voltage-ratio".to_owned(), whole(voltage)),
    ];
    if !held.is_of(back) {
        extras.push(("of device".to_owned(), Value::Text(back.meter.to_string())));
        extras.push(("of customer".to_owned(), Value::Text(back.customer.to_string())));
    }
    BroughtHome {
        count: back.count,
        balance: Some(credit(back.balance)),
        at: back.at.map(local),
        measurements: vec![
            measured(register::CREDIT_REMAINING, money(back.balance), unit::CURRENCY),
            measured(register::CREDIT_OVERDRAWN, money(back.overdrawn), unit::CURRENCY),
            measured(register::PURCHASE_COUNT, whole(back.count), unit::NONE),
        ],
        extras,
    }
}

pub fn credit(amount: u32) -> Credit {
    Credit { quantity: quantity::MONEY, amount: amount.into() }
}

/// Yuan.
fn money(amount: u32) -> Value {
    Value::Number(Decimal { mantissa: amount.into(), scale: -2 })
}

fn whole(number: u32) -> Value {
    Value::Number(Decimal { mantissa: number.into(), scale: 0 })
}

fn local(moment: Moment) -> LocalTime {
    LocalTime {
        year: u16::from(moment.year).saturating_add(2000),
        month: moment.month,
        day: moment.day,
        hour: moment.hour,
        minute: moment.minute,
        second: 0,
    }
}
