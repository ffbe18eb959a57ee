//! How readers are spoken to, as data: which profile is a reader's, which answer to reset is which
//! kind of card, and the commands for what a memory card does. The built-in ones are
//! `readers.toml`, whose head says what each word means.
//!
//! Invariant: a profile that parses has only commands that can be filled in, memory that is
//! bounded, and a counter before each code. Not here: the order of the commands in a conversation
//! (`memory`).

use std::sync::{Arc, OnceLock};

use polymeter_domain::CardKind;
use serde::Deserialize;

use super::limits::{MEMORY_BYTES_MAX, PIECE_BYTES_MAX};
use super::template::{BytePattern, Command, name_fits};

/// One profile. Read from TOML by serde; a value that cannot be used is refused with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawProfile")]
pub struct ReaderProfile {
    name: String,
    readers: Vec<String>,
    uid: Option<Command>,
    cards: Vec<Arc<CardCommands>>,
}

/// What one kind of card is and does behind one kind of reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CardCommands {
    pub(crate) kind: CardKind,
    atr: Vec<BytePattern>,
    probe: Vec<BytePattern>,
    pub(crate) contactless: bool,
    pub(crate) select: Option<Command>,
    /// Of cards that are memory.
    pub(crate) memory: Option<Memory>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) bytes: u32,
    /// Bytes that one command moves at most.
    pub(crate) piece: usize,
    /// Bytes that a reader may put behind those that were asked for.
    pub(crate) trailer: usize,
    pub(crate) read: Command,
    pub(crate) write: Command,
    pub(crate) codes: Vec<Code>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) sectors: Option<Sectors>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) counter: Command,
    pub(crate) fresh: u8,
    pub(crate) spare: u32,
    pub(crate) verify: Command,
    pub(crate) set: Vec<Command>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) at: u32,
    pub(crate) bytes: u32,
    pub(crate) erase: Command,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sectors {
    pub(crate) load: Command,
    /// With key A and with key B.
    pub(crate) open: [Command; 2],
}

impl ReaderProfile {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn uid(&self) -> Option<&Command> {
        self.uid.as_ref()
    }

    /// The kind that this answer to reset alone means.
    pub(crate) fn by_atr(&self, atr: &[u8]) -> Option<&Arc<CardCommands>> {
        self.cards.iter().find(|card| card.atr.iter().any(|pattern| pattern.fits(atr)))
    }

    /// The kinds to try where the answer to reset tells nothing, in order.
    pub(crate) fn to_probe(&self, atr: &[u8]) -> impl Iterator<Item = &Arc<CardCommands>> {
        self.cards.iter().filter(|card| card.probe.iter().any(|pattern| pattern.fits(atr)))
    }
}

/// Profiles in the order in which they are asked whether a reader is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderProfiles(Vec<Arc<ReaderProfile>>);

impl ReaderProfiles {
    /// Those of `readers.toml`.
    pub fn built_in() -> ReaderProfiles {
        static BUILT_IN: OnceLock<Vec<Arc<ReaderProfile>>> = OnceLock::new();
        let profiles = BUILT_IN.get_or_init(|| {
            let text = include_str!("readers.toml");
            let file: File = toml::from_str(text).expect("the program's own file is good");
            file.profiles.into_iter().map(Arc::new).collect()
        });
        ReaderProfiles(profiles.clone())
    }

    /// These before the built-in ones, of which those with the same names go.
    pub fn with(own: Vec<ReaderProfile>) -> ReaderProfiles {
        let ReaderProfiles(mut built_in) = ReaderProfiles::built_in();
        built_in.retain(|profile| own.iter().all(|own| own.name != profile.name));
        ReaderProfiles(own.into_iter().map(Arc::new).chain(built_in).collect())
    }

    /// The first whose patterns this PC/SC name fits. One without any card stands for none at all.
    pub(crate) fn of(&self, reader: &str) -> Arc<ReaderProfile> {
        let fits = |profile: &&Arc<ReaderProfile>| {
            profile.readers.iter().any(|pattern| name_fits(pattern, reader))
        };
        self.0.iter().find(fits).cloned().unwrap_or_else(|| {
            let (name, readers, cards) = ("none".to_owned(), Vec::new(), Vec::new());
            Arc::new(ReaderProfile { name, readers, uid: None, cards })
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "reader-profile")]
    profiles: Vec<ReaderProfile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    name: String,
    readers: Vec<String>,
    uid: Option<String>,
    #[expect(dead_code, reason = "for who reads the file; that it is there is checked")]
    source: String,
    #[serde(default)]
    card: Vec<RawCard>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCard {
    kind: String,
    #[serde(default)]
    atr: Vec<String>,
    #[serde(default)]
    probe: Vec<String>,
    #[serde(default)]
    contactless: bool,
    bytes: Option<u32>,
    piece: Option<usize>,
    #[serde(default)]
    trailer: u8,
    select: Option<String>,
    read: Option<String>,
    write: Option<String>,
    #[expect(dead_code, reason = "for who reads the file; that it is there is checked")]
    evidence: Evidence,
    #[serde(default)]
    code: Vec<RawCode>,
    #[serde(default)]
    zone: Vec<RawZone>,
    sectors: Option<RawSectors>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Evidence {
    Proven,
    Assumed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCode {
    counter: String,
    fresh: String,
    #[serde(default)]
    spare: u32,
    verify: String,
    #[serde(default)]
    set: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawZone {
    at: u32,
    bytes: u32,
    erase: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawSectors {
    load: String,
    open_a: String,
    open_b: String,
}

impl TryFrom<RawProfile> for ReaderProfile {
    type Error = String;

    fn try_from(raw: RawProfile) -> Result<ReaderProfile, String> {
        let within = |what: String| format!("reader profile {}: {what}", raw.name);
        if raw.readers.is_empty() {
            return Err(within("`readers` names none; readers = [\"*\"] means all".to_owned()));
        }
        let uid = raw.uid.as_deref().map(Command::parse).transpose().map_err(within)?;
        let mut cards = Vec::new();
        for card in raw.card {
            let kind = card.kind.clone();
            let made = card.made().map_err(|what| within(format!("card {kind}: {what}")))?;
            cards.push(Arc::new(made));
        }
        Ok(ReaderProfile { name: raw.name, readers: raw.readers, uid, cards })
    }
}

impl RawCard {
    fn made(self) -> Result<CardCommands, String> {
        let kind = CardKind::from_name(&self.kind).ok_or_else(|| {
            let names: Vec<&str> = CardKind::ALL.iter().map(|kind| kind.name()).collect();
            format!("there is no such kind; there are {}", names.join(", "))
        })?;
        let patterns = |texts: &[String]| {
            texts.iter().map(|text| BytePattern::parse(text)).collect::<Result<Vec<_>, _>>()
        };
        let (atr, probe) = (patterns(&self.atr)?, patterns(&self.probe)?);
        if atr.is_empty() && probe.is_empty() {
            return Err("neither `atr` nor `probe` says when it is one".to_owned());
        }
        let select = self.select.as_deref().map(Command::parse).transpose()?;
        if !probe.is_empty() && select.is_none() {
            return Err("`probe` needs `select`".to_owned());
        }
        let contactless = self.contactless;
        let memory = self.memory(kind)?;
        Ok(CardCommands { kind, atr, probe, contactless, select, memory })
    }

    fn memory(self, kind: CardKind) -> Result<Option<Memory>, String> {
        let processor = matches!(kind, CardKind::Cpu | CardKind::Desfire);
        let (Some(bytes), Some(read), Some(write)) = (self.bytes, &self.read, &self.write) else {
            let some = self.bytes.is_some() || self.read.is_some() || self.write.is_some();
            return match (processor, some) {
                (true, false) => Ok(None),
                (true, true) => Err("such a card is no memory".to_owned()),
                (false, _) => Err("a memory card needs bytes, read and write".to_owned()),
            };
        };
        if processor {
            return Err("such a card is no memory".to_owned());
        }
        if !(1..=MEMORY_BYTES_MAX).contains(&bytes) {
            return Err(format!("bytes = {bytes}; from 1 to {MEMORY_BYTES_MAX}"));
        }
        let piece = self.piece.unwrap_or(PIECE_BYTES_MAX);
        if !(1..=PIECE_BYTES_MAX).contains(&piece) {
            return Err(format!("piece = {piece}; from 1 to {PIECE_BYTES_MAX}"));
        }
        if (kind == CardKind::MifareClassic) != self.sectors.is_some() {
            return Err("mifare-classic has `sectors`, and nothing else has".to_owned());
        }
        let codes = self.code.iter().map(RawCode::made).collect::<Result<_, _>>()?;
        let zones = self.zone.iter().map(|zone| zone.made(bytes)).collect::<Result<_, _>>()?;
        let sectors = self.sectors.as_ref().map(RawSectors::made).transpose()?;
        let trailer = usize::from(self.trailer);
        let (read, write) = (Command::parse(read)?, Command::parse(write)?);
        Ok(Some(Memory { bytes, piece, trailer, read, write, codes, zones, sectors }))
    }
}

impl RawCode {
    fn made(&self) -> Result<Code, String> {
        let fresh = u8::from_str_radix(&self.fresh, 16).ok().filter(|fresh| *fresh != 0);
        let fresh = fresh.ok_or_else(|| format!("fresh = \"{}\" is no such byte", self.fresh))?;
        if self.spare >= fresh.count_ones() {
            return Err(format!("spare = {} leaves no tries", self.spare));
        }
        let set = self.set.iter().map(|text| Command::parse(text)).collect::<Result<_, _>>()?;
        let (counter, verify) = (Command::parse(&self.counter)?, Command::parse(&self.verify)?);
        Ok(Code { counter, fresh, spare: self.spare, verify, set })
    }
}

impl RawZone {
    fn made(&self, memory_bytes: u32) -> Result<Zone, String> {
        let end = self.at.checked_add(self.bytes).filter(|end| *end <= memory_bytes);
        if end.is_none() || self.bytes == 0 {
            return Err(format!("a zone of {} bytes at {} is not in it", self.bytes, self.at));
        }
        Ok(Zone { at: self.at, bytes: self.bytes, erase: Command::parse(&self.erase)? })
    }
}

impl RawSectors {
    fn made(&self) -> Result<Sectors, String> {
        let open = [Command::parse(&self.open_a)?, Command::parse(&self.open_b)?];
        Ok(Sectors { load: Command::parse(&self.load)?, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ReaderProfile, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_built_in_file_is_good() {
        let profiles = ReaderProfiles::built_in();
        assert_eq!(profiles.of("ACS ACR38U-CCID 00 00").name(), "acs");
        assert_eq!(profiles.of("Virtual PCD 00 01").name(), "acs");
        assert_eq!(profiles.of("Gemalto PC Twin Reader 00 00").name(), "pc/sc");
        // Each memory card of the acs profile has what its kind says it has.
        for card in &profiles.of("ACS ACR1281 1S Dual Reader 00 00").cards {
            let Some(memory) = &card.memory else { continue };
            for (number, _) in memory.codes.iter().enumerate() {
                let number = u16::try_from(number).expect("few");
                assert!(card.kind.code_bytes(number).is_some(), "{} {number}", card.kind);
            }
            for zone in 1..=memory.zones.len() {
                let zone = u16::try_from(zone).expect("few");
                assert!(card.kind.code_bytes(zone).is_some(), "{} zone {zone}", card.kind);
            }
        }
    }

    #[test]
    fn an_answer_to_reset_tells_the_kind() {
        let profile = ReaderProfiles::built_in().of("ACS ACR38U-CCID 00 00");
        let check = |atr: &str, want: Option<CardKind>| {
            let bytes: Vec<u8> = atr
                .split(' ')
                .map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal"))
                .collect();
            assert_eq!(profile.by_atr(&bytes).map(|card| card.kind), want, "{atr}");
        };
        check("3B 04 A2 13 10 91", Some(CardKind::Sle4442));
        check("3B 04 92 23 10 91", Some(CardKind::Sle4428));
        check("3B 69 00 00 01 02 03 04 05 06 07 08 09", Some(CardKind::Cpu));
        check("3B 81 80 01 80 80", Some(CardKind::Desfire));
        let mifare = "3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 00 6A";
        check(mifare, Some(CardKind::MifareClassic));
        check("3B 00", None);
        check("00 00 00", None);
        let tried: Vec<CardKind> = profile.to_probe(&[0x3B, 0]).map(|card| card.kind).collect();
        assert_eq!(tried, [CardKind::At88sc102, CardKind::At88sc1604, CardKind::At24c]);
    }

    #[test]
    fn a_profile_of_the_installation_comes_first() {
        let own = "name = 'acs'\nreaders = ['*']\nsource = 'ours'\n";
        let profiles = ReaderProfiles::with(vec![read(own).expect("a profile")]);
        assert_eq!(profiles.of("ACS ACR38U").cards.len(), 0);
        let names: Vec<&str> = profiles.0.iter().map(|profile| profile.name()).collect();
        assert_eq!(names, ["acs", "pc/sc"]);
    }

    #[test]
    fn a_bad_profile_says_what_is_bad() {
        let card = |card: &str| {
            read(&format!(
                "name = 'x'\nreaders = ['*']\nsource = 's'\n[[card]]\nevidence = 'assumed'\n{card}"
            ))
        };
        let memory =
            "atr = ['3B 01']\nread = 'FF B0 00 {at} 01'\nwrite = 'FF D0 00 {at} 01 {data}'\n";
        for (text, want) in [
            ("kind = 'sle4443'\natr = ['3B 01']".to_owned(), "there are cpu, sle4442"),
            ("kind = 'cpu'".to_owned(), "neither `atr` nor `probe`"),
            ("kind = 'cpu'\natr = ['3']".to_owned(), "`3` is neither two hexadecimal digits"),
            ("kind = 'at24c'\natr = ['3B 01']".to_owned(), "needs bytes, read and write"),
            (format!("kind = 'cpu'\nbytes = 1\n{memory}"), "no memory"),
            (format!("kind = 'at24c'\nbytes = 0\n{memory}"), "from 1 to"),
            (format!("kind = 'at24c'\nbytes = 9\npiece = 256\n{memory}"), "piece = 256"),
            (format!("kind = 'mifare-classic'\nbytes = 1024\n{memory}"), "has `sectors`"),
            (
                format!(
                    "kind = 'at24c'\nbytes = 9\n{memory}[[card.zone]]\nat = 9\nbytes = 1\nerase = 'FF'"
                ),
                "is not in it",
            ),
            (
                format!(
                    "kind = 'at24c'\nbytes = 9\n{memory}[[card.code]]\ncounter = 'FF B1 00 00'\n\
                     fresh = '00'\nverify = 'FF 20 00 00'"
                ),
                "fresh = \"00\"",
            ),
        ] {
            let error = card(&text).expect_err(&text);
            assert!(error.contains(want) && error.contains("profile x"), "{text}: {error}");
        }
    }
}
