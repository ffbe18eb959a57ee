//! One user of an Acrel ADF400L box on Modbus RTU, written from `protocols.md` 3.3. The manual does
//! not give the write sequences; what is simulated where it is silent was chosen, not known: one
//! write of three registers at 050DH is a sale, and a repeated count is acknowledged and ignored.

use std::collections::VecDeque;

use jiff::civil::DateTime;

use crate::device::{Answer, Counters, Credit, Purchase, Scan, State};
use crate::fault::Kind;
use crate::load::{Load, later, step};
use crate::plan::Adf400lPlan;

const PURCHASES_MAX: usize = 20;
const LIST: u16 = 0x1B00;
/// Registers of one record of 20 bytes.
const RECORD_REGISTERS: u16 = 10;
/// Where the three-phase copies lie behind the single-phase registers.
const STATE_SHIFT: u16 = 0x0058;
const PREPAID_SHIFT: u16 = 0x0035;
const BALANCE_FEN_MAX: i64 = 99_999_999;
/// Prices, alarms: 0501H to 050CH; then the new purchase: amount u32, count u16.
const SETTINGS: std::ops::Range<u16> = 0x0501..0x050D;
const NEW_PURCHASE: u16 = 0x050D;
const PREPAID_MODE: u16 = 0x0908;

/// A Modbus exception code.
type Exception = u8;
const ILLEGAL_FUNCTION: Exception = 1;
const ILLEGAL_ADDRESS: Exception = 2;
const ILLEGAL_VALUE: Exception = 3;

/// The first frame in the buffer whose check is right, whatever noise or torn frame is before it.
pub fn scan(buffer: &[u8]) -> Scan {
    for start in 0..buffer.len() {
        let rest = buffer.get(start..).unwrap_or_default();
        let end = match (rest.get(1), rest.get(6)) {
            (Some(0x01..=0x06), _) => 8,
            (Some(0x0F | 0x10), Some(&bytes)) => 9 + usize::from(bytes),
            // Of other functions no length is known: all that has come.
            (Some(0x00 | 0x07..=0x0E | 0x11..), _) if start == 0 => rest.len().max(4),
            _ => continue,
        };
        if rest.get(..end).is_some_and(checked) {
            return Scan::Frame { start, end: start + end };
        }
    }
    // A gap ends what never becomes a frame.
    Scan::NeedMore
}

fn checked(frame: &[u8]) -> bool {
    frame.split_last_chunk::<2>().is_some_and(|(body, check)| crc(body).to_le_bytes() == *check)
}

/// CRC-16/MODBUS.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(
            crc ^ u16::from(byte),
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 }
            },
        )
    })
}

/// Puts the check of a frame right whose last two bytes are for it.
pub fn seal(frame: &mut [u8]) {
    if let Some((body, check)) = frame.split_last_chunk_mut::<2>() {
        *check = crc(body).to_le_bytes();
    }
}

#[derive(Debug)]
pub struct User {
    plan: Adf400lPlan,
    clock: DateTime,
    load: Load,
    balance_fen: i64,
    count: u16,
    /// Sharp to valley prices, alarms and the last new purchase, as registers from 0501H on.
    settings: [u16; 15],
    /// The control word that forces the relay; none: automatic.
    forced_open: Option<bool>,
    total_purchased_fen: u32,
    energy: u64,
    purchases: VecDeque<Purchase>,
    credited_fen: u64,
    credits: u64,
    pub counters: Counters,
}

impl User {
    /// A user as planned, or what is wrong with the plan.
    pub fn new(plan: Adf400lPlan) -> Result<Self, String> {
        if !(1..=247).contains(&plan.unit) {
            return Err(format!("unit {} is not in 1 to 247", plan.unit));
        }
        let mut user = Self {
            clock: plan.clock.unwrap_or_else(|| jiff::Zoned::now().datetime()),
            load: Load::new(plan.load_watts),
            balance_fen: i64::from(plan.balance_fen),
            count: plan.purchase_count,
            settings: [0; 15],
            forced_open: plan.relay_forced_open.then_some(true),
            total_purchased_fen: plan.total_purchased_fen,
            energy: plan.energy,
            purchases: VecDeque::new(),
            credited_fen: 0,
            credits: 0,
            counters: Counters::default(),
            plan,
        };
        let [sharp, peak, flat, valley] = user.plan.prices_fen;
        let sums = [sharp, peak, flat, valley, user.plan.alarm_1_fen, user.plan.alarm_2_fen];
        for (registers, sum) in user.settings.chunks_mut(2).zip(sums) {
            registers.copy_from_slice(&words(sum));
        }
        if user.count > 0 {
            let all_fen = u32::try_from(user.balance_fen).unwrap_or(0);
            let amount_fen = user.plan.last_purchase_fen.unwrap_or(all_fen);
            user.total_purchased_fen = user.total_purchased_fen.max(amount_fen);
            user.remember(amount_fen, i64::from(all_fen) - i64::from(amount_fen));
        }
        Ok(user)
    }

    pub fn unit(&self) -> u8 {
        self.plan.unit
    }

    /// Prices from sharp to valley, then both alarms.
    pub fn settings_fen(&self) -> impl Iterator<Item = u32> {
        self.settings.chunks_exact(2).map(|pair| double(pair[0], pair[1]))
    }

    /// Forced by the control word, else for lack of money in prepaid mode.
    fn relay_open(&self) -> bool {
        self.forced_open.unwrap_or(self.plan.prepaid && self.balance_fen <= 0)
    }

    /// The truth about it.
    pub fn state(&self, meter: String, bus: String, faults_waiting: usize) -> State {
        let Counters { requests, sell_frames, open_frames, mac_failures } = self.counters;
        State {
            meter,
            bus,
            money_fen: self.balance_fen,
            overdraft_fen: 0,
            count: u32::from(self.count),
            credited_fen: self.credited_fen,
            credits: self.credits,
            taken_back_fen: 0,
            relay_closed: !self.relay_open(),
            relay_command_open: self.relay_open(),
            keep_power: false,
            customer: None,
            requests,
            sell_frames,
            open_frames,
            mac_failures,
            suspended: false,
            energy: self.energy,
            last_purchase: self.purchases.front().cloned(),
            clock: self.clock,
            faults_waiting,
        }
    }

    pub fn set_load(&mut self, watts: u32) {
        self.load.watts = watts;
    }

    pub fn kind(frame: &[u8]) -> Kind {
        let address = word_at(frame, 2).unwrap_or(0);
        let end = address.saturating_add(word_at(frame, 4).unwrap_or(0));
        match (frame.get(1), address) {
            // From the balance on as far as the count: a look at the purse, not at all values.
            (Some(0x03 | 0x04), 0x030A..=0x030E) if end > 0x030E => Kind::Check,
            (Some(0x03 | 0x04), 0x0362..=0x0366) if end > 0x0366 => Kind::Check,
            (Some(0x03 | 0x04), LIST..0x1B14) => Kind::Check,
            (Some(0x03 | 0x04), _) => Kind::Read,
            (Some(0x10), NEW_PURCHASE | 0x0542) => Kind::Sell,
            (Some(0x06 | 0x10), 0x0801 | 0x0804) => Kind::Control,
            (Some(0x06 | 0x10), _) => Kind::Write,
            _ => Kind::Other,
        }
    }

    /// Does what a checked frame for this unit asks.
    pub fn answer(&mut self, frame: &[u8]) -> Answer {
        let mut credit = None;
        let mut reply = vec![self.plan.unit, frame.get(1).copied().unwrap_or(0)];
        match self.serve(frame, &mut credit) {
            Ok(body) => reply.extend(body),
            Err(exception) => return Answer { reply: Some(self.refuse(frame, exception)), credit },
        }
        reply.extend([0, 0]);
        seal(&mut reply);
        Answer { reply: Some(reply), credit }
    }

    /// An exception reply.
    pub fn refuse(&self, frame: &[u8], exception: Exception) -> Vec<u8> {
        let function = frame.get(1).copied().unwrap_or(0) | 0x80;
        let mut reply = vec![self.plan.unit, function, exception, 0, 0];
        seal(&mut reply);
        reply
    }

    fn serve(&mut self, frame: &[u8], credit: &mut Option<Credit>) -> Result<Vec<u8>, Exception> {
        let function = frame.get(1).copied().unwrap_or(0);
        if !matches!(function, 0x03 | 0x04 | 0x06 | 0x10) {
            return Err(ILLEGAL_FUNCTION);
        }
        let address = word_at(frame, 2).ok_or(ILLEGAL_VALUE)?;
        let second = word_at(frame, 4).ok_or(ILLEGAL_VALUE)?;
        match function {
            0x03 | 0x04 => {
                let values = self.read(address, second)?;
                let bytes = u8::try_from(values.len() * 2).map_err(|_| ILLEGAL_VALUE)?;
                Ok(std::iter::once(bytes)
                    .chain(values.iter().flat_map(|v| v.to_be_bytes()))
                    .collect())
            }
            0x06 => {
                self.write(address, &[second], credit)?;
                Ok(frame.get(2..6).unwrap_or_default().to_vec())
            }
            _ => {
                let data = frame.get(7..frame.len() - 2).ok_or(ILLEGAL_VALUE)?;
                if !(1..=123).contains(&second) || data.len() != usize::from(second) * 2 {
                    return Err(ILLEGAL_VALUE);
                }
                let values: Vec<u16> = data
                    .chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect();
                self.write(address, &values, credit)?;
                Ok(frame.get(2..6).unwrap_or_default().to_vec())
            }
        }
    }

    fn read(&self, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if !(1..=125).contains(&count) {
            return Err(ILLEGAL_VALUE);
        }
        if (LIST..LIST + 20).contains(&address) {
            return self.records(usize::from(address - LIST), count);
        }
        (0..count)
            .map(|offset| {
                let address = address.checked_add(offset).ok_or(ILLEGAL_ADDRESS)?;
                self.register(address).ok_or(ILLEGAL_ADDRESS)
            })
            .collect()
    }

    /// Each address of the list is a record of ten registers; an empty record is all zero.
    fn records(&self, first: usize, count: u16) -> Result<Vec<u16>, Exception> {
        let records = usize::from(count.div_ceil(RECORD_REGISTERS));
        if first + records > PURCHASES_MAX {
            return Err(ILLEGAL_ADDRESS);
        }
        let mut values: Vec<u16> =
            (first..first + records).flat_map(|at| record(self.purchases.get(at))).collect();
        values.truncate(usize::from(count));
        Ok(values)
    }

    fn register(&self, address: u16) -> Option<u16> {
        match (address, self.plan.three_phase) {
            (0x0300..=0x0320, false) => Some(self.state_register(address)),
            (0x033F..=0x0396, true) => {
                Some(self.state_register(address.saturating_sub(STATE_SHIFT)))
            }
            (0x0501..=0x0510, false) => Some(self.setting(address)),
            (0x0536..=0x0546, true) => Some(self.setting(address - PREPAID_SHIFT)),
            (0x0801, false) | (0x0804, true) => Some(match self.forced_open {
                None => 0,
                Some(true) => 0x0100,
                Some(false) => 0x0001,
            }),
            (0x0500 | PREPAID_MODE, _) => Some(u16::from(self.plan.prepaid)),
            (0x0900, _) => Some(u16::from(self.plan.unit)),
            (0x0400..=0x045F | 0x0600..=0x0667 | 0x0700..=0x071F | 0x0800, _) => Some(0),
            (0x0901..=0x0972 | 0x1A00..=0x1A0B, _) => Some(0),
            _ => None,
        }
    }

    /// A register of the single-phase numbering 0300H to 0320H.
    fn state_register(&self, address: u16) -> u16 {
        let energy = u32::try_from(self.energy % (1 << 32)).unwrap_or(0);
        let balance = i32::try_from(self.balance_fen).unwrap_or(i32::MIN).cast_unsigned();
        let [energy_high, energy_low] = words(energy);
        let [balance_high, balance_low] = words(balance);
        let [total_high, total_low] = words(self.total_purchased_fen);
        match address {
            0x0306 => energy_high,
            0x0307 => energy_low,
            0x030A => balance_high,
            0x030B => balance_low,
            0x030C => total_high,
            0x030D => total_low,
            0x030E => self.count,
            0x0311 => u16::from(self.relay_open()) | u16::from(self.forced_open.is_some()) << 1,
            0x0315 => u16::from(self.balance_fen < 0),
            _ => 0,
        }
    }

    fn setting(&self, address: u16) -> u16 {
        let at = usize::from(address.saturating_sub(SETTINGS.start));
        self.settings.get(at).copied().unwrap_or(0)
    }

    fn write(
        &mut self,
        address: u16,
        values: &[u16],
        credit: &mut Option<Credit>,
    ) -> Result<(), Exception> {
        let address = match (address, self.plan.three_phase) {
            (0x0536..=0x0546, true) => address - PREPAID_SHIFT,
            (0x0804, true) => 0x0801,
            (0x0501..=0x0510 | 0x0801, true) => return Err(ILLEGAL_ADDRESS),
            (address, _) => address,
        };
        if address == NEW_PURCHASE {
            let &[high, low, count] = values else { return Err(ILLEGAL_VALUE) };
            *credit = self.buy(double(high, low), count)?;
            self.store(address, values);
            return Ok(());
        }
        let end = u16::try_from(values.len()).ok().and_then(|count| address.checked_add(count));
        if SETTINGS.contains(&address) && end.is_some_and(|end| end <= SETTINGS.end) {
            self.store(address, values);
            return Ok(());
        }
        match (address, values) {
            (0x0801, [0x0100]) => self.forced_open = Some(true),
            (0x0801, [0x0001]) => self.forced_open = Some(false),
            (0x0801, [0x0000]) => self.forced_open = None,
            (PREPAID_MODE, [mode @ (0 | 1)]) => self.plan.prepaid = *mode == 1,
            (0x0801 | PREPAID_MODE, _) => return Err(ILLEGAL_VALUE),
            _ => return Err(ILLEGAL_ADDRESS),
        }
        Ok(())
    }

    fn store(&mut self, address: u16, values: &[u16]) {
        let start = usize::from(address.saturating_sub(SETTINGS.start));
        for (register, value) in self.settings.iter_mut().skip(start).zip(values) {
            *register = *value;
        }
        for (price, pair) in self.plan.prices_fen.iter_mut().zip(self.settings.chunks_exact(2)) {
            *price = double(pair[0], pair[1]);
        }
    }

    /// A sale: the next count is taken, the present one was taken before, any other is refused.
    fn buy(&mut self, amount_fen: u32, count: u16) -> Result<Option<Credit>, Exception> {
        if !self.plan.prepaid {
            return Err(ILLEGAL_VALUE);
        }
        if count == self.count {
            return Ok(None);
        }
        let balance_fen = self.balance_fen + i64::from(amount_fen);
        if Some(count) != self.count.checked_add(1) || balance_fen > BALANCE_FEN_MAX {
            return Err(ILLEGAL_VALUE);
        }
        let before_fen = self.balance_fen;
        self.balance_fen = balance_fen;
        self.count = count;
        self.total_purchased_fen = self.total_purchased_fen.wrapping_add(amount_fen);
        self.remember(amount_fen, before_fen);
        self.credited_fen += u64::from(amount_fen);
        self.credits += 1;
        Ok(Some(Credit { count: u32::from(count), amount_fen, applied: true }))
    }

    fn remember(&mut self, amount_fen: u32, before_fen: i64) {
        self.purchases.push_front(Purchase {
            at: self.clock,
            count: u32::from(self.count),
            amount_fen,
            before_fen,
            after_fen: self.balance_fen,
            cumulative_fen: u64::from(self.total_purchased_fen),
        });
        self.purchases.truncate(PURCHASES_MAX);
    }

    /// Lets the load run and the clock go on.
    pub fn advance(&mut self, mut seconds: u32) {
        while seconds > 0 {
            let step = step(self.clock, seconds);
            seconds -= step;
            if !self.relay_open() {
                let used = self.load.use_up(self.clock, step, &self.plan.prices_fen);
                self.energy += used.energy;
                if self.plan.prepaid {
                    self.balance_fen -= i64::from(used.cost_fen);
                }
            }
            self.clock = later(self.clock, step);
        }
    }
}

/// Time (6), count (2), amount (4), balance after (4), total (4).
fn record(purchase: Option<&Purchase>) -> [u16; 10] {
    let Some(purchase) = purchase else { return [0; 10] };
    let at = purchase.at;
    let pair = |high: i8, low: i8| u16::from_be_bytes([high.unsigned_abs(), low.unsigned_abs()]);
    let year = i8::try_from(at.year().rem_euclid(100)).unwrap_or(0);
    let after = i32::try_from(purchase.after_fen).unwrap_or(i32::MIN).cast_unsigned();
    let total = u32::try_from(purchase.cumulative_fen).unwrap_or(u32::MAX);
    let [amount_high, amount_low] = words(purchase.amount_fen);
    let [after_high, after_low] = words(after);
    let [total_high, total_low] = words(total);
    [
        pair(year, at.month()),
        pair(at.day(), at.hour()),
        pair(at.minute(), at.second()),
        u16::try_from(purchase.count).unwrap_or(u16::MAX),
        amount_high,
        amount_low,
        after_high,
        after_low,
        total_high,
        total_low,
    ]
}

/// High word first.
fn words(value: u32) -> [u16; 2] {
    let [a, b, c, d] = value.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

fn double(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

fn word_at(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk::<2>().map(|&pair| u16::from_be_bytes(pair))
}
