//! A device on a bus, whatever its protocol: what it hears, its faults, its true state.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::acrel1352;
use crate::adf400l::User;
use crate::cjt188;
use crate::dlms;
use crate::dlt645::{self, Meter};
use crate::dlt698;
use crate::fault::{Kind, Queue};
use crate::mbus;
use crate::plan::{DlmsPlan, Meters};
pub use crate::protocol::{Heard, Protocol, Scan};
use crate::rdk;
use crate::sfere;

/// Credit that a request brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Credit {
    pub count: u32,
    pub amount_fen: u32,
    /// False: the request was fine but had been done before.
    pub applied: bool,
}

/// One purchase as the device remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    pub at: DateTime,
    pub count: u32,
    pub amount_fen: u32,
    pub before_fen: i64,
    pub after_fen: i64,
    pub cumulative_fen: u64,
}

/// What a device has seen since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub requests: u64,
    pub sell_frames: u64,
    pub open_frames: u64,
    pub mac_failures: u64,
}

/// The outcome of one request.
#[derive(Debug, Default)]
pub struct Answer {
    /// Ready for the wire; none: silence.
    pub reply: Option<Vec<u8>>,
    pub credit: Option<Credit>,
}

/// The truth about one meter, which no protocol needs to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub meter: String,
    pub bus: String,
    /// The ADF400L balance may be negative; DL/T 645 has `overdraft_fen` instead.
    pub money_fen: i64,
    pub overdraft_fen: u32,
    pub count: u32,
    /// All credit taken from the line since the start: the oracle of money tests. What the plan put
    /// in is not part of it, and nothing ever lowers it.
    pub credited_fen: u64,
    /// How many credits that were.
    pub credits: u64,
    /// All credit given back over the line since the start.
    pub taken_back_fen: u64,
    /// Credit of tokens since the start, in tenths of a kWh.
    pub token_credit: u64,
    pub relay_closed: bool,
    /// DL/T 645: the last command was to open.
    pub relay_command_open: bool,
    pub keep_power: bool,
    /// 12 digits; none: no account is opened (an ADF400L never stores one).
    pub customer: Option<String>,
    /// Requests that were on the wire for this meter, also those that a fault swallowed.
    pub requests: u64,
    pub sell_frames: u64,
    pub open_frames: u64,
    pub mac_failures: u64,
    pub suspended: bool,
    /// 0.01 kWh.
    pub energy: u64,
    pub last_purchase: Option<Purchase>,
    pub clock: DateTime,
    pub faults_waiting: usize,
}

#[derive(Debug)]
pub struct Device {
    /// The address as text, unique on its bus.
    pub name: String,
    pub faults: Queue,
    model: Model,
}

#[derive(Debug)]
enum Model {
    Dlt645(Box<dlt645::Meter>),
    Adf400l(Box<User>),
    Rdk(Box<rdk::Meter>),
    Cjt188(Box<cjt188::Meter>),
    Acrel1352(Box<acrel1352::Meter>),
    Mbus(Box<mbus::Meter>),
    Dlms(Box<dlms::Meter>),
    Sfere(Box<sfere::Meter>),
    Dlt698(Box<dlt698::Meter>),
}

/// The devices of a bus, and what is spoken on it.
pub fn devices(meters: Meters) -> Result<(Vec<Protocol>, Vec<Device>), String> {
    let Meters::Mixed(mixed) = meters else {
        let (protocol, devices) = of_one_protocol(meters)?;
        return Ok((vec![protocol], devices));
    };
    let (mut protocols, mut all) = (Vec::new(), Vec::new());
    for meters in mixed {
        let (protocol, devices) = of_one_protocol(meters)?;
        if !protocols.contains(&protocol) {
            protocols.push(protocol);
        }
        all.extend(devices);
    }
    Ok((protocols, all))
}

/// A mix is refused.
pub fn of_one_protocol(meters: Meters) -> Result<(Protocol, Vec<Device>), String> {
    match meters {
        Meters::Dlt645(plans) => made(Protocol::Dlt645, plans, |plan| {
            (plan.address.clone(), Meter::new(plan).map(|meter| Model::Dlt645(Box::new(meter))))
        }),
        Meters::Adf400l(plans) => made(Protocol::Modbus, plans, |plan| {
            (plan.unit.to_string(), User::new(plan).map(|user| Model::Adf400l(Box::new(user))))
        }),
        Meters::Rdk(plans) => made(Protocol::Rdk, plans, |plan| {
            (plan.address.clone(), rdk::Meter::new(plan).map(|meter| Model::Rdk(Box::new(meter))))
        }),
        Meters::Cjt188(plans) => made(Protocol::Cjt188, plans, |plan| {
            let meter = |plan| cjt188::Meter::new(plan).map(|meter| Model::Cjt188(Box::new(meter)));
            (plan.address.clone(), meter(plan))
        }),
        Meters::Acrel1352(plans) => made(Protocol::Modbus, plans, |plan| {
            let meter = |plan| acrel1352::Meter::new(plan).map(|it| Model::Acrel1352(Box::new(it)));
            (plan.unit.to_string(), meter(plan))
        }),
        Meters::Sfere(plans) => made(Protocol::Modbus, plans, |plan| {
            let meter = |plan| sfere::Meter::new(plan).map(|it| Model::Sfere(Box::new(it)));
            (plan.unit.to_string(), meter(plan))
        }),
        Meters::Dlt698(plans) => made(Protocol::Dlt698, plans, |plan| {
            let meter = |plan| dlt698::Meter::new(plan).map(|it| Model::Dlt698(Box::new(it)));
            (plan.address.clone(), meter(plan))
        }),
        // Only all of it together is unique: numbers collide on purpose.
        Meters::Mbus(plans) => made(Protocol::Mbus, plans, |plan| {
            let name = format!("{}/{}/{}/{}", plan.number, plan.maker, plan.version, plan.medium);
            (name, mbus::Meter::new(plan).map(|meter| Model::Mbus(Box::new(meter))))
        }),
        Meters::DlmsWrapper(plans) => made(Protocol::DlmsWrapper, plans, dlms),
        Meters::DlmsHdlc(plans) => made(Protocol::DlmsHdlc, plans, dlms),
        Meters::Mixed(_) => Err("a mix of mixes".to_owned()),
    }
}

fn dlms(plan: DlmsPlan) -> (String, Result<Model, String>) {
    (plan.serial.clone(), dlms::Meter::new(plan).map(|meter| Model::Dlms(Box::new(meter))))
}

fn made<P>(
    protocol: Protocol,
    plans: Vec<P>,
    make: impl Fn(P) -> (String, Result<Model, String>),
) -> Result<(Protocol, Vec<Device>), String> {
    let device = |plan| match make(plan) {
        (name, Ok(model)) => Ok(Device { name, faults: Queue::default(), model }),
        (name, Err(reason)) => Err(format!("meter {name}: {reason}")),
    };
    Ok((protocol, plans.into_iter().map(device).collect::<Result<_, _>>()?))
}

impl Device {
    /// What the request is to this device; none: not meant for it. Counts it.
    pub fn notice(&mut self, heard: &Heard) -> Option<Kind> {
        let (kind, counters) = match (&mut self.model, heard) {
            (Model::Dlt645(meter), Heard::Dlt645(request)) => {
                if !meter.hears(request.address, request.control) {
                    return None;
                }
                (Meter::kind(request), &mut meter.counters)
            }
            (Model::Adf400l(user), Heard::Modbus(frame)) => {
                if frame.first() != Some(&user.unit()) {
                    return None;
                }
                (User::kind(frame), &mut user.counters)
            }
            (Model::Rdk(meter), Heard::Rdk(request)) => {
                if !meter.hears(request) {
                    return None;
                }
                (rdk::Meter::kind(request), &mut meter.counters)
            }
            (Model::Cjt188(meter), Heard::Cjt188(request)) => {
                if !meter.hears(request) {
                    return None;
                }
                (meter.kind(request), &mut meter.counters)
            }
            (Model::Acrel1352(meter), Heard::Modbus(frame)) => {
                if frame.first() != Some(&meter.unit()) {
                    return None;
                }
                (acrel1352::Meter::kind(frame), &mut meter.counters)
            }
            (Model::Mbus(meter), Heard::Mbus(request)) => {
                if !meter.hears(request) {
                    return None;
                }
                (mbus::Meter::kind(request), &mut meter.counters)
            }
            (Model::Dlms(meter), Heard::Dlms(_, request)) => {
                if !meter.hears(request) {
                    return None;
                }
                (dlms::Meter::kind(request), &mut meter.counters)
            }
            (Model::Sfere(meter), Heard::Modbus(frame)) => {
                if frame.first() != Some(&meter.unit()) {
                    return None;
                }
                (sfere::Meter::kind(frame), &mut meter.counters)
            }
            (Model::Dlt698(meter), Heard::Dlt698(request)) => {
                if !meter.hears(request) {
                    return None;
                }
                (dlt698::Meter::kind(request), &mut meter.counters)
            }
            _ => return None,
        };
        counters.requests += 1;
        counters.sell_frames += u64::from(kind == Kind::Sell);
        counters.open_frames += u64::from(kind == Kind::Open);
        Some(kind)
    }

    pub fn answer(&mut self, heard: &Heard) -> Answer {
        match (&mut self.model, heard) {
            (Model::Dlt645(meter), Heard::Dlt645(request)) => meter.answer(request),
            (Model::Adf400l(user), Heard::Modbus(frame)) => user.answer(frame),
            (Model::Rdk(meter), Heard::Rdk(request)) => meter.answer(request),
            (Model::Cjt188(meter), Heard::Cjt188(request)) => meter.answer(request),
            (Model::Acrel1352(meter), Heard::Modbus(frame)) => meter.answer(frame),
            (Model::Mbus(meter), Heard::Mbus(request)) => meter.answer(request),
            (Model::Dlms(meter), Heard::Dlms(_, request)) => meter.answer(request),
            (Model::Sfere(meter), Heard::Modbus(frame)) => meter.answer(frame),
            (Model::Dlt698(meter), Heard::Dlt698(request)) => meter.answer(request),
            _ => Answer::default(),
        }
    }

    /// The refusal that a fault ordered instead of an answer.
    pub fn refuse(&self, heard: &Heard, word: u16) -> Option<Vec<u8>> {
        match (&self.model, heard) {
            (Model::Dlt645(meter), Heard::Dlt645(request)) => Some(meter.refuse(request, word)),
            (Model::Adf400l(user), Heard::Modbus(frame)) => {
                let [exception, _] = word.to_le_bytes();
                Some(user.refuse(frame, exception))
            }
            (Model::Rdk(meter), Heard::Rdk(request)) => {
                let [no, _] = word.to_le_bytes();
                Some(meter.refuse(request, no))
            }
            (Model::Cjt188(meter), Heard::Cjt188(request)) => Some(meter.refuse(request, word)),
            (Model::Acrel1352(meter), Heard::Modbus(frame)) => {
                let [exception, _] = word.to_le_bytes();
                Some(meter.refuse(frame, exception))
            }
            (Model::Sfere(meter), Heard::Modbus(frame)) => {
                let [exception, _] = word.to_le_bytes();
                Some(meter.refuse(frame, exception))
            }
            (Model::Dlt698(meter), Heard::Dlt698(request)) => meter.refuse(request, word),
            _ => None,
        }
    }

    pub fn advance(&mut self, seconds: u32) {
        match &mut self.model {
            Model::Dlt645(meter) => meter.advance(seconds),
            Model::Adf400l(user) => user.advance(seconds),
            Model::Rdk(meter) => meter.advance(seconds),
            Model::Cjt188(meter) => meter.advance(seconds),
            Model::Acrel1352(meter) => meter.advance(seconds),
            Model::Mbus(meter) => meter.advance(seconds),
            Model::Dlms(meter) => meter.advance(seconds),
            Model::Sfere(meter) => meter.advance(seconds),
            Model::Dlt698(meter) => meter.advance(seconds),
        }
    }

    pub fn set_load(&mut self, watts: u32) {
        match &mut self.model {
            Model::Dlt645(meter) => meter.set_load(watts),
            Model::Adf400l(user) => user.set_load(watts),
            Model::Acrel1352(meter) => meter.set_load(watts),
            Model::Dlms(meter) => meter.set_load(watts),
            Model::Sfere(meter) => meter.set_load(watts),
            Model::Dlt698(meter) => meter.set_load(watts),
            // They have no load: what they counted is as planned.
            Model::Rdk(_) | Model::Cjt188(_) | Model::Mbus(_) => {}
        }
    }

    /// What can be written into it, money or days, by the names that the trade gives it.
    pub fn settings_fen(&self) -> Vec<(&'static str, u32)> {
        match &self.model {
            Model::Dlt645(meter) => {
                ["alarm-1", "alarm-2"].into_iter().zip(meter.alarms_fen()).collect()
            }
            Model::Adf400l(user) => {
                ["price-sharp", "price-peak", "price-flat", "price-valley", "alarm-1", "alarm-2"]
                    .into_iter()
                    .zip(user.settings_fen())
                    .collect()
            }
            Model::Rdk(meter) => vec![("alarm", meter.alarm_fen())],
            Model::Dlms(meter) => meter.settings_fen(),
            Model::Mbus(_) | Model::Sfere(_) | Model::Dlt698(_) => Vec::new(),
            Model::Cjt188(meter) => {
                ["settlement-day", "reading-day"].into_iter().zip(meter.days()).collect()
            }
            // Its plans are no sums.
            Model::Acrel1352(_) => Vec::new(),
        }
    }

    /// Another purchase count and last purchase than the line has brought; only a DL/T 645 meter can.
    pub fn become_another(&mut self, count: u32, last_fen: u32) {
        if let Model::Dlt645(meter) = &mut self.model {
            meter.become_another(count, last_fen);
        }
    }

    /// Somebody's hand at the case, where the device notes it.
    pub fn open_cover(&mut self) {
        match &mut self.model {
            Model::Dlt645(meter) => meter.open_cover(),
            Model::Dlms(meter) => meter.open_cover(),
            Model::Dlt698(meter) => meter.open_cover(),
            _ => {}
        }
    }

    /// No power for so long, where the device notes it.
    pub fn black_out(&mut self, seconds: u32) {
        match &mut self.model {
            Model::Dlt645(meter) => meter.black_out(seconds),
            Model::Dlms(meter) => meter.black_out(seconds),
            Model::Dlt698(meter) => meter.black_out(seconds),
            _ => {}
        }
    }

    /// The button on the meter; an ADF400L has none.
    pub fn press(&mut self) {
        match &mut self.model {
            Model::Dlt645(meter) => meter.press(),
            Model::Dlms(meter) => meter.press(),
            _ => {}
        }
    }

    pub fn state(&self, bus: &str) -> State {
        let counters = match &self.model {
            Model::Dlt645(meter) => meter.counters,
            Model::Adf400l(user) => user.counters,
            Model::Rdk(meter) => meter.counters,
            Model::Cjt188(meter) => meter.counters,
            Model::Acrel1352(meter) => meter.counters,
            Model::Mbus(meter) => meter.counters,
            Model::Dlms(meter) => meter.counters,
            Model::Sfere(meter) => meter.counters,
            Model::Dlt698(meter) => meter.counters,
        };
        let Counters { requests, sell_frames, open_frames, mac_failures } = counters;
        let (meter, bus, faults_waiting) = (self.name.clone(), bus.to_owned(), self.faults.len());
        match &self.model {
            Model::Cjt188(device) => device.state(meter, bus, faults_waiting),
            Model::Mbus(device) => device.state(meter, bus, faults_waiting),
            Model::Dlms(device) => device.state(meter, bus, faults_waiting),
            Model::Sfere(device) => device.state(meter, bus, faults_waiting),
            Model::Dlt698(device) => device.state(meter, bus, faults_waiting),
            Model::Dlt645(device) => {
                let (purse, relay) = (device.purse(), device.relay());
                State {
                    meter,
                    bus,
                    money_fen: i64::from(purse.money_fen),
                    overdraft_fen: purse.overdraft_fen,
                    count: purse.count,
                    credited_fen: purse.credited_fen,
                    credits: purse.credits,
                    taken_back_fen: purse.taken_back_fen,
                    token_credit: 0,
                    relay_closed: relay.open.is_none(),
                    relay_command_open: relay.command_open,
                    keep_power: relay.keep,
                    customer: purse.customer.map(hex::encode),
                    requests,
                    sell_frames,
                    open_frames,
                    mac_failures,
                    suspended: device.suspended(),
                    energy: device.energy_total(),
                    last_purchase: device.last_purchase(),
                    clock: device.clock(),
                    faults_waiting,
                }
            }
            Model::Adf400l(user) => user.state(meter, bus, faults_waiting),
            Model::Acrel1352(device) => device.state(meter, bus, faults_waiting),
            Model::Rdk(device) => {
                let (credited_fen, credits) = device.credited();
                State {
                    meter,
                    bus,
                    money_fen: i64::from(device.balance_fen()),
                    overdraft_fen: 0,
                    count: u32::from(device.count()),
                    credited_fen,
                    credits,
                    taken_back_fen: 0,
                    token_credit: 0,
                    relay_closed: !device.relay_open(),
                    relay_command_open: device.relay_open(),
                    keep_power: false,
                    customer: device.customer().map(hex::encode),
                    requests,
                    sell_frames,
                    open_frames,
                    mac_failures,
                    suspended: false,
                    energy: device.energy_total(),
                    last_purchase: device.last_purchase(),
                    clock: device.clock(),
                    faults_waiting,
                }
            }
        }
    }
}
