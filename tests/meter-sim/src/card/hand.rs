//! A person's hand with cards in it: makes cards and card meters, puts cards into a reader (the virtual
//! one, or a serial one of its own) and into meters, pulls them out. Asked by JSON lines, one thing each, and answered by one line; bad
//! input is answered with an error and changes nothing.

use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use super::acme::{self, AcmeKeys};
use super::field::Purse;
use super::luna::{self, LunaKeys};
use super::{
    AcmeMeter, At24c, At88sc102, Card, CardFault, CardFaultKind, Chip, CpuCard, CpuKeys, DesFire,
    Inserted, LunaMeter, MifareClassic, SerialReader, SgMeter, Shown, Sle4428, Sle4442,
};

/// Longest line.
const LINE_BYTES_MAX: u64 = 65_536;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Asked {
    Card(CardPlan),
    Meter(MeterPlan),
    /// Into a slot of the virtual reader, or onto the serial one.
    Insert(Place),
    /// Out of the reader, by the card's name.
    Pull(String),
    Fault(Ordered),
    /// Bytes onto a memory card, as its maker has them put there or a device that is not simulated.
    Write(Written),
    /// What a card truly holds.
    Truth(String),
    /// Into a card meter and out again.
    Take(Taken),
    /// What a customer uses.
    Use(Used),
    /// What a meter truly holds.
    State(String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CardKind {
    /// An SLE4442 as ACME delivers it.
    Acme,
    Sle4442,
    Sle4428,
    At24c,
    At88sc102,
    Mifare,
    /// A Mifare Classic as LUNA delivers it.
    Luna,
    Desfire,
    Cpu,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CardPlan {
    name: String,
    kind: CardKind,
    /// Hexadecimal digits: 16 of ACME and CPU cards, 8 of LUNA and Mifare Classic, 14 of DESFire.
    number: Option<String>,
    keys: Option<CpuPlan>,
}

/// An issuer's keys, 32 hexadecimal digits each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CpuPlan {
    internal: String,
    external: String,
    mac: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum MeterPlan {
    /// The keys are hexadecimal.
    Acme {
        name: String,
        number: String,
        psc: String,
        data: String,
        transport: Option<String>,
    },
    Luna {
        name: String,
        number: String,
        read: String,
        write: String,
        data: String,
    },
    Sg {
        name: String,
        number: String,
        internal: String,
        external: String,
        mac: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    card: String,
    /// 0 is the reader's first slot.
    #[serde(default)]
    slot: u16,
}

#[derive(Debug, Deserialize)]
struct Ordered {
    card: String,
    at: u64,
    #[serde(flatten)]
    kind: CardFaultKind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    card: String,
    at: usize,
    /// Hexadecimal.
    bytes: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    card: String,
    meter: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Used {
    meter: String,
    fen: u32,
}

#[derive(Debug)]
enum Meter {
    Acme(Box<AcmeMeter>),
    Luna(Box<LunaMeter>),
    Sg(Box<SgMeter>),
}

impl Meter {
    fn insert(&mut self, card: &Card) -> Shown {
        match self {
            Meter::Acme(meter) => meter.insert(card),
            Meter::Luna(meter) => meter.insert(card),
            Meter::Sg(meter) => meter.insert(card),
        }
    }

    fn purse(&mut self) -> &mut Purse {
        match self {
            Meter::Acme(meter) => &mut meter.purse,
            Meter::Luna(meter) => &mut meter.purse,
            Meter::Sg(meter) => &mut meter.purse,
        }
    }
}

/// Where the hand puts cards.
#[derive(Debug)]
pub enum Readers {
    /// vpcd's slots; the first one listens there.
    Virtual(SocketAddr),
    Serial(SerialReader),
}

/// A card that was put into a reader.
#[derive(Debug)]
enum Lying {
    Virtual(Inserted),
    Serial,
}

/// The hand, and what it has made.
#[derive(Debug)]
struct Hand {
    readers: Readers,
    cards: BTreeMap<String, Card>,
    meters: BTreeMap<String, Meter>,
    lying: BTreeMap<String, Lying>,
}

/// Serves lines until they end; the cards are pulled then.
pub fn serve(
    readers: Readers,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> std::io::Result<()> {
    let (cards, meters, lying) = Default::default();
    let mut hand = Hand { readers, cards, meters, lying };
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = hand.answer(&line).unwrap_or_else(|error| json!({ "error": error }));
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
}

impl Hand {
    fn answer(&mut self, line: &[u8]) -> Result<Value, String> {
        let asked = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let readers = &self.readers;
        self.lying.retain(|_, lying| match (lying, readers) {
            (Lying::Virtual(inserted), _) => inserted.is_in(),
            (Lying::Serial, Readers::Serial(reader)) => reader.has_card(),
            (Lying::Serial, Readers::Virtual(_)) => false,
        });
        match asked {
            Asked::Card(plan) => {
                let card = plan.made()?;
                self.lying.remove(&plan.name);
                self.cards.insert(plan.name, card);
            }
            Asked::Meter(plan) => {
                let (name, meter) = plan.made()?;
                self.meters.insert(name, meter);
            }
            Asked::Insert(Place { card: name, slot }) => {
                let card = self.card(&name)?;
                let lying = self.inserted(&name, &card, slot)?;
                self.lying.insert(name, lying);
            }
            Asked::Pull(name) => {
                let lying = self.lying.remove(&name);
                match (lying.ok_or_else(|| format!("{name} lies in no reader"))?, &self.readers) {
                    (Lying::Virtual(inserted), _) => inserted.pull(),
                    (Lying::Serial, Readers::Serial(reader)) => reader.pull(),
                    (Lying::Serial, Readers::Virtual(_)) => {}
                }
            }
            Asked::Fault(Ordered { card, at, kind }) => {
                self.card(&card)?.fault(CardFault { at, kind });
            }
            Asked::Write(written) => written.put(&self.card(&written.card)?)?,
            Asked::Truth(name) => return self.truth(&name),
            Asked::Take(Taken { card: name, meter }) => {
                let card = self.card(&name)?;
                if self.lying.contains_key(&name) {
                    return Err(format!("{name} lies in the reader"));
                }
                return Ok(shown(self.meter(&meter)?.insert(&card)));
            }
            Asked::Use(Used { meter, fen }) => self.meter(&meter)?.purse().use_up(fen),
            Asked::State(meter) => return Ok(state(self.meter(&meter)?.purse())),
        }
        Ok(json!({ "ok": true }))
    }

    fn inserted(&mut self, name: &str, card: &Card, slot: u16) -> Result<Lying, String> {
        match &self.readers {
            Readers::Virtual(first) => {
                let port = first.port().checked_add(slot).ok_or("there is no such slot")?;
                let at = SocketAddr::new(first.ip(), port);
                self.lying.remove(name);
                let inserted = Inserted::new(at, card);
                inserted
                    .map(Lying::Virtual)
                    .map_err(|error| format!("no virtual reader at {at}: {error}"))
            }
            Readers::Serial(_) if slot > 0 => Err("there is no such slot".to_owned()),
            Readers::Serial(_) if card.contactless().is_none() => {
                Err(format!("{name} has no antenna"))
            }
            Readers::Serial(reader) => {
                self.lying.clear();
                reader.put(card);
                Ok(Lying::Serial)
            }
        }
    }

    fn card(&self, name: &str) -> Result<Card, String> {
        self.cards.get(name).cloned().ok_or_else(|| format!("there is no card {name}"))
    }

    fn meter(&mut self, name: &str) -> Result<&mut Meter, String> {
        self.meters.get_mut(name).ok_or_else(|| format!("there is no meter {name}"))
    }

    fn truth(&self, name: &str) -> Result<Value, String> {
        let card = self.card(name)?;
        let truth = card.truth();
        Ok(json!({
            "in_reader": self.lying.contains_key(name),
            "commands": card.commands(),
            "memory": hex::encode(truth.memory),
            "tries_left": truth.tries_left,
            "presented": truth.presented,
            "wrong": truth.wrong,
        }))
    }
}

fn shown(shown: Shown) -> Value {
    match shown {
        Shown::Credited { amount_fen } => json!({ "shown": "credited", "fen": amount_fen }),
        Shown::Known => json!({ "shown": "known" }),
        Shown::Set => json!({ "shown": "set" }),
        Shown::Checked => json!({ "shown": "checked" }),
        Shown::Priced => json!({ "shown": "priced" }),
        Shown::Moved => json!({ "shown": "moved" }),
        Shown::Tested => json!({ "shown": "tested" }),
        Shown::KeyChanged => json!({ "shown": "key-changed" }),
        Shown::Cleared => json!({ "shown": "cleared" }),
        Shown::End => json!({ "shown": "END" }),
        Shown::Error(error) => json!({
            "shown": format!("Err{}", error.displayed()),
            "code": error as u8,
            "meaning": format!("{error:?}"),
        }),
    }
}

fn state(purse: &Purse) -> Value {
    json!({
        "stage": format!("{:?}", purse.stage).to_lowercase(),
        "customer": purse.customer.map(hex::encode),
        "card": purse.card.map(hex::encode),
        "count": purse.count,
        "money_fen": purse.money_fen,
        "credited_fen": purse.credited_fen,
        "credits": purse.credits,
        "closed": purse.is_closed(),
    })
}

impl Written {
    fn put(&self, card: &Card) -> Result<(), String> {
        let bytes = hex::decode(&self.bytes).map_err(|error| format!("bytes: {error}"))?;
        card.alter(|chip| {
            let memory = chip.memory_mut().ok_or_else(|| format!("{} has no memory", self.card))?;
            let place = memory.get_mut(self.at..).and_then(|rest| rest.get_mut(..bytes.len()));
            let place = place.ok_or_else(|| format!("{} has no such bytes", self.card))?;
            place.copy_from_slice(&bytes);
            Ok(())
        })
    }
}

impl CardPlan {
    fn made(&self) -> Result<Card, String> {
        let number = self.number.as_deref().unwrap_or_default();
        let chip = match self.kind {
            CardKind::Acme => Chip::Sle4442(Box::new(acme::blank(field("number", number)?))),
            CardKind::Sle4442 => Chip::Sle4442(Box::new(Sle4442::blank())),
            CardKind::Sle4428 => Chip::Sle4428(Box::new(Sle4428::blank())),
            CardKind::At24c => Chip::At24c(Box::new(At24c::blank(16))),
            CardKind::At88sc102 => Chip::At88sc102(Box::new(At88sc102::blank())),
            CardKind::Mifare => {
                Chip::MifareClassic(Box::new(MifareClassic::blank(field("number", number)?)))
            }
            CardKind::Luna => Chip::MifareClassic(Box::new(luna::blank(field("number", number)?))),
            CardKind::Desfire => Chip::DesFire(Box::new(DesFire::blank(field("number", number)?))),
            CardKind::Cpu => {
                let keys = self.keys.as_ref().ok_or("a CPU card wants its issuer's keys")?;
                let keys = cpu_keys(&keys.internal, &keys.external, &keys.mac)?;
                Chip::Cpu(Box::new(CpuCard::blank(field("number", number)?, &keys)))
            }
        };
        Ok(Card::new(chip))
    }
}

impl MeterPlan {
    fn made(self) -> Result<(String, Meter), String> {
        match self {
            MeterPlan::Luna { name, number, read, write, data } => {
                let keys = LunaKeys { read: key(&read)?, write: key(&write)?, data: key(&data)? };
                let meter = LunaMeter::new(field("number", &number)?, keys);
                Ok((name, Meter::Luna(Box::new(meter))))
            }
            MeterPlan::Acme { name, number, psc, data, transport } => {
                let keys = AcmeKeys { psc: key(&psc)?, data: key(&data)? };
                let mut meter = AcmeMeter::new(field("number", &number)?, keys);
                if let Some(transport) = transport {
                    meter = meter.with_transport_key(field("transport", &transport)?);
                }
                Ok((name, Meter::Acme(Box::new(meter))))
            }
            MeterPlan::Sg { name, number, internal, external, mac } => {
                let keys = cpu_keys(&internal, &external, &mac)?;
                let meter = SgMeter::new(field("number", &number)?, keys);
                Ok((name, Meter::Sg(Box::new(meter))))
            }
        }
    }
}

fn key(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).map_err(|error| error.to_string())
}

fn cpu_keys(internal: &str, external: &str, mac: &str) -> Result<CpuKeys, String> {
    Ok(CpuKeys {
        internal: field("internal", internal)?,
        external: field("external", external)?,
        mac: field("mac", mac)?,
    })
}

fn field<const N: usize>(name: &str, text: &str) -> Result<[u8; N], String> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| format!("{name} has {} hexadecimal digits", N * 2))
}
