//! `[[reader]]` and `[[reader-profile]]`: which card readers this site has, and how makes of readers that
//! the program does not know are spoken to.
//!
//! Not here: what a profile means (`polymeter_transport`), and which cards are whose.

use super::checks::Checker;
use super::raw;
use polymeter_transport::{
    Endpoint, LineSettings, Parity, ReaderPlace, ReaderProfile, ReaderProfiles, ReaderSettings,
};
use std::collections::HashMap;
use std::path::Path;
use toml::Spanned;

/// A PC/SC name has at most 128 bytes (pcsclite's `MAX_READERNAME`).
const PATTERN_BYTES_MAX: usize = 128;

/// As a serial reader is delivered (ACS, ACR122S Communication Protocol 2.01, page 8).
const BAUD: u32 = 9_600;
/// As it is with its resistor R12 (ACR122L Communication Protocol 1.03, page 20); it knows no other.
const BAUD_FAST: u32 = 115_200;

impl Checker<'_> {
    /// `lines`: whose ports no reader has.
    pub(super) fn readers(
        &mut self,
        readers: &[raw::Reader],
        lines: &[LineSettings],
    ) -> Vec<ReaderSettings> {
        let mut seen = HashMap::new();
        let mut found: Vec<ReaderSettings> = Vec::new();
        for reader in readers {
            self.unique(&mut seen, "reader", &reader.name);
            let name = reader.name.get_ref().clone();
            let place = match (&reader.pcsc, &reader.port) {
                (Some(pattern), None) => self.pcsc(&name, pattern, reader.baud.as_ref()),
                (None, Some(port)) => self.port(&name, port, reader.baud.as_ref()),
                (Some(_), Some(_)) | (None, None) => {
                    let what = format!("reader `{name}` needs exactly one place");
                    let fix = "give it either pcsc = \"a name of `polymeter reader list`\" or \
                               port = \"/dev/...\" or \"tcp:host:port\"";
                    self.problem(&reader.name, what, fix.to_owned());
                    None
                }
            };
            let Some(place) = place else { continue };
            if let (ReaderPlace::Port(endpoint), Some(port)) = (&place, &reader.port) {
                let line = lines.iter().find(|line| is_one_port(&line.endpoint, endpoint));
                let of_other = |other: &&ReaderSettings| match &other.place {
                    ReaderPlace::Port(theirs) => is_one_port(theirs, endpoint),
                    ReaderPlace::Pcsc(_) => false,
                };
                let owner = line.map(|line| format!("line `{}`", line.name)).or_else(|| {
                    found.iter().find(of_other).map(|other| format!("reader `{}`", other.name))
                });
                if let Some(owner) = owner {
                    let what = format!("the port of reader `{name}` is {owner}'s already");
                    self.problem(port, what, "a port has one device: name another".to_owned());
                }
            }
            found.push(ReaderSettings { name, place });
        }
        found
    }

    fn pcsc(
        &mut self,
        name: &str,
        pattern: &Spanned<String>,
        baud: Option<&Spanned<u32>>,
    ) -> Option<ReaderPlace> {
        if let Some(baud) = baud {
            let what = format!("reader `{name}` is PC/SC's and has a baud rate");
            self.problem(baud, what, "remove it: only a port has one".to_owned());
        }
        let written = pattern.get_ref();
        if written.is_empty() || written.len() > PATTERN_BYTES_MAX {
            let what = format!("reader `{name}` names no PC/SC reader");
            let fix = "write a name of `polymeter reader list`, or a part of it with *";
            self.problem(pattern, what, fix.to_owned());
            return None;
        }
        Some(ReaderPlace::Pcsc(written.clone()))
    }

    /// A device file, or `tcp:` and the address of a serial server.
    fn port(
        &mut self,
        name: &str,
        port: &Spanned<String>,
        baud: Option<&Spanned<u32>>,
    ) -> Option<ReaderPlace> {
        if let Some(address) = port.get_ref().strip_prefix("tcp:") {
            if let Some(baud) = baud {
                let what = format!("reader `{name}` is behind tcp and has a baud rate");
                let fix = "remove it: the serial server has its own".to_owned();
                self.problem(baud, what, fix);
            }
            let host_and_port = address.rsplit_once(':');
            if !host_and_port
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            {
                let what = format!("`{}` is no port", port.get_ref());
                let fix = "write tcp:host:port, e.g. tcp:10.0.0.5:4001".to_owned();
                self.problem(port, what, fix);
                return None;
            }
            return Some(ReaderPlace::Port(Endpoint::Tcp { address: address.to_owned() }));
        }
        let path = Path::new(port.get_ref());
        if !path.is_absolute() {
            let what = format!("`{}` is no port", port.get_ref());
            let fix = "write the path of a device, e.g. /dev/ttyUSB0, or tcp:host:port".to_owned();
            self.problem(port, what, fix);
            return None;
        }
        let rate = baud.map_or(BAUD, |baud| *baud.get_ref());
        if let Some(baud) = baud.filter(|_| rate != BAUD && rate != BAUD_FAST) {
            let what = format!("reader `{name}` has {rate} baud");
            let fix = format!("write {BAUD}, as it is delivered, or {BAUD_FAST}");
            self.problem(baud, what, fix);
        }
        Some(ReaderPlace::Port(Endpoint::Serial {
            path: path.to_owned(),
            baud: rate,
            parity: Parity::None,
            stop_bits: 1,
        }))
    }

    pub(super) fn reader_profiles(&mut self, own: &[Spanned<ReaderProfile>]) -> ReaderProfiles {
        let mut profiles: Vec<ReaderProfile> = Vec::new();
        for profile in own {
            let name = profile.get_ref().name();
            if profiles.iter().any(|known| known.name() == name) {
                let what = format!("reader profile `{name}` stands twice");
                self.problem(profile, what, "leave one of them".to_owned());
                continue;
            }
            profiles.push(profile.get_ref().clone());
        }
        ReaderProfiles::with(profiles)
    }
}

/// Whatever it is set to.
fn is_one_port(one: &Endpoint, other: &Endpoint) -> bool {
    let place = |endpoint: &Endpoint| match endpoint {
        Endpoint::Serial { path, .. } => path.display().to_string(),
        Endpoint::Tcp { address } | Endpoint::Enveloped { address, .. } => address.clone(),
    };
    place(one) == place(other)
}
