//! Who is there, and what one reading brings: registers with their scalers and units, the switch, the
//! clock, the account.

use crate::account;
use crate::association;
use crate::companion::{self, ALARMS};
use crate::measure::{Measured, dotted, number, text};
use crate::session::Got;
use crate::settings::{Companion, PUBLIC_CLIENT, Register, Security, Settings};
use crate::supply::Switch;
use polymeter_codec::Obis;
use polymeter_codec::dlms::{Attribute, Data};
use polymeter_driver::codes::{quality, register, unit};
use polymeter_driver::states;
use polymeter_driver::{Call, DriverError, Host, Identity, Snapshot, Value};

/// The logical device name: three letters of the maker, and whatever the maker likes.
pub const DEVICE_NAME: Obis = Obis([0, 0, 42, 0, 0, 255]);
pub const CLOCK: Obis = Obis([0, 0, 1, 0, 0, 255]);

/// Asks for the name as the public client, which every meter answers.
pub fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
    let settings = Settings::of(call)?;
    let public = Settings { client: PUBLIC_CLIENT, security: Security::None, ..settings };
    let mut session = association::open(host, &public, call)?;
    let name = session.get(Attribute { class: 1, object: DEVICE_NAME, attribute: 2 })?;
    session.close();
    let model = match name.data()? {
        Ok(Data::Octets(name) | Data::Visible(name) | Data::Utf8(name)) => text(name),
        _ => None,
    };
    let model = model.unwrap_or_default();
    Ok(Identity { address: public.address, model, extras: Vec::new() })
}

pub fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
    let settings = Settings::of(call)?;
    let mut session = association::open(host, &settings, call)?;
    let mut asked: Vec<Attribute> = settings.registers.iter().flat_map(parts).collect();
    let clock = asked.len();
    asked.push(Attribute { class: 8, object: CLOCK, attribute: 2 });
    let switch = asked.len();
    asked.extend(Switch::attributes(&settings));
    let purse = asked.len();
    asked.extend(account::attributes(&settings));
    let alarms = asked.len();
    let companion = settings.past.companion;
    if companion != Companion::None {
        asked.push(Attribute { class: 1, object: ALARMS, attribute: 2 });
    }
    let all = session.get_all(&asked)?;
    session.close();

    let part = |from: usize, count: usize| -> &[Got] {
        let to = from.saturating_add(count);
        all.get(from..to).unwrap_or_default()
    };
    let mut measured = Measured::default();
    let mut at = 0;
    for register in &settings.registers {
        let count = parts(register).len();
        measured.register(register, part(at, count));
        at = at.saturating_add(count);
    }
    measured.clock(part(clock, 1));
    measured.account(part(purse, account::COUNT), settings.account);
    measured.alarms(part(alarms, 1), companion);
    let told = Switch::of(part(switch, 3));
    if let Some(Ok(Ok(mode))) = all.get(switch.saturating_add(2)).map(Got::data)
        && let Some(Value::Number(mode)) = number(&mode, 0)
    {
        measured.extras.push(("control-mode".to_owned(), Value::Number(mode)));
    }
    let Measured { measurements, extras } = measured;
    Ok(Snapshot { measurements, supply: told.supply(), extras })
}

/// The attributes of a register's value, then of its scaler and unit.
fn parts(register: &Register) -> Vec<Attribute> {
    let attribute =
        |attribute| Attribute { class: register.class, object: register.object, attribute };
    match register.class {
        1 => vec![attribute(2)],
        // A demand register's scaler stands behind its last average.
        5 => vec![attribute(2), attribute(4)],
        _ => vec![attribute(2), attribute(3)],
    }
}

impl Measured {
    /// The alarm register, and what of it the companion specification explains. It is asked for only
    /// where there is one.
    fn alarms(&mut self, got: &[Got], companion: Companion) {
        let Some(Ok(data)) = got.first().map(Got::data) else { return };
        let data = match data {
            Ok(data) => data,
            Err(why) => return self.refused(&format!("1:{}", dotted(ALARMS)), why),
        };
        let value = number(&data, 0);
        let quality = if value.is_some() { quality::MEASURED } else { quality::INVALID };
        self.push(dotted(ALARMS), value, unit::NONE, quality);
        if let Data::Unsigned { value, .. } = data {
            states::tell(&mut self.extras, companion::states(companion, value));
        }
    }

    /// The clock: local time in 12 bytes, with a status.
    fn clock(&mut self, got: &[Got]) {
        let name = register::CLOCK.to_owned();
        let Some(Ok(data)) = got.first().map(Got::data) else { return };
        let data = match data {
            Ok(data) => data,
            Err(why) => return self.refused("8:0.0.1.0.0.255", why),
        };
        let (value, status) = match crate::measure::moment(&data) {
            Some((time, status)) => (Some(Value::Time(time)), status),
            None => (None, 0),
        };
        // Bit 0: the time is invalid; bit 1: doubtful; FF: not said (IEC 62056-6-2, 4.1.6.1).
        let quality = match (&value, status) {
            (None, _) => quality::INVALID,
            (Some(_), 0xFF) => quality::MEASURED,
            (Some(_), status) if status & 1 != 0 => quality::INVALID,
            (Some(_), status) if status & 2 != 0 => quality::ESTIMATED,
            (Some(_), _) => quality::MEASURED,
        };
        self.push(name, value, unit::NONE, quality);
    }
}
