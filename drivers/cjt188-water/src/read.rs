//! Reading: what the meter shows, its clock, its valve, and its purse where it has one.

use crate::describe::MODEL;
use crate::exchange::{Answer, Exchange};
use crate::purse;
use crate::settings::{Marks, Settings};
use polymeter_codec::cjt188::{Amount, Content, Status, Valve, Water, control, identifier, kind};
use polymeter_codec::mbus::Unit;
use polymeter_driver::codes::{error, quality, register, supply, unit};
use polymeter_driver::states;
use polymeter_driver::{
    Call, Decimal, DriverError, Extras, Host, Identity, LocalTime, Measurement, Snapshot, Value,
};

/// Who is there: the address may be the wildcard.
pub fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
    let mut exchange = Exchange::new(host, call, Settings::of(call)?);
    match exchange.ask(control::READ_ADDRESS, identifier::ADDRESS, &[])? {
        Answer::Yes(address, kind, _) => Ok(Identity {
            address: address.to_string(),
            model: MODEL.to_owned(),
            extras: vec![("meter-type".to_owned(), Value::Text(format!("{kind:02X}")))],
        }),
        Answer::No(status) => Err(DriverError {
            code: error::DEVICE_SAYS_NO,
            detail: "the meter refused telling its address".to_owned(),
            device_code: Some(crate::exchange::device_code(&status)),
        }),
    }
}

pub fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
    let mut exchange = Exchange::new(host, call, Settings::of(call)?);
    let water = water(&mut exchange)?;
    let kind = exchange.settings.kind;
    let mut measurements = measurements(&water, kind);
    if exchange.settings.purse {
        let purse = purse::last(&mut exchange)?;
        measurements.extend(purse::measurements(&purse));
    }
    let extras = extras(water.status, exchange.settings.marks);
    Ok(Snapshot { measurements, supply: supply_of(water.status), extras })
}

/// What the meter shows now.
pub fn water(exchange: &mut Exchange<'_>) -> Result<Water, DriverError> {
    let payload = exchange.read(identifier::CURRENT)?;
    let content = Content { identifier: identifier::CURRENT, serial: None, payload: &payload };
    content
        .water(&exchange.settings.dialect)
        .map_err(|why| DriverError::new(error::GARBLED, why.to_string()))
}

pub fn measurements(water: &Water, kind: u8) -> Vec<Measurement> {
    let channel = channel(kind);
    let clock = clock_of(water).map(Value::Time);
    vec![
        volume(&format!("{channel}.255"), &water.total),
        volume(&format!("{channel}.1"), &water.settled),
        Measurement {
            register: register::CLOCK.to_owned(),
            quality: if clock.is_some() { quality::MEASURED } else { quality::INVALID },
            value: clock.unwrap_or(Value::Text(String::new())),
            unit: unit::NONE,
        },
    ]
}

/// What the meter's clock shows; `None`: no time.
pub fn clock_of(water: &Water) -> Option<LocalTime> {
    let (year, month, day, hour, minute, second) = water.time.parts()?;
    Some(LocalTime { year, month, day, hour, minute, second })
}

/// Group A to E of the volume (IEC 62056-61: 8 cold water, 9 hot water, 7 gas).
pub fn channel(kind: u8) -> &'static str {
    match kind {
        kind::HOT_WATER => "9.0.1.0.0",
        0x30..=0x39 => "7.0.3.0.0",
        _ => "8.0.1.0.0",
    }
}

/// A nibble above 9, or a unit that is no volume, is no reading.
pub fn volume(register: &str, amount: &Amount) -> Measurement {
    let volume = amount.meaning().filter(|meaning| meaning.unit == Unit::CubicMetre);
    let good = amount.mantissa().ok().zip(volume);
    let (mantissa, scale) = good.map_or((0, 0), |(mantissa, meaning)| (mantissa, meaning.scale));
    Measurement {
        register: register.to_owned(),
        value: Value::Number(Decimal { mantissa, scale }),
        unit: unit::CUBIC_METRE,
        quality: if good.is_some() { quality::MEASURED } else { quality::INVALID },
    }
}

pub fn supply_of(status: Status) -> u16 {
    match status.valve() {
        Valve::Open => supply::CONNECTED,
        Valve::Closed => supply::DISCONNECTED,
        Valve::Faulty | Valve::Reserved => supply::UNKNOWN,
    }
}

pub fn extras(status: Status, marks: Marks) -> Extras {
    let valve = match status.valve() {
        Valve::Open => "open",
        Valve::Closed => "closed",
        Valve::Faulty => "faulty",
        Valve::Reserved => "reserved",
    };
    let [first, second] = status.0;
    let mut extras = vec![
        ("valve".to_owned(), Value::Text(valve.to_owned())),
        ("status".to_owned(), Value::Text(format!("{first:02X}{second:02X}"))),
    ];
    let battery = status.battery_low().then_some("low-battery");
    let valve = (status.valve() == Valve::Faulty).then_some("valve-fault");
    let marked = |mask: u8, name| (second & mask != 0).then_some(name);
    let own = [marked(marks.magnet, "magnetic-field"), marked(marks.fault, "fault")];
    states::tell(&mut extras, battery.into_iter().chain(valve).chain(own.into_iter().flatten()));
    extras
}
