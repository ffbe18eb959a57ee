//! The limits that a package asks for in its `driver.toml`, held to what the admin allows.
//!
//! Invariant: nothing rises above the host's defaults unless the admin wrote the number himself; what
//! he wrote wins over what is wanted. Not here: what the limits are (limits), where they bite.

use crate::limits::{Knob, Limits, OutOfRange};
use crate::load::DriverConfig;
use polymeter_package::Manifest;
use std::collections::{BTreeMap, BTreeSet};

/// `[limits]` of a `driver.toml`, read: limits that this host has, each within its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedLimits(BTreeMap<Knob, u64>);

/// One wanted limit beside the host's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedLimit {
    pub knob: Knob,
    pub wants: u64,
    pub default: u64,
}

impl WantedLimit {
    /// The admin has to write it before the driver gets it.
    pub fn needs_consent(&self) -> bool {
        self.wants > self.default
    }
}

/// Wanted limits that no admin could grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWanted {
    #[error(
        "its [limits] has `{0}`, which this host does not have: correct its driver.toml, or take a \
         newer host"
    )]
    Unknown(String),
    #[error("its [limits] has what no driver may have: {0}")]
    OutOfRange(OutOfRange),
}

/// More than the host gives by default, and the admin has written no number for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooMuchWanted {
    pub driver: String,
    pub more: Vec<WantedLimit>,
    /// Whether the driver has limits in the configuration already, to which these are added.
    pub has_limits: bool,
}

impl std::fmt::Display for TooMuchWanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { driver, more, has_limits } = self;
        let wants: Vec<String> = more
            .iter()
            .map(|it| format!("{} = {} (default {})", it.knob.name(), it.wants, it.default))
            .collect();
        write!(f, "wants more than the host gives by default: {}; ", wants.join(", "))?;
        if *has_limits {
            write!(f, "if you agree, add to the limits of [[driver]] {driver}: {}", assigned(more))
        } else {
            let line = consent_line(more);
            write!(f, "if you agree, add this line to [[driver]] {driver}: {line}")
        }
    }
}

fn assigned(limits: &[WantedLimit]) -> String {
    let each = limits.iter().map(|it| format!("{} = {}", it.knob.name(), it.wants));
    each.collect::<Vec<_>>().join(", ")
}

/// The line of configuration with which an admin agrees to these.
pub fn consent_line(limits: &[WantedLimit]) -> String {
    format!("limits = {{ {} }}", assigned(limits))
}

impl WantedLimits {
    pub fn of(manifest: &Manifest) -> Result<WantedLimits, BadWanted> {
        let mut wanted = BTreeMap::new();
        for (name, value) in &manifest.limits {
            let knob = Knob::from_name(name).ok_or_else(|| BadWanted::Unknown(name.clone()))?;
            Limits::default().set(knob, *value).map_err(BadWanted::OutOfRange)?;
            wanted.insert(knob, *value);
        }
        Ok(WantedLimits(wanted))
    }

    /// Each beside the host's default.
    pub fn list(&self) -> Vec<WantedLimit> {
        let host = Limits::default();
        let beside = |(knob, wants): (&Knob, &u64)| WantedLimit {
            knob: *knob,
            wants: *wants,
            default: host.get(*knob),
        };
        self.0.iter().map(beside).collect()
    }

    /// Those that an admin has to agree to.
    pub fn beyond_defaults(&self) -> Vec<WantedLimit> {
        self.list().into_iter().filter(WantedLimit::needs_consent).collect()
    }

    /// The limits of a driver that is given all that it wants: its vendor certifies it, or a person
    /// tries it by hand, and nobody's meters are called.
    pub fn granted(&self) -> Limits {
        self.over(&Limits::default())
    }

    pub fn knobs(&self) -> BTreeSet<Knob> {
        self.0.keys().copied().collect()
    }

    /// The limits of a driver with this configuration.
    pub(crate) fn held_to(&self, config: &DriverConfig) -> Result<Limits, TooMuchWanted> {
        let unwritten = self.0.iter().filter(|(knob, _)| !config.written.contains(knob));
        let unwritten = WantedLimits(unwritten.map(|(knob, value)| (*knob, *value)).collect());
        let is_more = |it: &WantedLimit| it.wants > config.limits.get(it.knob);
        let more: Vec<WantedLimit> = unwritten.list().into_iter().filter(is_more).collect();
        if more.is_empty() {
            return Ok(unwritten.over(&config.limits));
        }
        let has_limits = !config.written.is_empty();
        Err(TooMuchWanted { driver: config.name.clone(), more, has_limits })
    }

    fn over(&self, given: &Limits) -> Limits {
        let mut limits = given.clone();
        for (knob, value) in &self.0 {
            // Within its range, or `of` would have refused it.
            let set = limits.set(*knob, *value);
            debug_assert_eq!(set, Ok(()));
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Capability;

    fn wanted(limits: &str) -> Result<WantedLimits, BadWanted> {
        let text = format!("{}[limits]\n{limits}", crate::tests::manifest::MANIFEST);
        let manifest = Manifest::parse(std::path::Path::new("driver.toml"), &text);
        WantedLimits::of(&manifest.expect("a good driver.toml"))
    }

    /// `written` is what stands in the configuration.
    #[track_caller]
    fn check(written: &[(Knob, u64)], asked: &str, expected: Result<&[(Knob, u64)], &str>) {
        let with = |pairs: &[(Knob, u64)]| {
            let mut limits = Limits::default();
            for (knob, value) in pairs {
                limits.set(*knob, *value).expect("in range");
            }
            limits
        };
        let config = DriverConfig {
            name: "acme".to_owned(),
            vendor: None,
            cover: None,
            region: None,
            grants: vec![Capability::Line],
            limits: with(written),
            written: written.iter().map(|(knob, _)| *knob).collect(),
        };
        let held = wanted(asked).expect("good ones").held_to(&config);
        let held = held.map_err(|more| more.to_string());
        assert_eq!(held, expected.map(with).map_err(str::to_owned));
    }

    #[test]
    fn a_driver_gets_less_if_it_wants_less_and_more_from_an_admin_alone() {
        check(&[], "", Ok(&[]));
        check(&[], "concurrent-calls = 16", Ok(&[(Knob::ConcurrentCalls, 16)]));
        check(&[], "exchanges = 64", Ok(&[]));
        check(
            &[],
            "exchanges = 65\nconcurrent-calls = 16\nlog-lines = 101",
            Err(
                "wants more than the host gives by default: exchanges = 65 (default 64), log-lines \
                 = 101 (default 100); if you agree, add this line to [[driver]] acme: limits = { \
                 exchanges = 65, log-lines = 101 }",
            ),
        );
        let (agreed, less, more) =
            ((Knob::Exchanges, 65), (Knob::Exchanges, 9), (Knob::Exchanges, 1_000));
        check(&[agreed], "exchanges = 65", Ok(&[agreed]));
        // What the admin wrote wins, both ways, and even where he wrote the default itself.
        check(&[less], "exchanges = 65", Ok(&[less]));
        check(&[more], "exchanges = 65", Ok(&[more]));
        check(&[(Knob::Exchanges, 64)], "exchanges = 65", Ok(&[]));
        check(&[(Knob::Exchanges, 64)], "exchanges = 9", Ok(&[]));
        check(
            &[agreed],
            "exchanges = 65\nlog-lines = 101",
            Err(
                "wants more than the host gives by default: log-lines = 101 (default 100); if you \
                 agree, add to the limits of [[driver]] acme: log-lines = 101",
            ),
        );
    }

    #[test]
    fn what_no_host_could_give_is_refused() {
        let said = |asked| wanted(asked).expect_err("bad ones").to_string();
        assert_eq!(
            said("colour = 1"),
            "its [limits] has `colour`, which this host does not have: correct its driver.toml, or \
             take a newer host"
        );
        assert_eq!(
            said("stack-bytes = 1"),
            "its [limits] has what no driver may have: stack-bytes = 1 must be from 16384 to 8388608"
        );
    }
}
