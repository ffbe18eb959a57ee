//! One user of an Acrel ADF400L box on Modbus RTU, written from `protocols.md` 3.3 and the tables of the
//! box's manual. The manual does not give the write sequences; what is simulated where it is silent was
//! chosen, not known: one write of three registers at 050DH is a sale, and a repeated count is
//! acknowledged and ignored. Plans, time control and load control are held, and nothing acts on them.

mod lists;

use std::collections::{BTreeMap, VecDeque};

use jiff::civil::DateTime;

use crate::device::{Answer, Counters, Credit, Purchase, State};
use crate::fault::Kind;
use crate::load::{Load, later, step};
use crate::modbus::{double, pair, seal, word_at, words};
use crate::plan::Adf400lPlan;

const PURCHASES_MAX: usize = 20;
const LIST: u16 = 0x1B00;
const MONTHS_MAX: usize = 12;
const MONTHS: u16 = 0x1A00;
/// Where the three-phase copies lie behind the single-phase registers.
const STATE_SHIFT: u16 = 0x0058;
const PREPAID_SHIFT: u16 = 0x0036;
const BALANCE_FEN_MAX: i64 = 99_999_999;
/// Prices, alarms: 0501H to 050CH; then the new purchase: amount u32, count u16; then the basic amount.
const SETTINGS: std::ops::Range<u16> = 0x0501..0x050D;
const BASIC_AMOUNT: std::ops::Range<u16> = 0x0510..0x0512;
const NEW_PURCHASE: u16 = 0x050D;
/// 0 prepaid, 1 metering in the upper byte; 0 Modbus in the lower one.
const MODE: u16 = 0x0908;
const METERING: u16 = 0x0100;
/// Second and minute, hour and weekday, day and month, year and nothing.
const CLOCK: u16 = 0x090B;

/// A Modbus exception code.
type Exception = u8;
const ILLEGAL_FUNCTION: Exception = 1;
const ILLEGAL_ADDRESS: Exception = 2;
const ILLEGAL_VALUE: Exception = 3;

#[derive(Debug)]
pub struct User {
    plan: Adf400lPlan,
    clock: DateTime,
    load: Load,
    balance_fen: i64,
    count: u16,
    /// Sharp to valley prices, alarms and the last new purchase, as registers from 0501H on.
    settings: [u16; 17],
    /// Plans, time control, load control.
    held: BTreeMap<u16, u16>,
    /// The control word that forces the relay; none: automatic.
    forced_open: Option<bool>,
    total_purchased_fen: u32,
    /// 0.01 kWh by sharp, peak, flat, valley.
    energies: [u64; 4],
    months: VecDeque<(DateTime, [u64; 4])>,
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
            settings: [0; 17],
            held: BTreeMap::new(),
            forced_open: plan.relay_forced_open.then_some(true),
            total_purchased_fen: plan.total_purchased_fen,
            energies: [0, 0, plan.energy, 0],
            months: VecDeque::new(),
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
        self.settings[..12].chunks_exact(2).map(|pair| double(pair[0], pair[1]))
    }

    fn energy(&self) -> u64 {
        self.energies.iter().sum()
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
            token_credit: 0,
            relay_closed: !self.relay_open(),
            relay_command_open: self.relay_open(),
            keep_power: false,
            customer: None,
            requests,
            sell_frames,
            open_frames,
            mac_failures,
            suspended: false,
            energy: self.energy(),
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
            (Some(0x10), NEW_PURCHASE | 0x0543) => Kind::Sell,
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
            let of = |at| lists::record(self.purchases.get(at));
            return lists::records(of, PURCHASES_MAX, usize::from(address - LIST), count);
        }
        if (MONTHS..MONTHS + 12).contains(&address) {
            let of = |at| lists::month(self.months.get(at));
            return lists::records(of, MONTHS_MAX, usize::from(address - MONTHS), count);
        }
        (0..count)
            .map(|offset| {
                let address = address.checked_add(offset).ok_or(ILLEGAL_ADDRESS)?;
                self.register(address).ok_or(ILLEGAL_ADDRESS)
            })
            .collect()
    }

    fn register(&self, address: u16) -> Option<u16> {
        if self.is_held(address) {
            return Some(self.held.get(&address).copied().unwrap_or(0));
        }
        match (address, self.plan.three_phase) {
            (0x0300..=0x0320, false) => Some(self.state_register(address)),
            (0x033F..=0x0396, true) => Some(
                self.three_phase_value(address)
                    .unwrap_or_else(|| self.state_register(address.saturating_sub(STATE_SHIFT))),
            ),
            (0x0400..=0x0407, false) => Some(self.tariff_energy(address - 0x0400)),
            (0x0430..=0x0437, true) => Some(self.tariff_energy(address - 0x0430)),
            (0x0501..=0x0511, false) => Some(self.setting(address)),
            (0x0537..=0x0547, true) => Some(self.setting(address - PREPAID_SHIFT)),
            (0x0801, false) | (0x0804, true) => Some(match self.forced_open {
                None => 0,
                Some(true) => 0x0100,
                Some(false) => 0x0001,
            }),
            (0x0500, false) | (0x0536, true) => Some(u16::from(self.plan.prepaid)),
            (MODE, _) => Some(if self.plan.prepaid { 0 } else { METERING }),
            (0x0900, _) => Some(u16::from(self.plan.unit)),
            (CLOCK..=0x090E, _) => Some(self.clock_words()[usize::from(address - CLOCK)]),
            (0x0800 | 0x0901..=0x0972, _) => Some(0),
            _ => None,
        }
    }

    /// Plans of the box; the user's time control and load control.
    fn is_held(&self, address: u16) -> bool {
        match address {
            0x0914..=0x0943 => true,
            0x0600..=0x0619 | 0x0700..=0x0707 => !self.plan.three_phase,
            0x064E..=0x0667 | 0x0718..=0x071F => self.plan.three_phase,
            _ => false,
        }
    }

    fn tariff_energy(&self, place: u16) -> u16 {
        let energy = self.energies[usize::from(place / 2)];
        words(u32::try_from(energy % (1 << 32)).unwrap_or(0))[usize::from(place % 2)]
    }

    /// Weekdays are counted from 1 for Monday.
    fn clock_words(&self) -> [u16; 4] {
        let at = self.clock;
        let weekday = at.date().weekday().to_monday_one_offset();
        let year = i8::try_from(at.year().rem_euclid(100)).unwrap_or(0);
        [
            pair(at.second(), at.minute()),
            pair(at.hour(), weekday),
            pair(at.day(), at.month()),
            pair(year, 0),
        ]
    }

    /// The load of all phases, 220 V at the power factor 1.
    fn watts(&self) -> u32 {
        if self.relay_open() { 0 } else { self.load.watts }
    }

    /// Voltages, currents, power, factor and frequency, which stand otherwise than single-phase.
    fn three_phase_value(&self, address: u16) -> Option<u16> {
        let centiamperes = u16::try_from(self.watts() / 3 * 10 / 22).unwrap_or(u16::MAX);
        match address {
            0x033F..=0x0341 => Some(2_200),
            0x0342..=0x0344 => Some(centiamperes),
            0x0345 => Some(u16::try_from(self.watts()).unwrap_or(u16::MAX)),
            0x034D => Some(1_000),
            0x0351 => Some(5_000),
            0x0391 | 0x0392 => Some(0),
            _ => None,
        }
    }

    /// A register of the single-phase numbering 0300H to 0320H.
    fn state_register(&self, address: u16) -> u16 {
        let energy = u32::try_from(self.energy() % (1 << 32)).unwrap_or(0);
        let balance = i32::try_from(self.balance_fen).unwrap_or(i32::MIN).cast_unsigned();
        let [energy_high, energy_low] = words(energy);
        let [balance_high, balance_low] = words(balance);
        let [total_high, total_low] = words(self.total_purchased_fen);
        match address {
            0x0300 => 2_200,
            0x0301 => u16::try_from(self.watts() * 10 / 22).unwrap_or(u16::MAX),
            0x0302 => u16::try_from(self.watts()).unwrap_or(u16::MAX),
            0x0304 => 1_000,
            0x0305 => 5_000,
            0x0306 => energy_high,
            0x0307 => energy_low,
            0x030A => balance_high,
            0x030B => balance_low,
            0x030C => total_high,
            0x030D => total_low,
            0x030E => self.count,
            0x0311 => u16::from(self.relay_open()) | u16::from(self.forced_open.is_some()) << 1,
            0x0316 => u16::from(self.balance_fen < 0),
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
            (0x0537..=0x0547, true) => address - PREPAID_SHIFT,
            (0x0804, true) => 0x0801,
            (0x0501..=0x0511 | 0x0801, true) => return Err(ILLEGAL_ADDRESS),
            (address, _) => address,
        };
        if address == NEW_PURCHASE {
            let &[high, low, count] = values else { return Err(ILLEGAL_VALUE) };
            *credit = self.buy(double(high, low), count)?;
            self.store(address, values);
            return Ok(());
        }
        let end = u16::try_from(values.len()).ok().and_then(|count| address.checked_add(count));
        let within = |range: &std::ops::Range<u16>| {
            range.contains(&address) && end.is_some_and(|end| end <= range.end)
        };
        if within(&SETTINGS) || within(&BASIC_AMOUNT) {
            self.store(address, values);
            return Ok(());
        }
        if self.is_held(address) && end.is_some_and(|end| self.is_held(end - 1)) {
            self.held.extend((address..).zip(values.iter().copied()));
            return Ok(());
        }
        match (address, values) {
            (0x0801, [0x0100]) => self.forced_open = Some(true),
            (0x0801, [0x0001]) => self.forced_open = Some(false),
            (0x0801, [0x0000]) => self.forced_open = None,
            (MODE, [mode @ (0 | METERING)]) => self.plan.prepaid = *mode == 0,
            (CLOCK, &[a, b, c, d]) => self.clock = time_of(&[a, b, c, d]).ok_or(ILLEGAL_VALUE)?,
            (0x0801 | MODE | CLOCK, _) => return Err(ILLEGAL_VALUE),
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
                self.energies[used.tariff] += used.energy;
                if self.plan.prepaid {
                    self.balance_fen -= i64::from(used.cost_fen);
                }
            }
            let month = self.clock.month();
            self.clock = later(self.clock, step);
            if self.clock.month() != month {
                self.months.push_front((self.clock, self.energies));
                self.months.truncate(MONTHS_MAX);
            }
        }
    }
}

fn time_of(words: &[u16; 4]) -> Option<DateTime> {
    let [[second, minute], [hour, _], [day, month], [year, _]] =
        words.map(|word| word.to_be_bytes().map(|byte| i8::try_from(byte).unwrap_or(-1)));
    DateTime::new(2000 + i16::from(year), month, day, hour, minute, second, 0).ok()
}
