//! What a companion specification says that the Blue Book leaves to it: the codes in event logs and
//! the bits of the alarm register, as the names that all drivers share (docs/contract.md).
//!
//! Invariant: a code means something only where the parameter `companion` says whose it is. Not here:
//! the M-Bus devices behind a meter, whose events are theirs.

use crate::settings::Companion;
use polymeter_codec::Obis;

/// Alarm register 1, class 1.
pub const ALARMS: Obis = Obis([0, 0, 97, 98, 0, 255]);

/// The Dutch Smart Meter Requirements, P3 companion standard, event codes; IDIS meters have the same.
const DSMR_EVENTS: &[(u8, &str)] = &[
    (1, "power-down"),
    (2, "power-up"),
    (3, "daylight-saving-changed"),
    // The old time, then the new one.
    (4, "clock-left"),
    (5, "clock-set"),
    (6, "clock-fault"),
    (7, "low-battery"),
    (8, "low-battery"),
    (9, "tariff-activated"),
    (10, "errors-cleared"),
    (11, "alarms-cleared"),
    // Program memory, RAM, non-volatile memory, watchdog, measurement system.
    (12, "fault"),
    (13, "fault"),
    (14, "fault"),
    (15, "fault"),
    (16, "fault"),
    (17, "firmware-ready"),
    (18, "firmware-activated"),
    (19, "programmed"),
    (40, "terminal-cover-open"),
    (41, "terminal-cover-closed"),
    (42, "magnetic-field"),
    (43, "magnetic-field-gone"),
    (44, "cover-open"),
    (45, "cover-closed"),
    (46, "authentication-failed"),
    (47, "programmed"),
    (48, "keys-changed"),
    (49, "decryption-failed"),
    (50, "replay-seen"),
    (59, "ready-for-reconnection"),
    // By hand, from afar, by the meter itself.
    (60, "relay-opened"),
    (61, "relay-closed"),
    (62, "relay-opened"),
    (63, "relay-closed"),
    (64, "relay-opened"),
    (65, "overload"),
    (66, "overload-over"),
    (67, "programmed"),
    (68, "relay-fault"),
    (69, "relay-closed"),
    (255, "events-cleared"),
];

/// DSMR P3, alarm register 1. Bits of what has happened and does not stand, and of M-Bus devices, are
/// left out.
const DSMR_ALARMS: &[(u8, &str)] = &[
    (0, "clock-fault"),
    (1, "low-battery"),
    (8, "fault"),
    (9, "fault"),
    (10, "fault"),
    (11, "fault"),
    (12, "fault"),
    (13, "tamper"),
];

/// What a code of an event log means; "code-47" where nobody says.
pub fn event(companion: Companion, code: u64) -> String {
    let table = match companion {
        Companion::None => &[],
        Companion::Dsmr => DSMR_EVENTS,
    };
    let known = table.iter().find(|(known, _)| u64::from(*known) == code);
    known.map_or_else(|| format!("code-{code}"), |(_, name)| (*name).to_owned())
}

/// The names of all that stand in an alarm register.
pub fn states(companion: Companion, alarms: u64) -> impl Iterator<Item = &'static str> {
    let table = match companion {
        Companion::None => &[],
        Companion::Dsmr => DSMR_ALARMS,
    };
    table.iter().filter(move |(bit, _)| alarms >> bit & 1 == 1).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_something_only_where_somebody_says_what() {
        assert_eq!(event(Companion::None, 44), "code-44");
        assert_eq!(event(Companion::Dsmr, 44), "cover-open");
        assert_eq!(event(Companion::Dsmr, 300), "code-300");
        let standing = |companion, bits| states(companion, bits).collect::<Vec<_>>();
        assert_eq!(standing(Companion::Dsmr, 0x2002), ["low-battery", "tamper"]);
        assert_eq!(standing(Companion::Dsmr, 0x0001_0004), [""; 0]);
        assert_eq!(standing(Companion::None, 0x2002), [""; 0]);
    }

    #[test]
    fn a_name_is_one_that_the_host_takes() {
        let names = DSMR_EVENTS.iter().chain(DSMR_ALARMS).map(|(_, name)| *name);
        for name in names {
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(name.len() <= 40 && name.bytes().all(fits), "{name}");
        }
        assert!(DSMR_EVENTS.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
