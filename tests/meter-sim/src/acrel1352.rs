//! One meter of Acrel's 1352 family, DDSY1352, DTSY1352 or one circuit of an ADF300 box, on Modbus RTU:
//! registers as the maker's manual and set-up program have them (protocols.md 3.2 and
//! `drivers/acrel-dtsy1352/README.md`). Its purse can be read and is sold to by nobody here: the
//! command for that is known by one source alone.

use jiff::civil::DateTime;

use crate::device::{Answer, Counters, State};
use crate::fault::Kind;
use crate::load::{Load, later, step};
use crate::modbus::{seal, word_at};
use crate::plan::{Acrel1352Kind, Acrel1352Plan};

type Exception = u8;
const ILLEGAL_FUNCTION: Exception = 1;
const ILLEGAL_ADDRESS: Exception = 2;
const ILLEGAL_VALUE: Exception = 3;

/// The block of all values, 48 registers.
const BLOCK: u16 = 0x0200;
/// Second, minute, hour, weekday, day, month, year and three bytes of nothing, by function 20H.
const CLOCK: u16 = 0x0354;
/// Forced or not, then which way.
const FORCING: u16 = 0x0057;
const LAST_EVENT: u16 = 0x3001;

#[derive(Debug)]
pub struct Meter {
    plan: Acrel1352Plan,
    clock: DateTime,
    load: Load,
    /// 0.01 kWh by sharp, peak, flat, valley.
    energies: [u64; 4],
    /// `None`: not forced; else whether forced open.
    forced_open: Option<bool>,
    /// Day plans and date plan, each with its place.
    plans: [(u16, Vec<u16>); 3],
    pub counters: Counters,
}

impl Meter {
    /// A meter as planned, or what is wrong with the plan.
    pub fn new(plan: Acrel1352Plan) -> Result<Self, String> {
        if !(1..=247).contains(&plan.unit) {
            return Err(format!("unit {} is not in 1 to 247", plan.unit));
        }
        let [first, second, dates] = match plan.kind {
            Acrel1352Kind::Ddsy => [0x2006, 0x201B, 0x2000],
            Acrel1352Kind::Dtsy => [0x2000, 0x2015, 0x0028],
            Acrel1352Kind::Adf300 | Acrel1352Kind::Adf300ThreePhase => [0x0914, 0x0929, 0x0028],
        };
        Ok(Self {
            clock: plan.clock.unwrap_or_else(|| jiff::Zoned::now().datetime()),
            load: Load::new(plan.load_watts),
            energies: [0, 0, plan.energy, 0],
            forced_open: plan.relay_open.then_some(true),
            plans: [(first, vec![0; 21]), (second, vec![0; 21]), (dates, vec![0; 6])],
            counters: Counters::default(),
            plan,
        })
    }

    pub fn unit(&self) -> u8 {
        self.plan.unit
    }

    fn energy_total(&self) -> u64 {
        self.energies.iter().sum()
    }

    fn relay_open(&self) -> bool {
        self.forced_open.unwrap_or(false)
    }

    pub fn set_load(&mut self, watts: u32) {
        self.load.watts = watts;
    }

    pub fn advance(&mut self, seconds: u32) {
        let mut left = seconds;
        while left > 0 {
            let now = step(self.clock, left);
            if !self.relay_open() {
                let used = self.load.use_up(self.clock, now, &[0; 4]);
                self.energies[used.tariff] += used.energy;
            }
            self.clock = later(self.clock, now);
            left -= now;
        }
    }

    pub fn kind(frame: &[u8]) -> Kind {
        match (frame.get(1), word_at(frame, 2)) {
            (Some(0x03 | 0x04), _) => Kind::Read,
            (Some(0x10), Some(FORCING)) => Kind::Control,
            (Some(0x06 | 0x10 | 0x20), _) => Kind::Write,
            _ => Kind::Other,
        }
    }

    /// Does what a checked frame for this unit asks.
    pub fn answer(&mut self, frame: &[u8]) -> Answer {
        let mut reply = vec![self.plan.unit, frame.get(1).copied().unwrap_or(0)];
        match self.serve(frame) {
            Ok(body) => reply.extend(body),
            Err(exception) => {
                return Answer { reply: Some(self.refuse(frame, exception)), credit: None };
            }
        }
        reply.extend([0, 0]);
        seal(&mut reply);
        Answer { reply: Some(reply), credit: None }
    }

    /// An exception reply.
    pub fn refuse(&self, frame: &[u8], exception: Exception) -> Vec<u8> {
        let function = frame.get(1).copied().unwrap_or(0) | 0x80;
        let mut reply = vec![self.plan.unit, function, exception, 0, 0];
        seal(&mut reply);
        reply
    }

    fn serve(&mut self, frame: &[u8]) -> Result<Vec<u8>, Exception> {
        let function = frame.get(1).copied().unwrap_or(0);
        if !matches!(function, 0x03 | 0x10 | 0x20) {
            return Err(ILLEGAL_FUNCTION);
        }
        let start = word_at(frame, 2).ok_or(ILLEGAL_VALUE)?;
        let count = word_at(frame, 4).ok_or(ILLEGAL_VALUE)?;
        if function == 0x03 {
            if !(1..=125).contains(&count) {
                return Err(ILLEGAL_VALUE);
            }
            let mut body = vec![u8::try_from(count * 2).map_err(|_| ILLEGAL_VALUE)?];
            for offset in 0..count {
                let address = start.checked_add(offset).ok_or(ILLEGAL_ADDRESS)?;
                body.extend(self.register(address).ok_or(ILLEGAL_ADDRESS)?.to_be_bytes());
            }
            return Ok(body);
        }
        let data = frame.get(7..frame.len() - 2).ok_or(ILLEGAL_VALUE)?;
        if data.len() != usize::from(count) * 2 {
            return Err(ILLEGAL_VALUE);
        }
        if function == 0x20 {
            self.set_clock(start, data)?;
            // The set-up program waits for 15 bytes; what the middle ones are was chosen.
            return Ok([frame.get(2..6).unwrap_or_default(), &[0; 7]].concat());
        }
        let values = data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        self.write(start, &values.collect::<Vec<_>>())?;
        Ok(frame.get(2..6).unwrap_or_default().to_vec())
    }

    fn set_clock(&mut self, start: u16, data: &[u8]) -> Result<(), Exception> {
        if start != CLOCK {
            return Err(ILLEGAL_ADDRESS);
        }
        let small = |byte: u8| i8::try_from(byte).map_err(|_| ILLEGAL_VALUE);
        let &[second, minute, hour, _, day, month, year, ..] = data else {
            return Err(ILLEGAL_VALUE);
        };
        let year = 2000 + i16::from(year);
        let date = (small(month)?, small(day)?);
        let [hour, minute, second] = [small(hour)?, small(minute)?, small(second)?];
        self.clock = DateTime::new(year, date.0, date.1, hour, minute, second, 0)
            .map_err(|_| ILLEGAL_VALUE)?;
        Ok(())
    }

    fn write(&mut self, start: u16, values: &[u16]) -> Result<(), Exception> {
        if let Some((_, held)) = self.plans.iter_mut().find(|(place, _)| *place == start) {
            if held.len() != values.len() {
                return Err(ILLEGAL_VALUE);
            }
            held.copy_from_slice(values);
            return Ok(());
        }
        match (start, values) {
            (FORCING, [0, _]) => self.forced_open = None,
            (FORCING, [1, open @ (0 | 1)]) => self.forced_open = Some(*open == 1),
            (FORCING, _) => return Err(ILLEGAL_VALUE),
            _ => return Err(ILLEGAL_ADDRESS),
        }
        Ok(())
    }

    fn is_three_phase(&self) -> bool {
        matches!(self.plan.kind, Acrel1352Kind::Dtsy | Acrel1352Kind::Adf300ThreePhase)
    }

    /// The truth about it.
    pub fn state(&self, meter: String, bus: String, faults_waiting: usize) -> State {
        let Counters { requests, sell_frames, open_frames, mac_failures } = self.counters;
        State {
            meter,
            bus,
            money_fen: i64::from(self.plan.balance_fen),
            overdraft_fen: 0,
            count: u32::from(self.plan.purchase_count),
            credited_fen: 0,
            credits: 0,
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
            energy: self.energy_total(),
            last_purchase: None,
            clock: self.clock,
            faults_waiting,
        }
    }

    /// 0.001 kW, of all phases.
    fn power(&self) -> u16 {
        if self.relay_open() { 0 } else { u16::try_from(self.load.watts).unwrap_or(u16::MAX) }
    }

    fn register(&self, address: u16) -> Option<u16> {
        let of = |value: u64, place: u16| {
            let [high, low] = halves(value);
            if place == 0 { high } else { low }
        };
        let voltage = u16::try_from(self.plan.voltage_decivolts).unwrap_or(u16::MAX);
        for (start, held) in &self.plans {
            if let Some(at) = address.checked_sub(*start)
                && let Some(word) = held.get(usize::from(at))
            {
                return Some(*word);
            }
        }
        match address {
            0x0000 | 0x0001 => Some(of(self.energy_total(), address)),
            0x0002..=0x0009 => {
                let place = address - 2;
                Some(of(self.energies[usize::from(place / 2)], place % 2))
            }
            0x000B if !self.is_three_phase() => Some(voltage),
            0x000C if !self.is_three_phase() => Some(self.current()),
            0x000D | 0x000F if !self.is_three_phase() => Some(self.power()),
            0x0010 if !self.is_three_phase() => Some(1000),
            0x0038 => Some(1),
            FORCING => Some(u16::from(self.forced_open.is_some())),
            0x0058 => Some(u16::from(self.relay_open())),
            BLOCK..=0x022F => Some(self.of_block(address - BLOCK, voltage)),
            0x5030 | 0x5031 => Some(0),
            // 2018-01-08 10:01:01, power on: the manual's own example.
            LAST_EVENT..=0x3006 => {
                Some([0x1201, 0x080A, 0x0101, 0x0100, 0, 0][usize::from(address - LAST_EVENT)])
            }
            _ => None,
        }
    }

    /// 0.01 A of one phase, at the power factor 1.
    fn current(&self) -> u16 {
        let phases = if self.is_three_phase() { 3 } else { 1 };
        let volts_tenth = u64::from(self.plan.voltage_decivolts.max(1)) * phases;
        u16::try_from(u64::from(self.power()) * 1000 / volts_tenth).unwrap_or(u16::MAX)
    }

    fn of_block(&self, offset: u16, voltage: u16) -> u16 {
        let phases = if self.is_three_phase() { 3 } else { 1 };
        let phase = |first: u16, value: u16| if offset - first < phases { value } else { 0 };
        let bytes = self.clock_and_demand();
        match offset {
            0 => match self.plan.kind {
                Acrel1352Kind::Ddsy => 7,
                Acrel1352Kind::Dtsy => 5,
                Acrel1352Kind::Adf300 | Acrel1352Kind::Adf300ThreePhase => 10,
            },
            1..=3 => phase(1, voltage),
            4..=6 => phase(4, self.current()),
            7..=9 => phase(7, self.power() / phases),
            10 => self.power(),
            15..=17 => phase(15, 1000),
            18 => 1000,
            19 | 20 => 1,
            21 | 22 => halves(self.energy_total())[usize::from(offset - 21)],
            23..=30 => {
                let place = usize::from(offset - 23);
                halves(self.energies[place / 2])[place % 2]
            }
            31 | 32 => {
                let fen = u64::from(self.plan.balance_fen.cast_unsigned());
                halves(fen)[usize::from(offset - 31)]
            }
            33 => self.plan.purchase_count,
            // The relays of the phases are the upper bits: set where closed.
            36 if self.relay_open() => 0,
            36 if self.is_three_phase() => 0xE000,
            36 => 0x2000,
            40..=46 => {
                let at = usize::from(offset - 40) * 2;
                u16::from_be_bytes([bytes[at], bytes[at + 1]])
            }
            // The lower byte: 0 three-phase.
            47 => u16::from(!self.is_three_phase()),
            _ => 0,
        }
    }

    /// YY MM DD weekday hh mm ss, demand, its minute, hour, day, month, and one byte of nothing.
    fn clock_and_demand(&self) -> [u8; 14] {
        let small = |number: i8| number.unsigned_abs();
        let clock = self.clock;
        let year = u8::try_from(clock.year().rem_euclid(100)).unwrap_or(0);
        let weekday = small(clock.date().weekday().to_sunday_zero_offset());
        let [high, low] = self.plan.demand_watts.to_be_bytes();
        let (month, day) = (small(clock.month()), small(clock.day()));
        let (hour, minute) = (small(clock.hour()), small(clock.minute()));
        let second = small(clock.second());
        [year, month, day, weekday, hour, minute, second, high, low, minute, hour, day, month, 0]
    }
}

/// The two registers of a u32, high word first.
fn halves(value: u64) -> [u16; 2] {
    let value = u32::try_from(value % (1 << 32)).unwrap_or(0);
    [(value >> 16) as u16, (value & 0xFFFF) as u16]
}
