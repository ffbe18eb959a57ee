//! A State-Grid-like user card with a processor (protocols.md 9.1): its files, mutual authentication,
//! and updates that need both the other side's proof and a MAC over a challenge used once.
//!
//! Invariant: nothing but a good EXTERNAL AUTHENTICATE in this session and a good MAC over the last
//! challenge changes a file, and a command is done whole or not at all.
//!
//! Chosen where the source is silent: see the README.

use std::collections::BTreeMap;

use super::apdu::{self, Command, Status, answer};
use super::keys::{CpuKeys, cipher, mac};
use super::{Acts, Contactless, Truth};

pub const PARAMETERS: u8 = 1;
pub const PURSE: u8 = 2;
pub const PRICES_1: u8 = 3;
pub const PRICES_2: u8 = 4;
pub const WRITTEN_BACK: u8 = 5;
/// The files of a blank card and their bytes.
const FILES: [(u8, usize); 5] =
    [(PARAMETERS, 45), (PURSE, 8), (PRICES_1, 198), (PRICES_2, 203), (WRITTEN_BACK, 49)];
const TRIES: u8 = 5;
const MAIN: [u8; 2] = [0x3F, 0x00];
const APPLICATION: [u8; 2] = [0xDF, 0x01];

/// One card.
#[derive(Debug, Clone)]
pub struct CpuCard {
    atr: Vec<u8>,
    serial: [u8; 8],
    keys: CpuKeys,
    files: BTreeMap<u8, Vec<u8>>,
    tries: u8,
    presented: u32,
    wrong: u32,
    challenges: u64,
    session: Session,
}

/// What a card forgets without power.
#[derive(Debug, Clone, Default)]
struct Session {
    in_application: bool,
    authenticated: bool,
    challenge: Option<Vec<u8>>,
    /// What GET RESPONSE fetches.
    waiting: Vec<u8>,
}

impl CpuCard {
    /// As an issuer makes it: its own keys in it, and nothing in its files.
    pub fn blank(serial: [u8; 8], issuer: &CpuKeys) -> Self {
        Self {
            atr: [&[0x3B, 0x69, 0x00, 0x00, 0x86][..], &serial].concat(),
            serial,
            keys: issuer.of_card(serial),
            files: FILES.into_iter().map(|(file, bytes)| (file, vec![0; bytes])).collect(),
            tries: TRIES,
            presented: 0,
            wrong: 0,
            challenges: 0,
            session: Session::default(),
        }
    }

    /// With this in a file, of whatever length.
    pub fn with_file(mut self, file: u8, bytes: &[u8]) -> Self {
        self.files.insert(file, bytes.to_vec());
        self
    }

    /// Another answer to reset, as another vendor's card has.
    pub fn with_atr(self, atr: &[u8]) -> Self {
        Self { atr: atr.to_vec(), ..self }
    }

    /// With so many tries of EXTERNAL AUTHENTICATE left.
    pub fn with_tries(self, left: u8) -> Self {
        Self { tries: left, ..self }
    }

    pub fn serial(&self) -> [u8; 8] {
        self.serial
    }

    /// What a file truly holds.
    pub fn file(&self, file: u8) -> Option<&[u8]> {
        self.files.get(&file).map(Vec::as_slice)
    }

    pub fn file_mut(&mut self, file: u8) -> Option<&mut Vec<u8>> {
        self.files.get_mut(&file)
    }

    /// What a command with data asks for waits for GET RESPONSE unless it said how much it takes.
    fn hand_out(&mut self, command: &Command<'_>, data: Vec<u8>) -> Vec<u8> {
        if data.is_empty() || command.data.is_empty() {
            return answer(&data, apdu::DONE);
        }
        let bytes = u8::try_from(data.len()).unwrap_or(0);
        match command.expected {
            Some(expected) if expected >= data.len() => answer(&data, apdu::DONE),
            Some(_) => answer(&[], [0x6C, bytes]),
            None => {
                self.session.waiting = data;
                answer(&[], [0x61, bytes])
            }
        }
    }

    fn done(&mut self, command: &Command<'_>, waiting: Vec<u8>) -> Result<Vec<u8>, Status> {
        match (command.class, command.instruction) {
            (0x00, 0xA4) => self.select(command),
            (0x00, 0xC0) => fetched(command, waiting),
            (0x00, 0x84) => self.challenge(command),
            (0x00, 0x88) => self.prove(command),
            (0x00, 0x82) => self.believe(command),
            (0x00, 0xB0) => self.read(command),
            (0x04, 0xB0) => self.read_with_mac(command),
            (0x04, 0xD6) => self.update(command),
            (0x84, 0x32) => self.add(command),
            (0x00, 0xD6) => Err(apdu::NOT_AUTHENTICATED),
            (0x00 | 0x04 | 0x84, _) => Err(apdu::UNKNOWN_INSTRUCTION),
            _ => Err(apdu::UNKNOWN_CLASS),
        }
    }

    fn select(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        if (command.p1, command.p2) != (0, 0) {
            return Err(apdu::WRONG_P1_P2);
        }
        let found: [u8; 2] = command.data.try_into().map_err(|_| apdu::NO_FILE)?;
        match found {
            MAIN => self.session = Session::default(),
            APPLICATION => self.session.in_application = true,
            _ => return Err(apdu::NO_FILE),
        }
        Ok(Vec::new())
    }

    /// Not to be guessed by a host, and the same in every run: the serial and a count under a key.
    fn challenge(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let Some(length @ (4 | 8)) = command.expected else { return Err(apdu::WRONG_LENGTH) };
        self.challenges += 1;
        let number = u64::from_be_bytes(self.serial) ^ self.challenges;
        let mut random = cipher(self.keys.internal, number.to_be_bytes()).to_vec();
        random.truncate(length);
        self.session.challenge = Some(random.clone());
        Ok(random)
    }

    fn prove(&self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        if (command.p1, command.p2) != (0, 1) {
            return Err(apdu::NO_KEY);
        }
        let random = command.data.try_into().map_err(|_| apdu::WRONG_LENGTH)?;
        Ok(cipher(self.keys.internal, random).to_vec())
    }

    fn believe(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        if (command.p1, command.p2) != (0, 2) {
            return Err(apdu::NO_KEY);
        }
        let presented: [u8; 8] = command.data.try_into().map_err(|_| apdu::WRONG_LENGTH)?;
        if self.tries == 0 {
            return Err(apdu::BLOCKED);
        }
        let challenge = self.session.challenge.take().ok_or(apdu::NO_CHALLENGE)?;
        let challenge = challenge.try_into().map_err(|_| apdu::NO_CHALLENGE)?;
        self.presented += 1;
        self.session.authenticated = cipher(self.keys.external, challenge) == presented;
        if self.session.authenticated {
            self.tries = TRIES;
            return Ok(Vec::new());
        }
        self.wrong += 1;
        self.tries -= 1;
        Err([0x63, 0xC0 | self.tries])
    }

    fn named(&self, command: &Command<'_>) -> Result<(u8, usize), Status> {
        if !self.session.in_application {
            return Err(apdu::NO_FILE);
        }
        if command.p1 & 0xE0 != 0x80 {
            return Err(apdu::NOT_ALLOWED);
        }
        Ok((command.p1 & 0x1F, usize::from(command.p2)))
    }

    /// Bytes of the named file from the named place; more than there are is answered with how many.
    fn part(&self, command: &Command<'_>, bytes: usize) -> Result<&[u8], Status> {
        let (file, at) = self.named(command)?;
        let file = self.files.get(&file).ok_or(apdu::NO_FILE)?;
        let rest = file.get(at..).filter(|rest| !rest.is_empty()).ok_or(apdu::OUTSIDE)?;
        rest.get(..bytes).ok_or_else(|| [0x6C, u8::try_from(rest.len()).unwrap_or(0)])
    }

    fn read(&self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let bytes = command.expected.ok_or(apdu::WRONG_LENGTH)?;
        Ok(self.part(command, bytes)?.to_vec())
    }

    /// Four random bytes and the head of the command in which the MAC can be used, whose Lc says how
    /// many bytes are read: they and four of MAC.
    fn read_with_mac(&self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let asked: [u8; 9] = command.data.try_into().map_err(|_| apdu::WRONG_LENGTH)?;
        let [r0, r1, r2, r3, class, instruction, p1, p2, all] = asked;
        let bytes = usize::from(all).checked_sub(4).filter(|bytes| *bytes > 0);
        let part = self.part(command, bytes.ok_or(apdu::WRONG_LENGTH)?)?;
        let head = [class, instruction, p1, p2];
        Ok([part, &mac(self.keys.mac, [r0, r1, r2, r3], head, part)].concat())
    }

    /// The data before its MAC, once the sender is known and the MAC right.
    fn sealed<'a>(&mut self, command: &Command<'a>) -> Result<&'a [u8], Status> {
        let (data, seal) = command.data.split_last_chunk::<4>().ok_or(apdu::WRONG_LENGTH)?;
        if !self.session.authenticated {
            return Err(apdu::NOT_AUTHENTICATED);
        }
        let challenge = self.session.challenge.take().ok_or(apdu::NO_CHALLENGE)?;
        let random = challenge.first_chunk::<4>().ok_or(apdu::NO_CHALLENGE)?;
        if mac(self.keys.mac, *random, command.header(), data) != *seal {
            return Err(apdu::WRONG_MAC);
        }
        Ok(data)
    }

    fn update(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let (file, at) = self.named(command)?;
        if !self.files.contains_key(&file) {
            return Err(apdu::NO_FILE);
        }
        let data = self.sealed(command)?;
        let file = self.files.get_mut(&file).ok_or(apdu::NO_FILE)?;
        let place = file.get_mut(at..).and_then(|rest| rest.get_mut(..data.len()));
        place.ok_or(apdu::NO_ROOM)?.copy_from_slice(data);
        Ok(Vec::new())
    }

    /// Amount and count, high byte first: the amount is added, and the count must be the next one.
    fn add(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        if (command.p1, command.p2) != (0x01, 0x0C) {
            return Err(apdu::WRONG_P1_P2);
        }
        if !self.session.in_application {
            return Err(apdu::NO_FILE);
        }
        let data = self.sealed(command)?;
        let (amount, count) = halves(data).ok_or(apdu::WRONG_LENGTH)?;
        let purse = self.files.get_mut(&PURSE).ok_or(apdu::NO_FILE)?;
        let (held, last) = halves(purse).ok_or(apdu::NO_FILE)?;
        let sum = held.checked_add(amount).ok_or(apdu::NO_ROOM)?;
        if last.checked_add(1) != Some(count) {
            return Err(apdu::NOT_ALLOWED);
        }
        *purse = [sum.to_be_bytes(), count.to_be_bytes()].concat();
        Ok(Vec::new())
    }
}

impl Acts for CpuCard {
    fn atr(&self) -> Vec<u8> {
        self.atr.clone()
    }

    fn power(&mut self) {
        self.session = Session::default();
    }

    fn serve(&mut self, command: &Command<'_>) -> Vec<u8> {
        let waiting = std::mem::take(&mut self.session.waiting);
        match self.done(command, waiting) {
            Ok(data) => self.hand_out(command, data),
            Err(status) => answer(&[], status),
        }
    }

    /// A card with contacts and antenna says the same historical bytes on both (ISO/IEC 14443-4, 5.2.7);
    /// the interface bytes are those of ACS's example (ACR122L Communication Protocol 1.03, page 41).
    fn contactless(&self) -> Option<Contactless> {
        let count = usize::from(self.atr.get(1)? & 0x0F);
        let historical = self.atr.get(self.atr.len().checked_sub(count)?..)?;
        let length = u8::try_from(5 + historical.len()).ok()?;
        let ats = [&[length, 0x77, 0xF7, 0x80, 0x02][..], historical].concat();
        let uid = self.serial[4..].to_vec();
        Some(Contactless { sens_res: [0x00, 0x08], sel_res: 0x20, uid, ats })
    }

    /// It takes all or nothing.
    fn tear(&mut self, _: &Command<'_>, _: usize) {}

    /// The memory is all files, one after the other.
    fn truth(&self) -> Truth {
        Truth {
            memory: self.files.values().flatten().copied().collect(),
            tries_left: Some(self.tries),
            presented: self.presented,
            wrong: self.wrong,
        }
    }
}

fn fetched(command: &Command<'_>, waiting: Vec<u8>) -> Result<Vec<u8>, Status> {
    let bytes = command.expected.ok_or(apdu::WRONG_LENGTH)?;
    if waiting.is_empty() {
        return Err(apdu::NOT_ALLOWED);
    }
    let rest = u8::try_from(waiting.len()).unwrap_or(0);
    waiting.get(..bytes).map(<[u8]>::to_vec).ok_or([0x6C, rest])
}

/// Two numbers of four bytes.
pub fn halves(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    let second = rest.try_into().ok()?;
    Some((u32::from_be_bytes(*first), u32::from_be_bytes(second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    const ISSUER: CpuKeys = CpuKeys { internal: [0x11; 16], external: [0x22; 16], mac: [0x33; 16] };

    fn ask(card: &mut CpuCard, text: &str, data: &[u8]) -> Vec<u8> {
        let bytes = [&hex::decode(text.replace(' ', "")).unwrap()[..], data].concat();
        card.serve(&Command::parse(&bytes).unwrap())
    }

    fn opened() -> CpuCard {
        let mut card = CpuCard::blank(SERIAL, &ISSUER);
        assert_eq!(card.atr()[5..13], SERIAL);
        assert_eq!(ask(&mut card, "00 B0 81 00 04", &[]), apdu::NO_FILE);
        assert_eq!(ask(&mut card, "00 A4 00 00 02 3F 00", &[]), apdu::DONE);
        assert_eq!(ask(&mut card, "00 A4 00 00 02 DF 02", &[]), apdu::NO_FILE);
        assert_eq!(ask(&mut card, "00 A4 00 00 02 DF 01", &[]), apdu::DONE);
        card
    }

    fn authenticate(card: &mut CpuCard, key: [u8; 16]) -> Vec<u8> {
        let challenge = ask(card, "00 84 00 00 08", &[]);
        let presented = cipher(key, challenge[..8].try_into().unwrap());
        ask(card, "00 82 00 02 08", &presented)
    }

    /// `04 D6` of one byte.
    fn update(card: &mut CpuCard, key: [u8; 16], head: [u8; 4], data: &[u8]) -> Vec<u8> {
        let challenge = ask(card, "00 84 00 00 04", &[]);
        let seal = mac(key, challenge[..4].try_into().unwrap(), head, data);
        let length = u8::try_from(data.len() + 4).unwrap();
        let bytes = [&head[..], &[length], data, &seal].concat();
        card.serve(&Command::parse(&bytes).unwrap())
    }

    #[test]
    fn a_file_changes_only_after_proof_and_under_a_mac_over_a_fresh_challenge() {
        let mut card = opened();
        let own = ISSUER.of_card(SERIAL);
        let head = [0x04, 0xD6, 0x82, 0x00];
        let purse = [0, 0, 0, 100, 0, 0, 0, 1];
        assert_eq!(update(&mut card, own.mac, head, &purse), apdu::NOT_AUTHENTICATED);
        assert_eq!(authenticate(&mut card, own.external), apdu::DONE);
        assert_eq!(update(&mut card, [0; 16], head, &purse), apdu::WRONG_MAC);
        assert_eq!(card.file(PURSE), Some(&[0; 8][..]));
        assert_eq!(update(&mut card, own.mac, head, &purse), apdu::DONE);
        assert_eq!(card.file(PURSE), Some(&purse[..]));

        // The same bytes again: their challenge is spent.
        let challenge = ask(&mut card, "00 84 00 00 04", &[]);
        let seal = mac(own.mac, challenge[..4].try_into().unwrap(), head, &[9]);
        let bytes = [&head[..], &[5, 9], &seal].concat();
        assert_eq!(card.serve(&Command::parse(&bytes).unwrap()), apdu::DONE);
        assert_eq!(card.serve(&Command::parse(&bytes).unwrap()), apdu::NO_CHALLENGE);
        assert_eq!(update(&mut card, own.mac, [4, 0xD6, 0x82, 7], &[1, 2]), apdu::NO_ROOM);
        assert_eq!(ask(&mut card, "00 D6 82 00 01 07", &[]), apdu::NOT_AUTHENTICATED);

        card.power();
        ask(&mut card, "00 A4 00 00 02 DF 01", &[]);
        assert_eq!(update(&mut card, own.mac, head, &purse), apdu::NOT_AUTHENTICATED);
    }

    #[test]
    fn a_purchase_is_added_only_under_the_next_count() {
        let mut card = opened();
        let own = ISSUER.of_card(SERIAL);
        authenticate(&mut card, own.external);
        let head = [0x84, 0x32, 0x01, 0x0C];
        let (first, again) = ([0, 0, 1, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0, 2]);
        assert_eq!(update(&mut card, own.mac, head, &again), apdu::NOT_ALLOWED);
        assert_eq!(update(&mut card, own.mac, head, &first), apdu::DONE);
        assert_eq!(update(&mut card, own.mac, head, &first), apdu::NOT_ALLOWED);
        assert_eq!(update(&mut card, own.mac, head, &again), apdu::DONE);
        assert_eq!(card.file(PURSE), Some(&[0, 0, 2, 0, 0, 0, 0, 2][..]));
    }

    #[test]
    fn the_card_proves_itself_and_wrong_proof_of_others_blocks_it_for_ever() {
        let mut card = opened();
        let own = ISSUER.of_card(SERIAL);
        let random = [7; 8];
        assert_eq!(ask(&mut card, "00 88 00 01 08", &random), [0x61, 8]);
        let proof = ask(&mut card, "00 C0 00 00 08", &[]);
        assert_eq!(proof, answer(&cipher(own.internal, random), apdu::DONE));
        assert_eq!(ask(&mut card, "00 C0 00 00 08", &[]), apdu::NOT_ALLOWED);

        assert_eq!(authenticate(&mut card, [0; 16]), [0x63, 0xC4]);
        assert_eq!(authenticate(&mut card, own.external), apdu::DONE);
        for left in [0xC4, 0xC3, 0xC2, 0xC1, 0xC0] {
            assert_eq!(authenticate(&mut card, own.mac), [0x63, left]);
        }
        assert_eq!(authenticate(&mut card, own.external), apdu::BLOCKED);
        assert_eq!((card.truth().tries_left, card.truth().wrong), (Some(0), 6));
    }

    #[test]
    fn a_read_under_a_mac_can_be_used_in_the_command_it_was_made_for() {
        let mut card = opened().with_file(PURSE, &[0, 0, 0, 5, 0, 0, 0, 3]);
        let own = ISSUER.of_card(SERIAL);
        let asked = [9, 9, 9, 9, 0x84, 0x32, 0x01, 0x0C, 0x0C];
        assert_eq!(ask(&mut card, "04 B0 82 00 09", &asked), [0x61, 12]);
        let read = ask(&mut card, "00 C0 00 00 0C", &[]);
        let seal = mac(own.mac, [9; 4], [0x84, 0x32, 0x01, 0x0C], &read[..8]);
        assert_eq!(read[..8], [0, 0, 0, 5, 0, 0, 0, 3]);
        assert_eq!(read[8..], [&seal[..], &apdu::DONE].concat());
        assert_eq!(ask(&mut card, "00 B0 82 00 0C", &[]), [0x6C, 8]);
        assert_eq!(ask(&mut card, "00 B0 82 08 01", &[]), apdu::OUTSIDE);
        assert_eq!(ask(&mut card, "00 B0 86 00 01", &[]), apdu::NO_FILE);
    }
}
