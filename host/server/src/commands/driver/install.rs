//! `driver install FILE`: a package into the site's folder of drivers, once it has shown that it
//! would be taken.
//!
//! Invariant: nothing lies in that folder that a pinned key did not sign (or the admin took unsigned)
//! and that did not load; a package is there whole or not at all; what is there is never replaced by
//! something else. Not here: enabling it (files.rs).

use crate::app;
use crate::commands::{Failure, package};
use crate::config::Config;
use polymeter_package::{Manifest, Sealed, Version};
use polymeter_runtime::{WantedLimit, WantedLimits, consent_line};
use std::path::{Path, PathBuf};

/// What the admin says about this one package.
#[derive(Debug, Default)]
pub struct Consent {
    /// Where the package names several.
    pub vendor: Option<String>,
    pub allow_unsigned: bool,
    pub allow_downgrade: bool,
}

pub async fn install(file: &Path, from: &Path, consent: Consent) -> Result<(), Failure> {
    let config = Config::read(file)?;
    let sealed = Sealed::read_file(from)?;
    let wanted = package::Wanted { vendor: consent.vendor, signers: Vec::new() };
    let mut trust = package::trust(file, &sealed, &wanted)?;
    trust.allow_unsigned = consent.allow_unsigned;
    let opened = sealed.clone().open(&trust)?;
    let Manifest { name, version, imports, .. } = &opened.manifest;
    let folder = config.installed_folder();
    if !consent.allow_downgrade
        && let Some(newer) = newest(&folder, name)?.filter(|(newest, _)| newest > version)
    {
        return Err(Failure::Usage(format!(
            "{name} {version} is older than {} in {}: say --allow-downgrade if that is meant",
            newer.0,
            newer.1.display()
        )));
    }
    app::load_unconfigured(&opened, Some(config.code_folder())).await?;

    let to = folder.join(format!("{name}-{version}-{}.pmdriver", opened.digest.short()));
    let doing = || Failure::while_doing(format!("writing {}", to.display()));
    std::fs::create_dir_all(&folder).map_err(doing())?;
    sealed.write_file(&to).map_err(doing())?;
    let signed = match opened.verdict.signer() {
        Some(key) => format!("signed by key {key}"),
        None => "UNSIGNED".to_owned(),
    };
    println!("installed {name} {version} for {}, {signed}: {}", trust.vendor, to.display());
    let grants: Vec<String> = imports.iter().map(|import| format!("\"{import}\"")).collect();
    let more = WantedLimits::of(&opened.manifest).map(|wanted| wanted.beyond_defaults());
    let more = more.map_err(|bad| Failure::Wrong(format!("{name}: {bad}")))?;
    for WantedLimit { knob, wants, default } in &more {
        println!("it wants {} = {wants}; default {default}", knob.name());
    }
    println!(
        "To enable it, run `polymeter driver enable {name} --vendor {} --grant {}{}`, or write:\n\n\
         [[driver]]\nname = \"{name}\"\npackage = {}\nvendor = \"{}\"\ngrant = [{}]{}{}",
        trust.vendor,
        imports.iter().map(String::as_str).collect::<Vec<_>>().join(","),
        option(&more),
        toml::Value::from(relative(&config, &to)),
        trust.vendor,
        grants.join(", "),
        if more.is_empty() { String::new() } else { format!("\n{}", consent_line(&more)) },
        if opened.verdict.is_signed() { "" } else { "\nallow-unsigned = true" },
    );
    if config.drivers.iter().any(|entry| entry.config.vendor.as_ref() == Some(&trust.vendor)) {
        println!(
            "\n{} has a driver already; `polymeter driver upgrade` tries this one beside it.",
            trust.vendor
        );
    }
    Ok(())
}

/// The option of `driver enable` with which the admin agrees to these.
fn option(more: &[WantedLimit]) -> String {
    let each = more.iter().map(|it| format!(" --limit {}={}", it.knob.name(), it.wants));
    each.collect()
}

fn relative(config: &Config, path: &Path) -> String {
    let folder = config.file.parent().unwrap_or(Path::new(""));
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// The newest installed version of a driver, and its file.
pub(super) fn newest_of(config: &Config, name: &str) -> Result<Option<PathBuf>, Failure> {
    Ok(newest(&config.installed_folder(), name)?.map(|(_, file)| file))
}

/// A file that cannot be read as a package is nobody's version: it is passed over, and said.
fn newest(folder: &Path, name: &str) -> Result<Option<(Version, PathBuf)>, Failure> {
    let doing = || Failure::while_doing(format!("looking into {}", folder.display()));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(doing()(error)),
    };
    let mut newest: Option<(Version, PathBuf)> = None;
    for entry in entries {
        let file = entry.map_err(doing())?.path();
        if file.extension().is_none_or(|it| it != polymeter_package::EXTENSION) {
            continue;
        }
        let opened = Sealed::read_file(&file).and_then(Sealed::open_unchecked);
        match opened {
            Ok(package) if package.manifest.name == name => {
                let version = package.manifest.version;
                if newest.as_ref().is_none_or(|(known, _)| *known < version) {
                    newest = Some((version, file));
                }
            }
            Ok(_) => {}
            Err(error) => eprintln!("polymeter: {} is passed over: {error}", file.display()),
        }
    }
    Ok(newest)
}
