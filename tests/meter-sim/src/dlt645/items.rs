//! Data identifiers: what C=11H reads and C=14H writes (protocols.md 1.3). An item that a
//! single-phase meter of this kind does not have is "no such data", not zero.

use super::frame::{bcd, digits, from_bcd, reversed};
use super::meter::Meter;
use super::relay::moment;
use crate::device::Purchase;
use crate::plan::PurseKind;

/// No current, no voltage there: phases B and C of a single-phase meter.
const NOT_MEASURED: u8 = 0xFF;
/// Kinds of purchase record: date-time, count, amount, before, after, cumulative.
const PURCHASE_KINDS: std::ops::RangeInclusive<u8> = 1..=6;
/// Line frequency, 0.01 Hz.
const FREQUENCY_CENTIHERTZ: u64 = 5_000;

/// 5(60) A at 220 V.
const WATTS_RATED: u32 = 13_200;
/// Bit of status words 4 to 6 (DL/T 645-2007, C.2).
const OVERLOAD: u32 = 5;

impl Meter {
    /// What a read asks for: an item, or so many load records from a minute on.
    pub(super) fn asked_for(&self, identifier: [u8; 4], rest: &[u8]) -> Option<Vec<u8>> {
        let past = || self.past(u32::from_le_bytes(identifier));
        match (identifier, rest) {
            ([0x01, 0x00, 0x00, 0x06], rest) => self.load_records(rest),
            ([0x02, 0x0A, 0x00, 0x04], []) => Some(bcd(15, 2)),
            (_, []) => self.item(identifier).or_else(past),
            _ => None,
        }
    }

    /// An item's bytes, low byte first; none: no such data.
    pub(super) fn item(&self, identifier: [u8; 4]) -> Option<Vec<u8>> {
        // On the wire the lowest byte comes first.
        let [d0, d1, d2, d3] = identifier;
        let (left, records) = match self.plan().purse {
            PurseKind::Energy => (0x01, 0x32),
            PurseKind::Money => (0x02, 0x33),
        };
        let knows_prices = self.plan().purse == PurseKind::Money;
        match [d3, d2, d1, d0] {
            [0x00, 0x90, kind, 0x00] if kind == left => Some(money(self.purse.money_fen)),
            [0x00, 0x90, kind, 0x01] if kind == left => Some(money(self.purse.overdraft_fen)),
            [0x00, kind @ 0x00..=0x02, tariff, 0x00] => self.energy(kind, tariff),
            [0x02, 0x80, 0x00, item] => self.instant(item),
            [0x02, kind @ 0x01..=0x06, phase, 0x00] => self.electrical(kind, phase),
            [0x03, block, 0x02, 0x00] if block == records => {
                Some(bcd(u64::from(self.purse.count), 2))
            }
            [0x03, block, kind, record] if block == records => self.purchases(kind, record),
            [0x04, 0x00, group, item] => self.parameter(group, item),
            [0x04, 0x05, set @ 0x01..=0x02, item] if knows_prices => self.prices(set, item),
            _ => None,
        }
    }

    /// Forward energy, also as the combined one; a load never gives back, so reverse energy is
    /// zero.
    fn energy(&self, kind: u8, tariff: u8) -> Option<Vec<u8>> {
        let factor = u64::from(kind != 2);
        let [sharp, peak, flat, valley] = self.energies.map(|energy| energy * factor);
        let all = [sharp + peak + flat + valley, sharp, peak, flat, valley];
        if tariff == 0xFF {
            return Some(all.into_iter().flat_map(|energy| bcd(energy, 4)).collect());
        }
        all.get(usize::from(tariff)).map(|&energy| bcd(energy, 4))
    }

    fn electrical(&self, kind: u8, phase: u8) -> Option<Vec<u8>> {
        let volts = u64::from(self.plan().voltage_decivolts);
        let watts = if self.relay.open.is_some() { 0 } else { u64::from(self.load.watts) };
        let (value, bytes) = match kind {
            0x01 => (volts, 2),
            // W / (0.1 V) in mA.
            0x02 => ((watts * 10_000).checked_div(volts).unwrap_or(0), 3),
            // 0.1 W; a purely real load.
            0x03 | 0x05 => (watts * 10, 3),
            0x04 => (0, 3),
            _ => (1_000, 2),
        };
        let value = bcd(value, bytes);
        let absent = vec![NOT_MEASURED; bytes];
        // Volts and amps know phases 1 to 3, the others a total 0 as well.
        let mut all = vec![value.clone(), absent.clone(), absent];
        let first = if kind > 2 {
            all.insert(0, value);
            0
        } else {
            1
        };
        if phase == 0xFF {
            return Some(all.concat());
        }
        all.get(usize::from(phase.checked_sub(first)?)).cloned()
    }

    fn instant(&self, item: u8) -> Option<Vec<u8>> {
        match item {
            0x01 => Some(bcd(0, 3)),
            0x02 => Some(bcd(FREQUENCY_CENTIHERTZ, 2)),
            0x20 if self.plan().purse == PurseKind::Money => Some(price(self.price_now_fen())),
            0x22 => Some(bcd(self.authenticated_minutes(), 2)),
            0x23 => Some(bcd(0, 2)),
            _ => None,
        }
    }

    fn purchases(&self, kind: u8, record: u8) -> Option<Vec<u8>> {
        let purchases = &self.purse.purchases;
        let at = |record: u8| purchases.get(usize::from(record.checked_sub(1)?));
        match (kind, record) {
            // All that is known of one purchase, and one kind of all purchases.
            (0xFF, record) => {
                let purchase = at(record)?;
                Some(
                    PURCHASE_KINDS
                        .filter_map(|kind| purchase_item(purchase, kind))
                        .collect::<Vec<_>>()
                        .concat(),
                )
            }
            (kind, 0xFF) if !purchases.is_empty() => purchases
                .iter()
                .map(|purchase| purchase_item(purchase, kind))
                .collect::<Option<Vec<_>>>()
                .map(|all| all.concat()),
            (kind, record) => purchase_item(at(record)?, kind),
        }
    }

    fn parameter(&self, group: u8, item: u8) -> Option<Vec<u8>> {
        let plan = self.plan();
        let (group, item) = limit_of_money(plan.purse, group, item)?;
        Some(match (group, item) {
            (0x01, 0x01) => self.date(),
            (0x01, 0x02) => self.time(),
            (0x01, 0x0C) => [self.time(), self.date()].concat(),
            (0x02, 0x07) => vec![0],
            (0x03, 0x06 | 0x07) => bcd(1, 3),
            (0x04, 0x01) => self.address().to_vec(),
            (0x04, 0x02) => reversed(self.number()).to_vec(),
            (0x04, 0x0B) => text(b"PMSIM645  "),
            (0x04, 0x0D) => text(b"DLT645-2007-V1.0"),
            (0x04, 0x0E) => reversed(self.purse.customer.unwrap_or_default()).to_vec(),
            (0x05, word @ 1..=7) => self.status(word).to_le_bytes().to_vec(),
            (0x05, 0xFF) => (1..=7).flat_map(|word| self.status(word).to_le_bytes()).collect(),
            (0x10, 0x01) => money(plan.alarm_1_fen),
            (0x10, 0x02) => money(plan.alarm_2_fen),
            (0x10, 0x03) => money(plan.overdraft_limit_fen),
            (0x10, 0x04) => money(plan.hoarding_limit_fen),
            (0x10, 0x05) => money(plan.close_minimum_fen),
            (0x14, 0x01) => bcd(u64::from(plan.trip_delay_minutes), 2),
            _ => return None,
        })
    }

    fn prices(&self, _set: u8, item: u8) -> Option<Vec<u8>> {
        let prices = self.plan().prices_fen;
        if item == 0xFF {
            return Some(prices.into_iter().flat_map(price).collect());
        }
        prices.get(usize::from(item.checked_sub(1)?)).map(|&fen| price(fen))
    }

    pub(super) fn time(&self) -> Vec<u8> {
        let clock = self.clock();
        [clock.second(), clock.minute(), clock.hour()].into_iter().flat_map(pair).collect()
    }

    pub(super) fn date(&self) -> Vec<u8> {
        let clock = self.clock();
        let weekday = clock.weekday().to_sunday_zero_offset();
        let year = i8::try_from(clock.year().rem_euclid(100)).unwrap_or(0);
        [weekday, clock.day(), clock.month(), year].into_iter().flat_map(pair).collect()
    }

    /// Status words 1 to 7: in 3 purse and relay, in 4 what is wrong with phase A.
    pub(super) fn status(&self, word: u8) -> u16 {
        if word == 4 {
            return u16::from(self.load.watts > WATTS_RATED) << OVERLOAD;
        }
        if word != 3 {
            return 0;
        }
        let unopened = self.purse.customer.is_none();
        let alarm = self.relay.alarm || self.purse.money_fen <= self.plan().alarm_1_fen;
        let trip_ahead = alarm && self.relay.open.is_none();
        [
            (4, self.relay.open.is_some()),
            (6, self.relay.command_open),
            (7, trip_ahead),
            // 10 in bits 9 and 8: a money purse; 01: one of energy.
            (8, self.plan().purse == PurseKind::Energy),
            (9, self.plan().purse == PurseKind::Money),
            (12, self.relay.keep),
            (13, self.authenticated_minutes() > 0),
            (14, unopened),
            (15, unopened),
        ]
        .into_iter()
        .fold(0, |status, (bit, set)| status | u16::from(set) << bit)
    }

    /// C=14H with PA 04: the clock, sums of money and the trip delay. The error byte, if refused.
    pub(super) fn write(&mut self, data: &[u8]) -> Result<(), u8> {
        let (Some((identifier, rest)), Some(value)) =
            (data.split_first_chunk::<4>(), data.get(12..))
        else {
            return Err(0x01);
        };
        if !self.permits(rest, 0x04) {
            return Err(0x04);
        }
        let [d0, d1, d2, d3] = *identifier;
        if [d3, d2, d1] == [0x04, 0x00, 0x01] {
            return self.write_clock(d0, value);
        }
        let length = if [d3, d2, d1] == [0x04, 0x00, 0x14] { 2 } else { 4 };
        let (d1, d0) = limit_of_money(self.plan().purse, d1, d0).ok_or(0x02)?;
        let number = from_bcd(value).and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|_| value.len() == length);
        let plan = self.plan_mut();
        let setting = match [d3, d2, d1, d0] {
            [0x04, 0x00, 0x10, 0x01] => &mut plan.alarm_1_fen,
            [0x04, 0x00, 0x10, 0x02] => &mut plan.alarm_2_fen,
            [0x04, 0x00, 0x10, 0x03] => &mut plan.overdraft_limit_fen,
            [0x04, 0x00, 0x10, 0x04] => &mut plan.hoarding_limit_fen,
            [0x04, 0x00, 0x10, 0x05] => &mut plan.close_minimum_fen,
            [0x04, 0x00, 0x14, 0x01] => &mut plan.trip_delay_minutes,
            _ => return Err(0x02),
        };
        *setting = number.ok_or(0x01)?;
        Ok(())
    }

    /// Date and time of day apart, or both in one item: pairs of digits, the day of the week too.
    fn write_clock(&mut self, item: u8, value: &[u8]) -> Result<(), u8> {
        let week = |day: u8| if day <= 6 { Ok(()) } else { Err(0x01) };
        let date_and_time = match (item, value) {
            (0x01, &[ww, dd, mm, yy]) => {
                week(ww)?;
                [self.time(), vec![dd, mm, yy]].concat()
            }
            (0x02, &[ss, mm, hh]) => {
                let date = self.date().split_off(1);
                [vec![ss, mm, hh], date].concat()
            }
            (0x0C, &[ss, mm, hh, ww, dd, mo, yy]) => {
                week(ww)?;
                vec![ss, mm, hh, dd, mo, yy]
            }
            (0x01 | 0x02 | 0x0C, _) => return Err(0x01),
            _ => return Err(0x02),
        };
        let to = <[u8; 6]>::try_from(date_and_time).ok().and_then(moment).ok_or(0x01)?;
        self.set_clock(to);
        Ok(())
    }

    /// C=1AH: money, energy and account are gone; a relay opens for lack of money only later.
    pub(super) fn clear(&mut self, data: &[u8]) -> Result<(), u8> {
        if data.len() != 8 || !self.permits(data, 0x02) {
            return Err(0x04);
        }
        self.purse.clear();
        self.energies = [0; 4];
        Ok(())
    }
}

/// Limits of a purse of energy stand in 04000Fnn, in an order of their own; as those of money in
/// 040010nn. `None`: a meter of this kind has no such item.
fn limit_of_money(purse: PurseKind, group: u8, item: u8) -> Option<(u8, u8)> {
    match (purse, group, item) {
        (PurseKind::Energy, 0x0F, 0x01 | 0x02) => Some((0x10, item)),
        (PurseKind::Energy, 0x0F, 0x03) => Some((0x10, 0x04)),
        (PurseKind::Energy, 0x0F, 0x04) => Some((0x10, 0x03)),
        (PurseKind::Energy, 0x0F | 0x10, _) | (PurseKind::Money, 0x0F, _) => None,
        _ => Some((group, item)),
    }
}

fn purchase_item(purchase: &Purchase, kind: u8) -> Option<Vec<u8>> {
    let at = purchase.at;
    let fen = |value: i64| bcd(u64::try_from(value).unwrap_or(0), 4);
    Some(match kind {
        1 => {
            let year = i8::try_from(at.year().rem_euclid(100)).unwrap_or(0);
            [at.minute(), at.hour(), at.day(), at.month(), year]
                .into_iter()
                .flat_map(pair)
                .collect()
        }
        2 => bcd(u64::from(purchase.count), 2),
        3 => bcd(u64::from(purchase.amount_fen), 4),
        4 => fen(purchase.before_fen),
        5 => fen(purchase.after_fen),
        6 => bcd(purchase.cumulative_fen, 4),
        _ => return None,
    })
}

/// XXXXXX.XX yuan.
fn money(fen: u32) -> Vec<u8> {
    bcd(u64::from(fen), 4)
}

/// XXXX.XXXX yuan per kWh.
fn price(fen: u32) -> Vec<u8> {
    bcd(u64::from(fen) * 100, 4)
}

fn pair(value: i8) -> Vec<u8> {
    bcd(u64::from(value.unsigned_abs()), 1)
}

/// ASCII is sent low byte first like all else.
fn text(written: &[u8]) -> Vec<u8> {
    written.iter().rev().copied().collect()
}

/// Digits of a plan's field, or what is wrong with them.
pub(super) fn plan_digits<const N: usize>(field: &str, text: &str) -> Result<[u8; N], String> {
    digits(text).ok_or_else(|| format!("{field} \"{text}\" is not {} decimal digits", 2 * N))
}
