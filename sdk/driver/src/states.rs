//! States of a device (告警) in a reading: one extra that names all that stand, so that the host sees
//! which began and which are over. Shared names and what they mean: docs/contract.md.

use crate::{Extras, Value};

/// The extra's name.
pub const STATES: &str = "states";

/// Tells that these states stand at the device, each once, and no other. Without the call a reading
/// tells nothing of states; a driver that could not ask for them does not call it.
pub fn tell<'a>(extras: &mut Extras, standing: impl IntoIterator<Item = &'a str>) {
    let mut names: Vec<&str> = Vec::new();
    for name in standing {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    extras.push((STATES.to_owned(), Value::Text(names.join(" "))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_once() {
        let mut extras = Extras::new();
        tell(&mut extras, ["low-battery", "overload", "low-battery"]);
        tell(&mut extras, []);
        let told: Vec<_> = extras.iter().map(|(_, value)| value.clone()).collect();
        assert!(matches!(&told[0], Value::Text(text) if text == "low-battery overload"));
        assert!(matches!(&told[1], Value::Text(text) if text.is_empty()));
    }
}
