//! The contract's values into the domain's and back.
//!
//! Invariant: nothing that a driver returned reaches the domain unchecked. What a newer contract may
//! have added (a code) is mapped to the cautious side; what can only be a mistake is an error that
//! says what was returned. Not here: whether to believe it (outcome).

use crate::bindings::exports::polymeter::driver::{
    clock, entry, frames, meter, purse, settings, supply,
};
use crate::bindings::polymeter::driver::types;
use crate::driver::{Explanation, Identity};
use crate::limits::{BYTES, DETAIL_BYTES, EXTRAS, MEASUREMENTS, NAME_BYTES, TEXT_BYTES};
use crate::outcome::Claim;
use crate::text::printable;
use polymeter_domain::{
    Credit, Decimal, Evidence, LocalTime, Measurement, MeterAddress, ObisCode, Purchase,
    PurchaseCount, Quality, Quantity, Receipt, Refusal, Snapshot, SupplyCommand, SupplyState, Unit,
    Value,
};

/// The error says what was returned: "3 bytes as an address".
pub(crate) type Checked<T> = Result<T, String>;

/// At most `most` bytes, else a sentence that names it.
pub(crate) fn text(what: &str, text: String, most: usize) -> Checked<String> {
    if text.len() > most {
        return Err(format!("{what} of {} bytes, more than {most}", text.len()));
    }
    Ok(text)
}

pub(crate) fn list<T, U>(
    what: &str,
    items: Vec<T>,
    most: usize,
    each: impl FnMut(T) -> Checked<U>,
) -> Checked<Vec<U>> {
    if items.len() > most {
        return Err(format!("{} {what}, more than {most}", items.len()));
    }
    items.into_iter().map(each).collect()
}

pub(crate) fn value(value: types::Value) -> Checked<Value> {
    Ok(match value {
        types::Value::Number(types::Decimal { mantissa, scale }) => {
            Value::Number(Decimal { mantissa, scale })
        }
        types::Value::Text(content) => Value::Text(text("a text", content, TEXT_BYTES)?),
        types::Value::Flag(flag) => Value::Flag(flag),
        types::Value::Bytes(bytes) if bytes.len() > BYTES => {
            return Err(format!("{} bytes as one value, more than {BYTES}", bytes.len()));
        }
        types::Value::Bytes(bytes) => Value::Bytes(bytes),
        // Devices do lose their clock; that must cost the one value and not the whole reading.
        types::Value::Time(time) => match local_time(time) {
            Ok(time) => Value::Time(time),
            Err(shown) => Value::Text(shown),
        },
    })
}

/// The error is the time as it stands.
pub(crate) fn local_time(time: types::LocalTime) -> Result<LocalTime, String> {
    let types::LocalTime { year, month, day, hour, minute, second } = time;
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && year <= 9999
        && hour < 24
        && minute < 60
        && second < 60;
    if !fits {
        return Err(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"));
    }
    Ok(LocalTime { year, month, day, hour, minute, second })
}

pub(crate) fn extras(extras: types::Extras) -> Checked<Vec<(String, Value)>> {
    list("extras", extras, EXTRAS, |(name, content)| {
        Ok((text("a name", name, NAME_BYTES)?, value(content)?))
    })
}

fn measurement(measurement: types::Measurement) -> Checked<Measurement> {
    let register = ObisCode::new(&text("a register", measurement.register, NAME_BYTES)?)
        .map_err(|error| format!("as a register {}", printable(&error.0, NAME_BYTES)))?;
    let lost_time = matches!(&measurement.value,
        types::Value::Time(time) if local_time(*time).is_err());
    let quality = match measurement.quality {
        0 if !lost_time => Quality::Measured,
        1 => Quality::NotMeasured,
        3 if !lost_time => Quality::Estimated,
        // 2, a time that is none, and what a newer contract may add: not to be used.
        _ => Quality::Invalid,
    };
    let value = value(measurement.value)?;
    Ok(Measurement { register, value, unit: Unit(measurement.unit), quality })
}

pub(crate) fn measurements(measurements: Vec<types::Measurement>) -> Checked<Vec<Measurement>> {
    list("measurements", measurements, MEASUREMENTS, measurement)
}

fn supply_state(code: u16) -> SupplyState {
    match code {
        1 => SupplyState::Disconnected,
        2 => SupplyState::Connected,
        3 => SupplyState::ReadyForReconnection,
        _ => SupplyState::Unknown,
    }
}

pub(crate) fn snapshot(snapshot: meter::Snapshot) -> Checked<Snapshot> {
    Ok(Snapshot {
        measurements: measurements(snapshot.measurements)?,
        supply: supply_state(snapshot.supply),
        extras: extras(snapshot.extras)?,
    })
}

pub(crate) fn identity(identity: meter::Identity) -> Checked<Identity> {
    let shown = printable(&identity.address, NAME_BYTES);
    let address = MeterAddress::new(&identity.address)
        .map_err(|_| format!("as an address `{shown}`, which is none"))?;
    Ok(Identity {
        address: address.as_str().to_owned(),
        model: text("a model", identity.model, NAME_BYTES)?,
        extras: extras(identity.extras)?,
    })
}

pub(crate) fn explanation(explanation: frames::Explanation) -> Checked<Explanation> {
    Ok(Explanation {
        address: text("an address", explanation.address, NAME_BYTES)?,
        measurements: measurements(explanation.measurements)?,
        extras: extras(explanation.extras)?,
    })
}

pub(crate) fn quantity(code: u16) -> Checked<Quantity> {
    match code {
        1 => Ok(Quantity::Money),
        2 => Ok(Quantity::Energy),
        3 => Ok(Quantity::Volume),
        _ => Err(format!("a credit of quantity {code}, which this host does not know")),
    }
}

pub(crate) fn credit(credit: types::Credit) -> Checked<Credit> {
    Ok(Credit { quantity: quantity(credit.quantity)?, amount: credit.amount })
}

pub(crate) fn evidence(evidence: purse::Evidence) -> Checked<Evidence> {
    let purchase = evidence
        .purchase
        .map(|purchase| {
            let count = PurchaseCount::new(purchase.count);
            credit(purchase.credit).map(|credit| Purchase { count, credit })
        })
        .transpose()?;
    Ok(Evidence {
        count: PurchaseCount::new(evidence.count),
        purchase,
        balance: evidence.balance.map(credit).transpose()?,
    })
}

/// Texts are cut and not refused: a long reason must not turn a refusal into an unknown.
fn refusal(refusal: types::Refusal) -> Refusal {
    Refusal {
        code: refusal.code,
        detail: detail(&refusal.detail),
        device_code: refusal.device_code.map(|code| device_code(&code)),
    }
}

pub(crate) fn detail(text: &str) -> String {
    printable(text, DETAIL_BYTES)
}

pub(crate) fn device_code(text: &str) -> String {
    printable(text, NAME_BYTES)
}

pub(crate) fn receipt(outcome: types::SellOutcome) -> Checked<Claim<Receipt>> {
    Ok(match outcome {
        types::SellOutcome::Confirmed(receipt) => Claim::Confirmed(Receipt {
            count: PurchaseCount::new(receipt.count),
            balance: receipt.balance.map(credit).transpose()?,
        }),
        types::SellOutcome::Refused(no) => Claim::Refused(refusal(no)),
        types::SellOutcome::Unknown(text) => Claim::Unknown(detail(&text)),
    })
}

pub(crate) fn control(outcome: supply::ControlOutcome) -> Checked<Claim<SupplyState>> {
    Ok(match outcome {
        supply::ControlOutcome::Confirmed(code) => Claim::Confirmed(supply_state(code)),
        supply::ControlOutcome::Refused(no) => Claim::Refused(refusal(no)),
        supply::ControlOutcome::Unknown(text) => Claim::Unknown(detail(&text)),
    })
}

pub(crate) fn set(outcome: settings::SetOutcome) -> Checked<Claim<()>> {
    Ok(match outcome {
        settings::SetOutcome::Confirmed => Claim::Confirmed(()),
        settings::SetOutcome::Refused(no) => Claim::Refused(refusal(no)),
        settings::SetOutcome::Unknown(text) => Claim::Unknown(detail(&text)),
    })
}

/// A clock that shows no time is a mistake of the driver's, who was to say unknown.
pub(crate) fn clock(outcome: clock::ClockOutcome) -> Checked<Claim<LocalTime>> {
    Ok(match outcome {
        clock::ClockOutcome::Confirmed(shown) => Claim::Confirmed(
            local_time(shown).map_err(|shown| format!("{shown} as what a clock shows"))?,
        ),
        clock::ClockOutcome::Refused(no) => Claim::Refused(refusal(no)),
        clock::ClockOutcome::Unknown(text) => Claim::Unknown(detail(&text)),
    })
}

pub(crate) fn entry(outcome: entry::EntryOutcome) -> Checked<Claim<()>> {
    Ok(match outcome {
        entry::EntryOutcome::Confirmed => Claim::Confirmed(()),
        entry::EntryOutcome::Refused(no) => Claim::Refused(refusal(no)),
        entry::EntryOutcome::Unknown(text) => Claim::Unknown(detail(&text)),
    })
}

/// The host's own values towards the driver: these cannot fail.
pub(crate) mod outward {
    use super::{Credit, LocalTime, Purchase, Quantity, SupplyCommand, Value, types};

    pub(crate) fn local_time(time: LocalTime) -> types::LocalTime {
        let LocalTime { year, month, day, hour, minute, second } = time;
        types::LocalTime { year, month, day, hour, minute, second }
    }

    pub(crate) fn extras(extras: &[(String, Value)]) -> types::Extras {
        extras
            .iter()
            .map(|(name, content)| {
                let content = match content {
                    Value::Number(number) => types::Value::Number(types::Decimal {
                        mantissa: number.mantissa,
                        scale: number.scale,
                    }),
                    Value::Text(text) => types::Value::Text(text.clone()),
                    Value::Flag(flag) => types::Value::Flag(*flag),
                    Value::Bytes(bytes) => types::Value::Bytes(bytes.clone()),
                    Value::Time(time) => types::Value::Time(local_time(*time)),
                };
                (name.clone(), content)
            })
            .collect()
    }

    pub(crate) fn credit(credit: Credit) -> types::Credit {
        let quantity = match credit.quantity {
            Quantity::Money => 1,
            Quantity::Energy => 2,
            Quantity::Volume => 3,
        };
        types::Credit { quantity, amount: credit.amount }
    }

    pub(crate) fn purchase(purchase: Purchase) -> types::Purchase {
        types::Purchase { count: purchase.count.get(), credit: credit(purchase.credit) }
    }

    /// `control`'s command.
    pub(crate) fn command(command: SupplyCommand) -> u16 {
        match command {
            SupplyCommand::Disconnect => 1,
            SupplyCommand::Connect => 2,
            SupplyCommand::AllowConnection => 3,
            SupplyCommand::Protect => 4,
            SupplyCommand::EndProtection => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(change: impl FnOnce(&mut types::Measurement)) -> Checked<(Value, Quality)> {
        let mut said = types::Measurement {
            register: "1.0.1.8.0.255".to_owned(),
            value: types::Value::Flag(true),
            unit: 30,
            quality: 0,
        };
        change(&mut said);
        measurement(said).map(|checked| (checked.value, checked.quality))
    }

    #[test]
    fn unknown_codes_of_quality_are_not_to_be_used() {
        for (code, quality) in [
            (0, Quality::Measured),
            (1, Quality::NotMeasured),
            (2, Quality::Invalid),
            (3, Quality::Estimated),
            (4, Quality::Invalid),
            (u16::MAX, Quality::Invalid),
        ] {
            assert_eq!(told(|said| said.quality = code), Ok((Value::Flag(true), quality)));
        }
    }

    #[test]
    fn a_lost_clock_costs_one_value() {
        let time = |month, hour| {
            let time = types::LocalTime { year: 2026, month, day: 2, hour, minute: 0, second: 0 };
            told(|said| said.value = types::Value::Time(time))
        };
        let good = LocalTime { year: 2026, month: 3, day: 2, hour: 23, minute: 0, second: 0 };
        assert_eq!(time(3, 23), Ok((Value::Time(good), Quality::Measured)));
        for (month, hour, shown) in [
            (0, 0, "2026-00-02 00:00:00"),
            (13, 0, "2026-13-02 00:00:00"),
            (3, 24, "2026-03-02 24:00:00"),
        ] {
            assert_eq!(time(month, hour), Ok((Value::Text(shown.to_owned()), Quality::Invalid)));
        }
    }

    #[test]
    fn what_is_too_long_or_no_code_is_an_error() {
        let check = |change: fn(&mut types::Measurement), what: &str| {
            assert_eq!(told(change), Err(what.to_owned()));
        };
        check(|said| said.register = "1.0.1".to_owned(), "as a register 1.0.1");
        check(|said| said.register = "x".repeat(129), "a register of 129 bytes, more than 128");
        check(
            |said| said.value = types::Value::Text("x".repeat(4097)),
            "a text of 4097 bytes, more than 4096",
        );
        check(
            |said| said.value = types::Value::Bytes(vec![0; 4097]),
            "4097 bytes as one value, more than 4096",
        );
        let many = vec![(String::new(), types::Value::Flag(true)); 1025];
        assert_eq!(extras(many), Err("1025 extras, more than 1024".to_owned()));
        let credit = types::Credit { quantity: 0, amount: 1 };
        assert!(super::credit(credit).is_err());
    }

    #[test]
    fn a_supply_state_that_is_new_is_unknown() {
        assert_eq!(
            [0, 1, 2, 3, 4].map(supply_state),
            [
                SupplyState::Unknown,
                SupplyState::Disconnected,
                SupplyState::Connected,
                SupplyState::ReadyForReconnection,
                SupplyState::Unknown,
            ]
        );
    }

    #[test]
    fn a_long_reason_is_cut_and_stays_a_refusal() {
        let said = types::Refusal {
            code: 99,
            detail: "x".repeat(100_000),
            device_code: Some("\n".repeat(1_000)),
        };
        let Ok(Claim::Refused(refusal)) = receipt(types::SellOutcome::Refused(said)) else {
            panic!("a refusal")
        };
        assert_eq!(refusal.code, 99);
        assert!(refusal.detail.len() <= DETAIL_BYTES + '…'.len_utf8());
        let device_code = refusal.device_code.expect("kept");
        assert!(device_code.starts_with("\\n") && device_code.len() <= NAME_BYTES + '…'.len_utf8());
    }
}
