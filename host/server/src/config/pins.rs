//! The `[[vendor]]` tables: public keys whose signature makes a package good for a vendor's meters.
//!
//! Not here: judging a package by them (`polymeter_package`).

use super::checks::Checker;
use super::raw;
use polymeter_domain::VendorCode;
use polymeter_package::problem::line_at;
use polymeter_package::{PublicKey, Trust};
use std::collections::BTreeMap;
use toml::Spanned;

/// By vendor code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<VendorCode, Pinned>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pinned {
    signers: Vec<PublicKey>,
    counter_signer: Option<PublicKey>,
}

impl Pins {
    /// The vendors of which keys are pinned.
    pub fn vendors(&self) -> impl Iterator<Item = &VendorCode> {
        self.0.keys()
    }

    /// What a package for `vendor` has to show.
    pub fn trust(&self, vendor: &VendorCode, allow_unsigned: bool) -> Trust {
        let pinned = self.0.get(vendor);
        Trust {
            vendor: vendor.clone(),
            signers: pinned.map_or_else(Vec::new, |pinned| pinned.signers.clone()),
            counter_signer: pinned.and_then(|pinned| pinned.counter_signer.clone()),
            allow_unsigned,
        }
    }
}

impl Checker<'_> {
    pub(super) fn pins(&mut self, vendors: &[raw::Vendor]) -> Pins {
        let mut lines = BTreeMap::new();
        let mut pins = BTreeMap::new();
        for vendor in vendors.iter().filter(|vendor| vendor.driver.is_none()) {
            let Some(code) = self.vendor(&vendor.code) else { continue };
            let line = line_at(self.text, vendor.code.span().start);
            if let Some(first) = lines.insert(code.clone(), line) {
                let what = format!("vendor {code} already stands in line {first}");
                let fix = "write all its keys into one signer = [...]".to_owned();
                self.problem(&vendor.code, what, fix);
            }
            let keys = vendor.signer.as_ref().map_or(&[][..], |signer| signer.get_ref());
            let none = format!("vendor {code} has no signer");
            match &vendor.signer {
                Some(signer) if keys.is_empty() => {
                    let fix = "write its public keys, e.g. signer = [\"RW...\"]".to_owned();
                    self.problem(signer, none, fix);
                }
                Some(_) => {}
                None => {
                    let fix = "write its public keys, e.g. signer = [\"RW...\"], or driver = \"...\" \
                               where the driver of another vendor covers its meters";
                    self.problem(&vendor.code, none, fix.to_owned());
                }
            }
            let signers: Vec<PublicKey> = keys.iter().filter_map(|key| self.key(key)).collect();
            let counter_signer = vendor.counter_signer.as_ref().and_then(|key| {
                let found = self.key(key)?;
                if signers.contains(&found) {
                    let what = format!("the counter-signer of {code} is its signer too");
                    let fix = "name a key of your own: two signatures are two people's".to_owned();
                    self.problem(key, what, fix);
                }
                Some(found)
            });
            pins.insert(code, Pinned { signers, counter_signer });
        }
        Pins(pins)
    }

    fn key(&mut self, text: &Spanned<String>) -> Option<PublicKey> {
        let found = PublicKey::parse(text.get_ref());
        if found.is_err() {
            let start: String = text.get_ref().chars().take(60).collect();
            let what = format!("`{}` is no public key of minisign", start.escape_debug());
            let fix = "write the line of the .pub file that begins with RW".to_owned();
            self.problem(text, what, fix);
        }
        found.ok()
    }
}
