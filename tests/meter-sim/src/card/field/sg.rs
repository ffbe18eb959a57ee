//! A State-Grid-like card meter, written from the decision table of protocols.md 9.1.
//!
//! Chosen where that is silent: a count behind the meter's is error 17, and nothing is written back; an
//! opening card that comes again is taken as the customer's card; the preset card clears a meter
//! that has no customer, and brings its amount and count.

use super::{CardError, Purse, Shown, Stage};
use crate::card::Card;
use crate::card::cpu::{PARAMETERS, PRICES_1, PRICES_2, PURSE, WRITTEN_BACK, halves};
use crate::card::keys::{CpuKeys, cipher, mac};
use crate::card::sg::{self, SgParameters, SgWrittenBack, is_empty};

const PARAMETER_BYTES: u8 = 45;
const PRICE_BYTES: [u8; 2] = [198, 203];
const WRITE_BACK_BYTES: u8 = 49;
/// 32 prices; the ladder follows them.
const LADDER: usize = 132;

/// One meter.
#[derive(Debug, Clone)]
pub struct SgMeter {
    /// BCD.
    number: [u8; 6],
    issuer: CpuKeys,
    randoms: u64,
    pub purse: Purse,
    pub alarms_fen: [u32; 2],
    /// Of current and voltage.
    pub ratios: [u32; 2],
    /// In use and to come: prices, and ladders with what follows them.
    pub prices: [Vec<u8>; 2],
    pub ladders: [Vec<u8>; 2],
}

/// A card that has proved itself and let the meter in.
struct Session<'a> {
    card: &'a Card,
    keys: CpuKeys,
    serial: [u8; 8],
}

impl SgMeter {
    /// As it leaves the maker, with the issuer's keys in its security module.
    pub fn new(number: [u8; 6], issuer: CpuKeys) -> Self {
        Self {
            number,
            issuer,
            randoms: 0,
            purse: Purse::new(),
            alarms_fen: [0; 2],
            ratios: [1; 2],
            prices: [Vec::new(), Vec::new()],
            ladders: [Vec::new(), Vec::new()],
        }
    }

    /// A card is put in, and taken out when the display has settled.
    pub fn insert(&mut self, card: &Card) -> Shown {
        card.power_on();
        let result = self.take(card);
        card.power_off();
        self.purse.shown(result)
    }

    fn take(&mut self, card: &Card) -> Result<Shown, CardError> {
        self.purse.healthy()?;
        let atr = card.atr();
        if !atr.starts_with(&[0x3B, 0x69]) {
            return Err(CardError::NoAnswer);
        }
        let serial: [u8; 8] =
            atr.get(5..13).and_then(|serial| serial.try_into().ok()).ok_or(CardError::NoAnswer)?;
        for directory in [[0x3F, 0x00], [0xDF, 0x01]] {
            let select = [&[0x00, 0xA4, 0x00, 0x00, 0x02], &directory[..]].concat();
            done(card, &select, CardError::Type)?;
        }
        let read = [0x00, 0xB0, 0x80 | PARAMETERS, 0x00, PARAMETER_BYTES];
        let file = done(card, &read, CardError::Format)?;
        let parameters = SgParameters::read(&file).ok_or(CardError::Format)?;
        let session = Session { card, keys: self.issuer.of_card(serial), serial };
        self.authenticate(&session)?;
        if parameters.command == sg::PRESET {
            return self.preset(&session, &parameters);
        }
        if parameters.meter != self.number {
            return Err(CardError::Device);
        }
        self.user(&session, &parameters)
    }

    fn random(&mut self) -> [u8; 8] {
        self.randoms += 1;
        cipher(self.issuer.internal, self.randoms.to_be_bytes())
    }

    /// The card proves itself first, then the meter.
    fn authenticate(&mut self, session: &Session<'_>) -> Result<(), CardError> {
        let random = self.random();
        let ask = [&[0x00, 0x88, 0x00, 0x01, 0x08], &random[..]].concat();
        let proof = done(session.card, &ask, CardError::KeyState)?;
        if proof != cipher(session.keys.internal, random) {
            return Err(CardError::Authentication);
        }
        let challenge =
            done(session.card, &[0x00, 0x84, 0x00, 0x00, 0x08], CardError::Communication)?;
        let challenge = challenge.try_into().map_err(|_| CardError::Communication)?;
        let proof = cipher(session.keys.external, challenge);
        let present = [&[0x00, 0x82, 0x00, 0x02, 0x08], &proof[..]].concat();
        done(session.card, &present, CardError::Authentication).map(|_| ())
    }

    /// A file's bytes from its beginning, under the MAC of the command `head`.
    fn read(
        &mut self,
        session: &Session<'_>,
        file: u8,
        bytes: u8,
        head: [u8; 4],
    ) -> Result<Vec<u8>, CardError> {
        let [r0, r1, r2, r3, ..] = self.random();
        let all = bytes.checked_add(4).ok_or(CardError::Format)?;
        let ask = [&[0x04, 0xB0, 0x80 | file, 0x00, 9, r0, r1, r2, r3], &head[..], &[all]].concat();
        let answer = done(session.card, &ask, CardError::Format)?;
        let (data, seal) = answer.split_last_chunk::<4>().ok_or(CardError::Mac)?;
        let own = mac(session.keys.mac, [r0, r1, r2, r3], head, data);
        if own == *seal { Ok(data.to_vec()) } else { Err(CardError::Mac) }
    }

    fn read_file(
        &mut self,
        session: &Session<'_>,
        file: u8,
        bytes: u8,
    ) -> Result<Vec<u8>, CardError> {
        self.read(session, file, bytes, [0x04, 0xD6, 0x80 | file, 0x00])
    }

    fn preset(
        &mut self,
        session: &Session<'_>,
        parameters: &SgParameters,
    ) -> Result<Shown, CardError> {
        if self.purse.stage == Stage::Opened {
            return Err(CardError::NotCleared);
        }
        let file = self.read_file(session, WRITTEN_BACK, 8)?;
        let (amount_fen, count) = halves(&file).ok_or(CardError::Format)?;
        self.update(session, parameters, u8::MAX)?;
        self.purse.clear();
        (self.purse.money_fen, self.purse.count) = (i64::from(amount_fen), count);
        Ok(Shown::Set)
    }

    fn user(&mut self, session: &Session<'_>, card: &SgParameters) -> Result<Shown, CardError> {
        self.admitted(session, card)?;
        let add = [0x84, 0x32, 0x01, 0x0C];
        let file = self.read(session, PURSE, 8, add)?;
        let (amount_fen, count) = halves(&file).ok_or(CardError::Format)?;
        let read = [0x00, 0xB0, 0x80 | WRITTEN_BACK, 0x00, WRITE_BACK_BYTES];
        let is_fresh = is_empty(&done(session.card, &read, CardError::Format)?);

        if self.purse.stage == Stage::Cleared {
            return self.open(session, card, (amount_fen, count), is_fresh);
        }
        // What a buying and a replacing card may change is the set to come alone.
        let allowed = match card.act {
            sg::OPENS => u8::MAX,
            _ => sg::PRICES_TO_COME | sg::LADDER_TO_COME,
        };
        let ahead = count.checked_sub(self.purse.count);
        match ahead {
            None => Err(CardError::Count),
            Some(0) => {
                if is_fresh {
                    self.update(session, card, allowed)?;
                }
                self.purse.card = Some(session.serial);
                self.write_back(session)?;
                Ok(Shown::Known)
            }
            Some(1) if !is_fresh => Err(CardError::WrittenBackAlready),
            Some(1) => {
                self.purse.fits(amount_fen)?;
                self.update(session, card, allowed)?;
                self.purse.card = Some(session.serial);
                self.purse.credit(amount_fen, count);
                self.write_back(session)?;
                Ok(Shown::Credited { amount_fen })
            }
            Some(_) => {
                self.write_back(session)?;
                Err(CardError::Count)
            }
        }
    }

    /// Type, customer and serial against what the meter knows.
    fn admitted(&self, session: &Session<'_>, card: &SgParameters) -> Result<(), CardError> {
        let purse = &self.purse;
        let is_known = purse.customer == Some(card.customer);
        let is_its_card = purse.card == Some(session.serial);
        match (card.act, purse.stage) {
            (sg::OPENS, Stage::Cleared) => Ok(()),
            (sg::OPENS, Stage::Opened) if is_known && is_its_card => Ok(()),
            (sg::OPENS, _) => Err(CardError::NotCleared),
            (sg::BUYS | sg::REPLACES | sg::RECLOSES, Stage::Opened) => {
                if !is_known {
                    return Err(CardError::Customer);
                }
                let may = is_its_card || card.act == sg::REPLACES;
                may.then_some(()).ok_or(CardError::Serial)
            }
            (sg::BUYS | sg::REPLACES | sg::RECLOSES, _) => Err(CardError::NotOpened),
            _ => Err(CardError::Type),
        }
    }

    fn open(
        &mut self,
        session: &Session<'_>,
        card: &SgParameters,
        (amount_fen, count): (u32, u32),
        is_fresh: bool,
    ) -> Result<Shown, CardError> {
        if count > 1 || (count == 0 && amount_fen > 0) {
            return Err(CardError::Count);
        }
        if !is_fresh {
            return Err(CardError::WrittenBackAlready);
        }
        self.purse.fits(amount_fen)?;
        self.update(session, card, u8::MAX)?;
        self.purse.stage = Stage::Opened;
        (self.purse.customer, self.purse.card) = (Some(card.customer), Some(session.serial));
        self.purse.credit(amount_fen, count);
        self.write_back(session)?;
        Ok(Shown::Credited { amount_fen })
    }

    /// Takes over what the card says is new and what it may change.
    fn update(
        &mut self,
        session: &Session<'_>,
        card: &SgParameters,
        allowed: u8,
    ) -> Result<(), CardError> {
        let updates = card.updates & allowed;
        let sets = [
            (PRICES_1, 0, sg::PRICES_IN_USE, sg::LADDER_IN_USE),
            (PRICES_2, 1, sg::PRICES_TO_COME, sg::LADDER_TO_COME),
        ];
        // All is read before anything is taken.
        let mut read = Vec::new();
        for (file, set, prices, ladder) in sets {
            if updates & (prices | ladder) != 0 {
                let bytes = self.read_file(session, file, PRICE_BYTES[set])?;
                sg::unwrapped(&bytes).ok_or(CardError::Format)?;
                read.push((set, prices, ladder, bytes));
            }
        }
        for (set, prices, ladder, bytes) in read {
            if updates & prices != 0 {
                self.prices[set] = bytes[4..LADDER].to_vec();
            }
            if updates & ladder != 0 {
                self.ladders[set] = bytes[LADDER..bytes.len() - 2].to_vec();
            }
        }
        if updates & sg::ALL_PARAMETERS != 0 {
            self.alarms_fen = card.alarms_fen;
            self.purse.alarm_fen = card.alarms_fen[0];
            self.ratios = [card.current_ratio, card.voltage_ratio];
        }
        Ok(())
    }

    fn write_back(&self, session: &Session<'_>) -> Result<(), CardError> {
        let purse = &self.purse;
        let file = SgWrittenBack {
            current_ratio: self.ratios[0],
            voltage_ratio: self.ratios[1],
            meter: self.number,
            customer: purse.customer.unwrap_or_default(),
            balance_fen: purse.balance_fen(),
            count: purse.count,
            overdrawn_fen: purse.overdrawn_fen(),
            wrong_cards: purse.wrong_cards,
            at: purse.time(),
        }
        .file();
        let card = session.card;
        let challenge = done(card, &[0x00, 0x84, 0x00, 0x00, 0x04], CardError::Communication)?;
        let challenge = challenge.try_into().map_err(|_| CardError::Communication)?;
        let head = [0x04, 0xD6, 0x80 | WRITTEN_BACK, 0x00];
        let seal = mac(session.keys.mac, challenge, head, &file);
        let write = [&head[..], &[WRITE_BACK_BYTES + 4], &file, &seal].concat();
        done(card, &write, CardError::Communication).map(|_| ())
    }
}

/// What comes back before 9000; 61xx and 6Cxx are followed once. Any other status is `or`.
fn done(card: &Card, command: &[u8], or: CardError) -> Result<Vec<u8>, CardError> {
    let transmit = |command: &[u8]| card.transmit(command).map_err(|_| CardError::PulledEarly);
    let mut answer = transmit(command)?;
    match answer[..] {
        [0x61, bytes] => answer = transmit(&[0x00, 0xC0, 0x00, 0x00, bytes])?,
        [0x6C, bytes] => {
            let head = command.get(..4).unwrap_or_default();
            answer = transmit(&[head, &[bytes]].concat())?;
        }
        _ => {}
    }
    let status = answer.split_off(answer.len().saturating_sub(2));
    if status == [0x90, 0x00] { Ok(answer) } else { Err(or) }
}
