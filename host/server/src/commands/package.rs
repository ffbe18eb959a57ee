//! `driver verify FILE` and `driver inspect FILE`: a package looked at before anybody installs it.
//!
//! Invariant: verify ends with 0 only for a package that `serve` would take from this file; what is
//! merely looked at is never run. Not here: drivers that are configured (driver.rs).

use super::{Failure, print_json};
use crate::app;
use crate::config::Config;
use polymeter_domain::VendorCode;
use polymeter_package::{Manifest, Package, PublicKey, Role, Sealed, Trust, Verdict};
use polymeter_runtime::{WantedLimit, WantedLimits};
use serde_json::{Value, json};
use std::path::Path;

/// Whose signature is asked for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// `None`: the vendor that the package names, if it names only one.
    pub vendor: Option<String>,
    /// Public keys, or paths of their files, instead of the configuration's.
    pub signers: Vec<String>,
}

/// Signature, manifest, and a component that is what the manifest says: it is compiled and asked to
/// describe itself, without line and keys.
pub async fn verify(config: &Path, file: &Path, wanted: &Wanted) -> Result<(), Failure> {
    let sealed = Sealed::read_file(file)?;
    let trust = trust(config, &sealed, wanted)?;
    let package = sealed.open(&trust)?;
    let driver = app::load_unconfigured(&package, None).await?;
    let signed = match &package.verdict {
        Verdict::Signed { signer, counter_signer: None } => format!("signed by key {signer}"),
        Verdict::Signed { signer, counter_signer: Some(second) } => {
            format!("signed by key {signer}, counter-signed by key {second}")
        }
        Verdict::Unsigned { .. } | Verdict::Unchecked { .. } => "UNSIGNED".to_owned(),
    };
    println!(
        "{}: good: {} {} for {}, {signed}",
        file.display(),
        package.manifest.name,
        package.manifest.version,
        trust.vendor
    );
    println!("  digest {}", package.digest);
    println!("  imports {}", driver.imports().join(", "));
    Ok(())
}

/// The pins of the configuration for the package's vendor, or the keys that were named.
pub(super) fn trust(config: &Path, sealed: &Sealed, wanted: &Wanted) -> Result<Trust, Failure> {
    // Only its vendors are read here, to know which pins it has to stand up to.
    let manifest = sealed.clone().open_unchecked()?.manifest;
    let vendor = match (&wanted.vendor, manifest.vendors.as_slice()) {
        (Some(code), _) => {
            VendorCode::new(code).map_err(|error| Failure::Usage(error.to_string()))?
        }
        (None, [only]) => only.code.clone(),
        (None, several) => {
            let codes: Vec<&str> = several.iter().map(|vendor| vendor.code.as_str()).collect();
            let codes = codes.join(", ");
            return Err(Failure::Usage(format!("say --vendor with one of {codes}")));
        }
    };
    if wanted.signers.is_empty() {
        if !config.is_file() {
            return Err(Failure::Usage(format!(
                "{} is not there to say which keys are pinned: name it with --config, or name the \
                 vendor's key with --signer",
                config.display()
            )));
        }
        return Ok(Config::read(config)?.pins.trust(&vendor, false));
    }
    let signers = wanted.signers.iter().map(|text| public_key(text)).collect::<Result<_, _>>()?;
    Ok(Trust { vendor, signers, counter_signer: None, allow_unsigned: false })
}

fn public_key(text: &str) -> Result<PublicKey, Failure> {
    let path = Path::new(text);
    let text = if path.is_file() {
        std::fs::read_to_string(path)
            .map_err(Failure::while_doing(format!("reading {}", path.display())))?
    } else {
        text.to_owned()
    };
    PublicKey::parse(&text)
        .map_err(|error| Failure::Usage(format!("`{}` {error}", text.trim().escape_debug())))
}

/// Everything that can be said of a file without running it.
pub fn inspect(file: &Path) -> Result<(), Failure> {
    let sealed = Sealed::read_file(file)?;
    let counter = sealed.claimed(Role::Operator);
    let package = sealed.open_unchecked()?;
    let mut shown = facts(&package)?;
    if let Some(key) = counter {
        shown["counter_signature"] = json!({ "key": key.to_string(), "is_checked": false });
    }
    print_json(&shown)
}

/// Each limit that it wants beside the host's own, or why none of them can be had.
fn limits(manifest: &Manifest) -> Value {
    match WantedLimits::of(manifest) {
        Ok(wanted) => wanted.list().iter().map(limit).collect(),
        Err(bad) => Value::String(bad.to_string()),
    }
}

fn limit(limit: &WantedLimit) -> Value {
    json!({
        "name": limit.knob.name(),
        "wants": limit.wants,
        "default": limit.default,
        "needs_consent": limit.needs_consent(),
    })
}

/// A package as JSON. A signature that was not judged is told as a claim.
pub fn facts(package: &Package) -> Result<Value, Failure> {
    let imports = polymeter_runtime::imports(&package.manifest.name, &package.component)
        .map_err(|error| Failure::Wrong(error.to_string()))?;
    let signature = |key: &polymeter_package::KeyId, is_checked: bool| -> Value {
        json!({ "key": key.to_string(), "is_checked": is_checked })
    };
    let (vendor, counter) = match &package.verdict {
        Verdict::Signed { signer, counter_signer } => {
            (Some(signature(signer, true)), counter_signer.as_ref().map(|key| signature(key, true)))
        }
        Verdict::Unsigned { claimed } | Verdict::Unchecked { claimed } => {
            (claimed.as_ref().map(|key| signature(key, false)), None)
        }
    };
    Ok(json!({
        "manifest": package.manifest.to_json(),
        "digest": package.digest.to_string(),
        "signature": vendor,
        "counter_signature": counter,
        "imports": imports,
        "limits": limits(&package.manifest),
        "component_bytes": package.component.len(),
        "transcripts": package.transcripts.iter().map(|it| it.member()).collect::<Vec<_>>(),
        "licences": package.licences.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
    }))
}
