//! Captured frames of this family's 4G meters in words: what a meter says of itself, its uploads with
//! their values, and Modbus frames inside the envelope.
//!
//! Not here: the envelope on a line, which is the host's (`envelope = "acrel-4g"` of the line).

use polymeter_codec::acrel_4g::{Frame, Registration, Time, Upload, command, decode, false_start};
use polymeter_codec::capture;
use polymeter_driver::captured::Recognised;
use polymeter_driver::codes::{quality, register, unit};
use polymeter_driver::{Explanation, Extras, LocalTime, Measurement, Value};
use polymeter_modbus::time::of_century;
use polymeter_modbus::value::number;

/// What a frame says.
struct Said {
    address: String,
    measurements: Vec<Measurement>,
    extras: Extras,
    check_bits: u32,
}

/// 16 of the CRC, and 32 of the marks.
const ENVELOPE_BITS: u32 = 48;

/// `None`: no envelope, or one behind a frame that `modbus` knows. `modbus` explains a frame inside.
pub fn explain(
    captured: &[u8],
    modbus: impl Fn(&[u8]) -> Result<Explanation, String>,
) -> Option<Explanation> {
    let found = capture::first(captured, decode, false_start).ok()?;
    if modbus(captured.get(..found.before)?).is_ok() {
        return None;
    }
    let Frame { command, payload } = found.frame;
    let (name, said) = match command {
        command::REGISTER => ("registration", registration(payload)),
        command::UPLOAD => ("upload", upload(payload)),
        command::TIME => ("time", told_time(payload)),
        command::TRANSPARENT => ("Modbus", transparent(payload, modbus)),
        command::HEARTBEAT => ("heartbeat", Ok(Said::bytes(payload))),
        command::CHOOSE_BLOCKS => ("choice of what is uploaded", Ok(Said::bytes(payload))),
        command::PARAMETERS => ("parameters of the modem", Ok(Said::bytes(payload))),
        command::RESTART => ("restart", Ok(Said::bytes(payload))),
        command::SERVER => ("address of the server", Ok(Said::bytes(payload))),
        command::ALARMS => ("alarms", Ok(Said::bytes(payload))),
        command::FIRMWARE => ("firmware", Ok(Said::bytes(payload))),
        _ => ("unknown", Ok(Said::bytes(payload))),
    };
    let said = said.unwrap_or_else(|why| {
        let mut said = Said::bytes(payload);
        said.extras.push(("note".to_owned(), text(&why)));
        said
    });
    let recognised = Recognised {
        protocol: "acrel-4g",
        checks: "marks, CRC".to_owned(),
        check_bits: ENVELOPE_BITS.saturating_add(said.check_bits),
        before: found.before,
        after: found.after,
    };
    let mut extras = vec![("command".to_owned(), text(&format!("{command:02X} {name}")))];
    extras.extend(said.extras);
    Some(recognised.explained(said.address, said.measurements, extras))
}

impl Said {
    fn new(address: &str, extras: Extras) -> Said {
        Said { address: address.to_owned(), measurements: Vec::new(), extras, check_bits: 0 }
    }

    fn bytes(payload: &[u8]) -> Said {
        let payload = (!payload.is_empty()).then(|| Value::Bytes(payload.to_vec()));
        Said::new("", payload.map(|bytes| ("payload".to_owned(), bytes)).into_iter().collect())
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn of_server(what: &str) -> Said {
    Said::new("", vec![("shape".to_owned(), text(what))])
}

fn registration(payload: &[u8]) -> Result<Said, String> {
    if payload.is_empty() {
        return Ok(of_server("the server's answer"));
    }
    let it = Registration::of(payload).map_err(|why| why.to_string())?;
    let version = |[high, low]: [u8; 2]| format!("{high:02X}{low:02X}");
    let versions = it.firmware.map(version).join(" ");
    let extras = vec![
        ("serial".to_owned(), text(it.serial)),
        ("iccid".to_owned(), text(it.iccid)),
        ("rssi".to_owned(), number(i64::from(it.rssi), 0)),
        ("firmware".to_owned(), text(&versions)),
        ("upload-minutes".to_owned(), number(i64::from(it.upload_minutes), 0)),
    ];
    Ok(Said::new(it.serial, extras))
}

fn told_time(payload: &[u8]) -> Result<Said, String> {
    let Ok(it) = Time::of(payload) else {
        // A meter that asks tells its serial number.
        return Ok(Said::bytes(payload));
    };
    let time = of_century([it.year, it.month, it.day, it.hour, it.minute, it.second]);
    let time = time.ok_or("the payload is no day of the calendar")?;
    let mut said = of_server("the server's answer");
    said.extras.push(("time".to_owned(), Value::Time(time)));
    Ok(said)
}

fn transparent(
    payload: &[u8],
    modbus: impl Fn(&[u8]) -> Result<Explanation, String>,
) -> Result<Said, String> {
    let inside = modbus(payload)?;
    let known = |name: &str| inside.extras.iter().find(|(extra, _)| extra == name);
    let check_bits = match known("check-bits") {
        Some((_, Value::Number(bits))) => u32::try_from(bits.mantissa).unwrap_or(0),
        _ => 0,
    };
    // Those of the envelope itself stand there already.
    let of_both = ["check-bits", "checks"];
    let extras = inside.extras.into_iter().filter(|(name, _)| !of_both.contains(&name.as_str()));
    let extras = extras.map(|(name, value)| match name.as_str() {
        "protocol" => ("inside".to_owned(), value),
        _ => (name, value),
    });
    Ok(Said {
        address: inside.address,
        measurements: inside.measurements,
        extras: extras.collect(),
        check_bits,
    })
}

/// Energies stand where the block of all values has them, which an upload is: 0.01 kWh.
const ENERGIES: [(&str, usize); 5] = [
    ("1.0.1.8.0.255", 42),
    ("1.0.1.8.1.255", 46),
    ("1.0.1.8.2.255", 50),
    ("1.0.1.8.3.255", 54),
    ("1.0.1.8.4.255", 58),
];
const DEEP_VALLEY: (&str, usize) = ("1.0.1.8.5.255", 96);
/// YY MM DD weekday hh mm ss in the shorter upload, without the weekday in the longer one.
const TIME_AT: usize = 80;
/// Bytes of registers.
const SHORT: usize = 0x60;
const LONG: usize = 0x90;

fn upload(payload: &[u8]) -> Result<Said, String> {
    if payload.is_empty() {
        return Ok(of_server("the server's answer"));
    }
    let upload = Upload::of(payload).map_err(|why| why.to_string())?;
    let serial = upload.serial.unwrap_or_default();
    let mut said = Said::new(serial, vec![("serial".to_owned(), text(serial))]);
    let mut sections = 0_u32;
    for section in upload.sections() {
        sections = sections.saturating_add(1);
        said.check_bits = said.check_bits.saturating_add(16);
        said.extras.push(("meter".to_owned(), text(section.meter)));
        said.extras.push(("modbus".to_owned(), Value::Bytes(section.modbus.to_vec())));
        // Of several meters no value could be told apart.
        if sections == 1 {
            said.measurements = values(section.modbus);
        } else {
            said.measurements.clear();
        }
    }
    Ok(said)
}

/// Of a whole reply to a read of holding registers whose length is that of an upload.
fn values(modbus: &[u8]) -> Vec<Measurement> {
    let Some((&[_, 0x03, count], rest)) = modbus.split_first_chunk() else { return Vec::new() };
    let Some(data) = rest.get(..usize::from(count)) else { return Vec::new() };
    let deep = (data.len() == LONG).then_some(DEEP_VALLEY);
    if data.len() != SHORT && deep.is_none() {
        return Vec::new();
    }
    let energy = |(name, at): (&str, usize)| {
        let bytes = data.get(at..)?.first_chunk::<4>()?;
        let value = number(i64::from(u32::from_be_bytes(*bytes)), -2);
        Some(measured(name, value, unit::KILOWATT_HOUR))
    };
    let mut told: Vec<Measurement> = ENERGIES.into_iter().chain(deep).filter_map(energy).collect();
    let clock = data.get(TIME_AT..).unwrap_or_default();
    let clock: Option<LocalTime> = match (deep, clock) {
        (None, &[year, month, day, _, hour, minute, second, ..])
        | (Some(_), &[year, month, day, hour, minute, second, ..]) => {
            of_century([year, month, day, hour, minute, second])
        }
        _ => None,
    };
    told.extend(clock.map(|at| measured(register::CLOCK, Value::Time(at), unit::NONE)));
    told
}

fn measured(register: &str, value: Value, unit: u16) -> Measurement {
    Measurement { register: register.to_owned(), value, unit, quality: quality::MEASURED }
}
