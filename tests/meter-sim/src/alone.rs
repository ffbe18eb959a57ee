//! One device on standard input and output, its truth on standard error: how `polymeter-sdk certify`
//! wants a simulator (docs/device-simulator.md). The device is one of the fleet's, unchanged.
//!
//! Not here: faults; the certification kit brings its own.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::device::{Device, Protocol, Scan, State, of_one_protocol};
use crate::plan::{
    Acrel1352Kind, Acrel1352Plan, Adf400lPlan, Cjt188Plan, DlmsPlan, DlmsSecurity, Dlt645Plan,
    Dlt698Plan, Editions, MbusPlan, Meters, PurseKind, SferePlan,
};

/// Energy imported in total, 0.01 kWh.
const ENERGY: &str = "1.0.1.8.0.255";
/// Volume of cold water: 0.01 m3 of CJ/T 188, 0.001 m3 of M-Bus.
const VOLUME: &str = "8.0.1.0.0.255";
const WH_PER_CENTI_KWH: u32 = 10;

/// Which device stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Alone {
    Dlt645,
    Dlt645Energy,
    #[value(name = "dlt645-1997")]
    Dlt645Of1997,
    Adf400l,
    Cjt188,
    Mbus,
    DlmsWrapper,
    DlmsHdlc,
    Ddsy1352,
    Dtsy1352,
    Adf300,
    #[value(name = "adf300-three-phase")]
    Adf300ThreePhase,
    Sfere,
    Dlt698,
}

/// The kit's argument.
#[derive(Debug, Deserialize)]
struct Start {
    address: String,
    customer: Option<String>,
    count: u32,
    balance: u32,
    last: u32,
    supply: u16,
    now: DateTime,
    readings: BTreeMap<String, u64>,
    parameters: BTreeMap<String, u32>,
    keys: BTreeMap<String, String>,
}

/// The kit's line of truth.
#[derive(Debug, Serialize)]
struct Truth {
    customer: Option<String>,
    count: u32,
    balance: i64,
    last: Option<Last>,
    supply: u16,
    parameters: BTreeMap<String, u32>,
    readings: BTreeMap<&'static str, u64>,
    credit_frames: u64,
}

#[derive(Debug, Serialize)]
struct Last {
    count: u32,
    amount: u32,
}

/// Serves until standard input ends.
pub fn serve(alone: Alone, start: &str) -> anyhow::Result<()> {
    let start: Start = serde_json::from_str(start)?;
    let meters = match alone {
        Alone::Dlt645 => Meters::Dlt645(vec![start.dlt645()]),
        Alone::Dlt645Energy => Meters::Dlt645(vec![start.dlt645_energy()?]),
        Alone::Dlt645Of1997 => {
            let editions = Editions::Of1997;
            Meters::Dlt645(vec![Dlt645Plan { editions, ..start.dlt645() }])
        }
        Alone::Adf400l => Meters::Adf400l(vec![start.adf400l()?]),
        Alone::Cjt188 => Meters::Cjt188(vec![start.cjt188()?]),
        Alone::Mbus => Meters::Mbus(vec![start.mbus()]),
        Alone::DlmsWrapper => Meters::DlmsWrapper(vec![start.dlms()?]),
        Alone::DlmsHdlc => Meters::DlmsHdlc(vec![start.dlms()?]),
        Alone::Ddsy1352 => start.acrel1352(Acrel1352Kind::Ddsy)?,
        Alone::Dtsy1352 => start.acrel1352(Acrel1352Kind::Dtsy)?,
        Alone::Adf300 => start.acrel1352(Acrel1352Kind::Adf300)?,
        Alone::Adf300ThreePhase => start.acrel1352(Acrel1352Kind::Adf300ThreePhase)?,
        Alone::Sfere => Meters::Sfere(vec![start.sfere()?]),
        Alone::Dlt698 => Meters::Dlt698(vec![start.dlt698()]),
    };
    let (protocol, devices) = of_one_protocol(meters).map_err(anyhow::Error::msg)?;
    let Some(mut device) = devices.into_iter().next() else { return Ok(()) };
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    tell(alone, &device, &start)?;
    let (mut buffer, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let length = input.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        buffer.extend(chunk.iter().take(length));
        while let Some(frame) = next(protocol, &mut buffer) {
            let Some(heard) = protocol.hear(&frame) else { continue };
            if device.notice(&heard).is_some()
                && let Some(reply) = device.answer(&heard).reply
            {
                output.write_all(&reply)?;
                output.flush()?;
            }
            tell(alone, &device, &start)?;
        }
    }
}

/// Takes the next whole frame out of the buffer, and what stands before it.
pub fn next(protocol: Protocol, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    while !buffer.is_empty() {
        match protocol.scan(buffer) {
            Scan::Frame { start, end } => return Some(buffer.drain(..end).skip(start).collect()),
            Scan::NeedMore => return None,
            Scan::Skip(bytes) => drop(buffer.drain(..bytes.max(1))),
        }
    }
    None
}

fn tell(alone: Alone, device: &Device, start: &Start) -> anyhow::Result<()> {
    let register = match alone {
        Alone::Cjt188 | Alone::Mbus => VOLUME,
        _ => ENERGY,
    };
    let mut truth = Truth::new(register, device.state("alone"), device.settings_fen());
    if alone == Alone::Dlt645Energy {
        truth.balance *= i64::from(WH_PER_CENTI_KWH);
        truth.last.iter_mut().for_each(|last| last.amount *= WH_PER_CENTI_KWH);
        truth.parameters.values_mut().for_each(|limit| *limit /= 100);
    }
    if !alone.is_sold_to() {
        // What the kit wants to hear again never changes.
        truth.customer.clone_from(&start.customer);
        truth.count = start.count;
        // A DLMS meter has a purse of its own that is read.
        if !matches!(alone, Alone::DlmsWrapper | Alone::DlmsHdlc) {
            truth.balance = start.balance.into();
        }
        if alone == Alone::Mbus {
            // It has no valve either.
            truth.supply = start.supply;
        }
        let last = Last { count: start.count, amount: start.last };
        truth.last = (start.count > 0).then_some(last);
    }
    eprintln!("{}", serde_json::to_string(&truth)?);
    Ok(())
}

impl Alone {
    /// It takes credit over its line.
    fn is_sold_to(self) -> bool {
        match self {
            Alone::Dlt645
            | Alone::Dlt645Energy
            | Alone::Dlt645Of1997
            | Alone::Adf400l
            | Alone::Cjt188 => true,
            Alone::Mbus
            | Alone::Ddsy1352
            | Alone::Dtsy1352
            | Alone::Adf300
            | Alone::Adf300ThreePhase
            | Alone::Sfere
            | Alone::Dlt698
            | Alone::DlmsWrapper
            | Alone::DlmsHdlc => false,
        }
    }
}

impl Truth {
    fn new(register: &'static str, state: State, settings: Vec<(&'static str, u32)>) -> Self {
        let last = state.last_purchase.filter(|_| state.count > 0);
        Self {
            customer: state.customer,
            count: state.count,
            balance: state.money_fen,
            last: last.map(|last| Last { count: last.count, amount: last.amount_fen }),
            supply: match (state.relay_closed, state.relay_command_open) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 3,
            },
            parameters: settings.into_iter().map(|(name, fen)| (name.to_owned(), fen)).collect(),
            readings: BTreeMap::from([(register, state.energy)]),
            credit_frames: state.sell_frames + state.open_frames,
        }
    }
}

impl Start {
    /// The kit counts in Wh, and limits in kWh; the meter in 0.01 kWh.
    fn dlt645_energy(&self) -> anyhow::Result<Dlt645Plan> {
        let counted = |watt_hours: u32| {
            let is_whole = watt_hours.is_multiple_of(WH_PER_CENTI_KWH);
            anyhow::ensure!(is_whole, "{watt_hours} Wh in this meter");
            Ok(watt_hours / WH_PER_CENTI_KWH)
        };
        let plan = self.dlt645();
        Ok(Dlt645Plan {
            purse: PurseKind::Energy,
            money_fen: counted(self.balance)?,
            last_purchase_fen: Some(counted(self.last)?),
            alarm_1_fen: plan.alarm_1_fen.saturating_mul(100),
            alarm_2_fen: plan.alarm_2_fen.saturating_mul(100),
            ..plan
        })
    }

    fn parameter(&self, name: &str) -> u32 {
        self.parameters.get(name).copied().unwrap_or(0)
    }

    fn energy(&self) -> u64 {
        self.readings.get(ENERGY).copied().unwrap_or(0)
    }

    fn dlt645(&self) -> Dlt645Plan {
        Dlt645Plan {
            key: self.keys.values().next().cloned().unwrap_or(Dlt645Plan::default().key),
            customer: self.customer.as_ref().map(|customer| format!("{customer:0>12}")),
            money_fen: self.balance,
            last_purchase_fen: Some(self.last),
            purchase_count: self.count,
            // All in the tariff that is used most, so that the total is as asked.
            tariff_energies: [0, 0, self.energy(), 0],
            clock: Some(self.now),
            alarm_1_fen: self.parameter("alarm-1"),
            alarm_2_fen: self.parameter("alarm-2"),
            relay_open: self.supply == 1,
            ..Dlt645Plan::new(&self.address)
        }
    }

    fn adf400l(&self) -> anyhow::Result<Adf400lPlan> {
        let price = |name: &str| self.parameter(name);
        Ok(Adf400lPlan {
            balance_fen: i32::try_from(self.balance)?,
            last_purchase_fen: Some(self.last),
            purchase_count: u16::try_from(self.count)?,
            energy: self.energy(),
            prices_fen: ["price-sharp", "price-peak", "price-flat", "price-valley"].map(price),
            alarm_1_fen: self.parameter("alarm-1"),
            alarm_2_fen: self.parameter("alarm-2"),
            relay_forced_open: self.supply == 1,
            clock: Some(self.now),
            ..Adf400lPlan::new(self.address.parse()?)
        })
    }

    fn acrel1352(&self, kind: Acrel1352Kind) -> anyhow::Result<Meters> {
        Ok(Meters::Acrel1352(vec![Acrel1352Plan {
            unit: self.address.parse()?,
            kind,
            energy: self.energy(),
            relay_open: self.supply == 1,
            clock: Some(self.now),
            ..Acrel1352Plan::default()
        }]))
    }

    fn sfere(&self) -> anyhow::Result<SferePlan> {
        Ok(SferePlan {
            unit: self.address.parse()?,
            tariff_energies: [0, 0, self.energy(), 0, 0],
            relay_open: self.supply == 1,
            clock: Some(self.now),
            ..SferePlan::default()
        })
    }

    fn dlt698(&self) -> Dlt698Plan {
        Dlt698Plan {
            address: self.address.clone(),
            tariff_energies: [0, 0, self.energy(), 0],
            money_fen: self.balance,
            purchase_count: self.count,
            relay_open: self.supply == 1,
            clock: Some(self.now),
            // Its answer to a reading comes in parts.
            answer_bytes_max: 96,
            ..Dlt698Plan::default()
        }
    }

    fn mbus(&self) -> MbusPlan {
        // The rest of a secondary address is the default plan's: SIM, version 1, water.
        let number = self.address.get(..8).unwrap_or_default().to_owned();
        MbusPlan { number, counted: self.volume(), clock: Some(self.now), ..MbusPlan::default() }
    }

    /// The address is `logical/physical`, the key the encryption and the authentication key.
    fn dlms(&self) -> anyhow::Result<DlmsPlan> {
        let (logical, physical) = self.address.split_once('/').unwrap_or((&self.address, "0"));
        let security = match self.keys.values().next().and_then(|keys| keys.split_at_checked(32)) {
            Some((encryption, authentication)) => DlmsSecurity::Gmac {
                encryption_key: encryption.to_owned(),
                authentication_key: authentication.to_owned(),
            },
            None => DlmsSecurity::None,
        };
        Ok(DlmsPlan {
            serial: self.address.replace('/', "-"),
            logical_device: logical.parse()?,
            physical_device: physical.parse()?,
            security,
            // All in one tariff, so that the total is as asked.
            tariff_energies: [0, 0, self.energy(), 0],
            balance_fen: i32::try_from(self.balance)?,
            disconnected: self.supply == 1,
            clock: Some(self.now),
            limit_watts: self.parameter("overload-power"),
            limit_seconds: self.parameter("overload-delay"),
            low_credit_fen: i32::try_from(self.parameter("credit-warning"))?,
            ..DlmsPlan::default()
        })
    }

    fn volume(&self) -> u64 {
        self.readings.get(VOLUME).copied().unwrap_or(0)
    }

    fn cjt188(&self) -> anyhow::Result<Cjt188Plan> {
        let day = |name: &str| u8::try_from(self.parameter(name));
        Ok(Cjt188Plan {
            address: self.address.clone(),
            volume: self.volume(),
            money_fen: self.balance,
            last_purchase_fen: self.last,
            purchase_count: u8::try_from(self.count)?,
            valve_closed: self.supply == 1,
            settlement_day: day("settlement-day")?,
            reading_day: day("reading-day")?,
            clock: Some(self.now),
            ..Cjt188Plan::default()
        })
    }
}
