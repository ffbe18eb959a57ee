//! `vault ...`: the keys, by the person who may read the configuration. Their words are here, because
//! they are many.
//!
//! Invariant: a key or a passphrase is never an argument, which others on the machine could see, and
//! never printed. `list` shows names and a check value, by which two people compare.
//! Not here: what a driver may do with a key (`polymeter-vault`).

use super::Failure;
use crate::api::drivers::Changed;
use crate::app::chain;
use crate::config::{Config, Store, VaultEntry};
use crate::control::{Client, ControlError};
use crate::vault;
use clap::{Args, Subcommand};
use polymeter_domain::{Region, VendorCode};
use polymeter_vault::{
    Cost, KeyFile, KeyId, KeyInfo, Kind, Label, Secret, StoreError, Token, Unlock, Use,
    generated_passphrase, private_bytes, secret_from, write_private,
};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Make the configured vault file, or log in to the configured token.
    Init {
        /// Make up a passphrase of 256 bits and write it to the configured unlock-file.
        #[arg(long)]
        generate_unlock: bool,
    },
    /// Put in a first version of a key.
    Add {
        #[command(flatten)]
        name: Name,
        /// 3des, aes, sm4, hmac, dlms; sts-des, sts-kdf, sts-ea07, sts-ea11 or sts-tables.
        #[arg(long, value_parser = kind)]
        kind: Kind,
        /// Other keys are derived from it and it does nothing else.
        #[arg(long)]
        derive_only: bool,
        #[command(flatten)]
        source: Source,
    },
    /// Every version of every key: names, kind, use, check value; never the key.
    List,
    /// Put in a new version of a key; drivers still reach the older ones as LABEL@VERSION.
    Rotate {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        source: Source,
    },
    /// Write all keys into a new file under another passphrase.
    ExportBackup {
        file: PathBuf,
        #[command(flatten)]
        unlock: BackupUnlock,
    },
    /// Put in what a backup has and the vault has not.
    ImportBackup {
        file: PathBuf,
        #[command(flatten)]
        unlock: BackupUnlock,
    },
}

#[derive(Debug, Args)]
pub struct Name {
    /// The vendor's code, e.g. DLT645.
    #[arg(value_parser = vendor)]
    vendor: VendorCode,
    /// The name that the vendor's driver uses.
    #[arg(value_parser = label)]
    label: Label,
    /// For drivers that are configured for this region; without it, for all of the vendor's.
    #[arg(long, value_parser = region)]
    region: Option<Region>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Source {
    /// A file with the key in hexadecimal digits that only you can read; `-` is the standard input.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Make up a key that nobody knows.
    #[arg(long)]
    generate: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct BackupUnlock {
    /// The backup's passphrase, in a file that only you can read.
    #[arg(long, value_name = "FILE")]
    unlock_file: Option<PathBuf>,
    /// The backup's passphrase, in an environment variable.
    #[arg(long, value_name = "NAME")]
    unlock_env: Option<String>,
}

fn vendor(text: &str) -> Result<VendorCode, String> {
    VendorCode::new(text).map_err(|error| error.to_string())
}

fn region(text: &str) -> Result<Region, String> {
    Region::new(text).map_err(|error| error.to_string())
}

fn label(text: &str) -> Result<Label, String> {
    Label::new(text).ok_or_else(|| "write 1 to 64 letters, digits, `.`, `_` or `-`".to_owned())
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.map(Kind::word).join(", ");
    Kind::from_word(text).ok_or_else(|| format!("known are {}", known()))
}

pub async fn run(config: &Path, command: VaultCommand) -> Result<(), Failure> {
    vault::guard();
    let entry = VaultEntry::read(config)?;
    match command {
        VaultCommand::Init { generate_unlock } => init(&entry, generate_unlock),
        VaultCommand::Add { name, kind, derive_only, source } => {
            let usage = if derive_only { Use::DeriveOnly } else { Use::Anything };
            add(&entry, &name.id(), kind, usage, &source)?;
            tell_running(config).await
        }
        VaultCommand::List => list(&entry),
        VaultCommand::Rotate { name, source } => {
            rotate(&entry, &name.id(), &source)?;
            tell_running(config).await
        }
        VaultCommand::ExportBackup { file, unlock } => export(&entry, &file, &unlock),
        VaultCommand::ImportBackup { file, unlock } => {
            import(&entry, &file, &unlock)?;
            tell_running(config).await
        }
    }
}

/// Has the program that serves, if one does, read the keys anew.
async fn tell_running(config: &Path) -> Result<(), Failure> {
    let control = Config::control_of(config)?;
    let reread = Client::of(&control).post::<Changed>("/control/vault", &json!({})).await;
    match reread {
        Ok(_) => {
            println!("the running program has read the keys anew");
            Ok(())
        }
        Err(ControlError::NobodyServes(_)) => Ok(()),
        Err(error) => Err(Failure::Wrong(format!(
            "the vault is changed, and the running program goes on with the keys that it had: {}",
            chain(&error)
        ))),
    }
}

fn init(entry: &VaultEntry, generate_unlock: bool) -> Result<(), Failure> {
    let Store::File(path) = &entry.store else {
        if generate_unlock {
            let what = "a token's PIN is set with its maker's tool; leave --generate-unlock out";
            return Err(Failure::Usage(what.to_owned()));
        }
        let keys = token(entry)?.vault().map_err(failed("looking into the token"))?.len();
        println!("the token opens; it has {keys} keys of Polymeter");
        return Ok(());
    };
    if path.exists() {
        return Err(Failure::Usage(format!("{} is there already", path.display())));
    }
    if generate_unlock {
        let Unlock::File(file) = &entry.unlock else {
            let what = "--generate-unlock needs an unlock-file in [vault] to write to";
            return Err(Failure::Usage(what.to_owned()));
        };
        let passphrase = generated_passphrase().map_err(failed("making up a passphrase"))?;
        write_private(file, &passphrase).map_err(failed("writing the passphrase"))?;
        println!("wrote {}: keep a copy where the vault file is not", file.display());
    }
    let cost = if generate_unlock { Cost::GENERATED } else { Cost::PERSON };
    let unlock = entry.unlock.read().map_err(failed("reading what unlocks the vault"))?;
    KeyFile::create(path, unlock, cost).map_err(failed("making the vault"))?;
    println!("made {}", path.display());
    Ok(())
}

fn add(
    entry: &VaultEntry,
    id: &KeyId,
    kind: Kind,
    usage: Use,
    source: &Source,
) -> Result<(), Failure> {
    let key = source.key(kind.generated_bytes())?;
    let added = match &entry.store {
        Store::File(path) => file(entry, path)?.add(id.clone(), kind, usage, key),
        Store::Token { .. } => token(entry)?.add(id, kind, usage, &key),
    };
    added.map_err(failed("adding the key"))?;
    shown(entry, id, 1)
}

fn rotate(entry: &VaultEntry, id: &KeyId, source: &Source) -> Result<(), Failure> {
    let none = || Failure::Usage(StoreError::NoSuchKey(id.to_string()).to_string());
    let version = match &entry.store {
        Store::File(path) => {
            let mut file = file(entry, path)?;
            let (_, bytes) = file.kind(id).ok_or_else(none)?;
            file.rotate(id, source.key(bytes)?)
        }
        Store::Token { .. } => {
            let token = token(entry)?;
            let known = token.kind(id).map_err(failed("looking into the token"))?;
            let (_, bytes) = known.ok_or_else(none)?;
            token.rotate(id, &source.key(bytes)?)
        }
    };
    shown(entry, id, version.map_err(failed("rotating the key"))?)
}

fn list(entry: &VaultEntry) -> Result<(), Failure> {
    println!(
        "{:<16} {:<10} {:<16} {:>7}   {:<5} {:<7} check value",
        "vendor", "region", "label", "version", "kind", "use"
    );
    for key in infos(entry)? {
        let region = key.id.region.as_ref().map_or("-", Region::as_str);
        let current = if key.is_current { '*' } else { ' ' };
        println!(
            "{:<16} {region:<10} {:<16} {:>7} {current} {:<5} {:<7} {}",
            key.id.vendor.as_str(),
            key.id.label.as_str(),
            key.version,
            key.kind.word(),
            key.usage.word(),
            key.check_value.as_deref().unwrap_or("not told"),
        );
    }
    Ok(())
}

fn export(entry: &VaultEntry, to: &Path, unlock: &BackupUnlock) -> Result<(), Failure> {
    let path = only_a_file(entry)?;
    let passphrase = unlock.read()?;
    let exported = file(entry, path)?.export(to, passphrase, Cost::PERSON);
    let versions = exported.map_err(failed("writing the backup"))?;
    println!("wrote {versions} versions of keys to {}", to.display());
    Ok(())
}

fn import(entry: &VaultEntry, from: &Path, unlock: &BackupUnlock) -> Result<(), Failure> {
    let path = only_a_file(entry)?;
    let backup = KeyFile::open(from, unlock.read()?).map_err(failed("opening the backup"))?;
    let imported = file(entry, path)?.import(&backup);
    println!("put in {} versions of keys", imported.map_err(failed("taking the backup in"))?);
    Ok(())
}

fn only_a_file(entry: &VaultEntry) -> Result<&Path, Failure> {
    match &entry.store {
        Store::File(path) => Ok(path),
        Store::Token { .. } => Err(Failure::Usage(
            "keys do not leave a token: back it up with its maker's tool".to_owned(),
        )),
    }
}

fn file(entry: &VaultEntry, path: &Path) -> Result<KeyFile, Failure> {
    let unlock = entry.unlock.read().map_err(failed("reading what unlocks the vault"))?;
    KeyFile::open_to_change(path, unlock).map_err(failed("opening the vault"))
}

fn token(entry: &VaultEntry) -> Result<Token, Failure> {
    let Store::Token { library, token } = &entry.store else {
        return Err(Failure::Wrong("the configured vault is no token".to_owned()));
    };
    let pin = entry.unlock.read().map_err(failed("reading the token's PIN"))?;
    Token::open(library, token, &pin).map_err(failed("opening the token"))
}

fn infos(entry: &VaultEntry) -> Result<Vec<KeyInfo>, Failure> {
    let vault = match &entry.store {
        Store::File(path) => {
            let unlock = entry.unlock.read().map_err(failed("reading what unlocks the vault"))?;
            KeyFile::open(path, unlock).map_err(failed("opening the vault"))?.vault()
        }
        Store::Token { .. } => token(entry)?.vault().map_err(failed("looking into the token"))?,
    };
    Ok(vault.list())
}

/// What was put in, read back.
fn shown(entry: &VaultEntry, id: &KeyId, version: u32) -> Result<(), Failure> {
    let infos = infos(entry)?;
    let info = infos.iter().find(|info| info.id == *id && info.version == version);
    let Some(info) = info else {
        return Err(Failure::Wrong(format!("key {id} is not there after it was put in")));
    };
    let check_value = info.check_value.as_deref().unwrap_or("not told");
    println!("{id}: version {version}, {}, check value {check_value}", info.kind);
    Ok(())
}

/// What is typed or configured wrong ends with 2, everything else with 1.
fn failed(doing: &'static str) -> impl FnOnce(StoreError) -> Failure {
    move |error| match error {
        StoreError::NotHex
        | StoreError::NotPrivate { .. }
        | StoreError::KeyLength { .. }
        | StoreError::NotTables
        | StoreError::KeyExists(_)
        | StoreError::NoSuchKey(_)
        | StoreError::NotForTokens { .. }
        | StoreError::ShortPassphrase { .. } => Failure::Usage(error.to_string()),
        error => Failure::while_doing(doing)(error),
    }
}

impl Name {
    fn id(self) -> KeyId {
        KeyId { vendor: self.vendor, region: self.region, label: self.label }
    }
}

impl Source {
    /// `generated_bytes`: the length of a key that is made up.
    fn key(&self, generated_bytes: usize) -> Result<Secret, Failure> {
        let digits = match &self.from {
            None => {
                let key = Secret::random(generated_bytes);
                return key.map_err(Failure::while_doing("making up a key"));
            }
            Some(path) if path.as_os_str() == "-" => secret_from(std::io::stdin())
                .map_err(Failure::while_doing("reading the standard input"))?,
            Some(path) => private_bytes(path).map_err(failed("reading the key"))?,
        };
        digits.hex_decoded().ok_or_else(|| failed("reading the key")(StoreError::NotHex))
    }
}

impl BackupUnlock {
    fn read(&self) -> Result<Secret, Failure> {
        let unlock = match (&self.unlock_file, &self.unlock_env) {
            (Some(file), _) => Unlock::File(file.clone()),
            (None, Some(name)) => Unlock::Environment(name.clone()),
            (None, None) => {
                return Err(Failure::Usage("the backup needs a passphrase".to_owned()));
            }
        };
        unlock.read().map_err(failed("reading the backup's passphrase"))
    }
}
