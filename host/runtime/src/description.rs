//! What a driver says of itself, checked once, at load.
//!
//! Invariant: a [`Description`] in hand is complete and consistent: known codes, bounded texts,
//! parameters with distinct names and ranges that hold something.

use crate::bindings::exports::polymeter::driver::info;
use crate::convert::{Checked, list, quantity, text, value};
use crate::limits::{MODELS, NAME_BYTES, PARAMETERS};
use crate::text::printable;
use polymeter_domain::{Quantity, Unit, Value, VendorCode};
use polymeter_package::Proof;
use polymeter_transcript::Function;
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub vendor_code: VendorCode,
    pub name: String,
    pub version: String,
    pub models: Vec<String>,
    pub proof: Proof,
    /// What the purse in the device holds; `None`: it has none.
    pub purse: Option<Quantity>,
    pub parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub title_en: String,
    pub title_zh: String,
    pub unit: Unit,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    /// Used when the meter's configuration does not name it.
    pub default: Option<Value>,
    /// `set_parameters` writes it into the device; false: it only steers the driver.
    pub writable: bool,
}

/// Abilities found by probing the component's exports. A purse counts only where the driver also
/// describes one, because the SDK exports every interface of the world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// It serves devices on a line.
    pub meter: bool,
    /// It serves cards in a reader.
    pub cards: bool,
    pub purse: bool,
    pub supply: bool,
    pub settings: bool,
    pub frames: bool,
    /// It can search a line.
    pub bus: bool,
    /// It can take credit back out of the purse.
    pub refund: bool,
    /// It makes tokens for devices without a line.
    pub token: bool,
    /// It puts the device's clock right.
    pub clock: bool,
    /// It enters tokens over the line.
    pub entry: bool,
    /// It reads what the device keeps of the past.
    pub records: bool,
}

impl Abilities {
    /// Whether the interface of `function` is among them; `info` always is.
    pub(crate) fn has(self, function: Function) -> bool {
        match function.interface() {
            "purse" => self.purse,
            "supply" => self.supply,
            "settings" => self.settings,
            "frames" => self.frames,
            "bus" => self.bus,
            "refund" => self.refund,
            "token" => self.token,
            "clock" => self.clock,
            "entry" => self.entry,
            "records" => self.records,
            "card" => self.cards,
            "meter" => self.meter,
            _ => true,
        }
    }
}

impl Description {
    pub(crate) fn check(said: info::Description) -> Checked<Self> {
        let name = |what: &str, content: String| text(what, content, NAME_BYTES);
        let shown = printable(&said.vendor_code, NAME_BYTES);
        let description = Description {
            vendor_code: VendorCode::new(&said.vendor_code)
                .map_err(|_| format!("as a vendor code `{shown}`, which is none"))?,
            name: name("a name", said.name)?,
            version: name("a version", said.version)?,
            models: list("models", said.models, MODELS, |model| name("a model", model))?,
            proof: proof(said.proof)?,
            purse: if said.purse == 0 { None } else { Some(quantity(said.purse)?) },
            parameters: list("parameters", said.parameters, PARAMETERS, parameter)?,
        };
        let names: BTreeSet<_> =
            description.parameters.iter().map(|parameter| &parameter.name).collect();
        if names.len() < description.parameters.len() {
            return Err("two parameters of the same name".to_owned());
        }
        Ok(description)
    }
}

/// Unlike the codes of a reading this one has no cautious reading: it says how money is proved.
fn proof(code: u16) -> Checked<Proof> {
    match code {
        0 => Ok(Proof::None),
        1 => Ok(Proof::PurchaseCount),
        2 => Ok(Proof::CreditRegister),
        3 => Ok(Proof::PurchaseList),
        _ => Err(format!("as proof of a sale {code}, which this host does not know")),
    }
}

fn parameter(said: info::Parameter) -> Checked<Parameter> {
    let parameter = Parameter {
        name: text("a parameter's name", said.name, NAME_BYTES)?,
        title_en: text("a title", said.title_en, NAME_BYTES)?,
        title_zh: text("a title", said.title_zh, NAME_BYTES)?,
        unit: Unit(said.unit),
        minimum: said.minimum,
        maximum: said.maximum,
        default: said.default.map(value).transpose()?,
        writable: said.writable,
    };
    if parameter.name.is_empty() || !parameter.name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("a parameter named `{}`", printable(&parameter.name, NAME_BYTES)));
    }
    if let (Some(minimum), Some(maximum)) = (parameter.minimum, parameter.maximum)
        && minimum > maximum
    {
        return Err(format!("{} from {minimum} to {maximum}", parameter.name));
    }
    Ok(parameter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change: impl FnOnce(&mut info::Description)) -> Checked<Description> {
        let mut said = info::Description {
            vendor_code: "ACREL".to_owned(),
            name: "a meter".to_owned(),
            version: "1.0.0".to_owned(),
            models: vec!["M1".to_owned()],
            proof: 1,
            purse: 1,
            parameters: vec![parameter("a"), parameter("b")],
        };
        change(&mut said);
        Description::check(said)
    }

    fn parameter(name: &str) -> info::Parameter {
        info::Parameter {
            name: name.to_owned(),
            title_en: String::new(),
            title_zh: String::new(),
            unit: 255,
            minimum: Some(0),
            maximum: Some(0),
            default: None,
            writable: false,
        }
    }

    #[test]
    fn a_good_description_passes() {
        let description = said(|_| {}).expect("good");
        assert_eq!(description.purse, Some(Quantity::Money));
        assert_eq!(description.proof, Proof::PurchaseCount);
        assert_eq!(said(|said| said.purse = 0).expect("good").purse, None);
    }

    #[test]
    fn a_bad_description_is_refused_with_the_reason() {
        let check = |change: fn(&mut info::Description), reason: &str| {
            assert_eq!(said(change), Err(reason.to_owned()));
        };
        check(
            |said| said.vendor_code = "acrel".to_owned(),
            "as a vendor code `acrel`, which is none",
        );
        check(|said| said.name = "x".repeat(129), "a name of 129 bytes, more than 128");
        check(|said| said.models = vec![String::new(); 257], "257 models, more than 256");
        check(|said| said.proof = 9, "as proof of a sale 9, which this host does not know");
        check(|said| said.purse = 9, "a credit of quantity 9, which this host does not know");
        check(|said| said.parameters = vec![parameter("a"); 2], "two parameters of the same name");
        check(|said| said.parameters = vec![parameter("")], "a parameter named ``");
        check(|said| said.parameters = vec![parameter("\u{1b}x")], "a parameter named `\\u{1b}x`");
        check(
            |said| said.parameters.iter_mut().for_each(|parameter| parameter.minimum = Some(1)),
            "a from 1 to 0",
        );
    }
}
