//! The demo's site on disk: folder, vault, configuration; and who lives there.

use super::{cards, keypad};
use crate::commands::Failure;
use meter_sim::{Endpoint, Simulator};
use polymeter_domain::{MeterAddress, VendorCode};
use polymeter_package::PublicKey;
use polymeter_runtime::Driver;
use polymeter_vault::{
    Cost, KeyFile, KeyId, Kind, Label, Secret, Use, generated_passphrase, write_private,
};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// One of the simulator's meters, and the customer that the demo makes for it.
#[derive(Debug)]
pub struct SimulatedMeter {
    pub serial_number: &'static str,
    pub driver: &'static str,
    pub line: &'static str,
    pub address: &'static str,
    pub customer_number: &'static str,
    pub customer_name: &'static str,
    pub phone: &'static str,
    pub premises: &'static str,
    pub price_fen: i64,
    pub sales_fen: &'static [i64],
    pub is_switched: bool,
}

const ACREL: &str = "acrel-adf400l";
const DLT645: &str = "dlt645-2007";
/// Driver, its vendor code, what it is granted.
const DRIVERS: [(&str, &str, &str); 5] = [
    (ACREL, "ACREL", r#"["line", "log"]"#),
    (DLT645, "DLT645", r#"["line", "vault", "log"]"#),
    ("card-sle4442-acme", "ACME", r#"["card-slot", "vault", "log"]"#),
    ("card-sg-cpu", "SGCPU", r#"["card-slot", "vault", "log"]"#),
    (keypad::DRIVER, keypad::VENDOR, r#"["line", "vault", "log"]"#),
];
/// A vendor's own library, beside the packages.
const LIBRARY: &str = "rdk-native.so";

/// As the simulator's plan for demos has them.
pub const METERS: &[SimulatedMeter] = &[
    meter("ADF400L-01", ACREL, "bus-tcp", "1", "100001", "王小明", "Bakery, unit 1", &[5000], true),
    meter(
        "ADF400L-02",
        ACREL,
        "bus-tcp",
        "2",
        "100002",
        "Li Na",
        "Tailor, unit 2",
        &[10000, 2550],
        false,
    ),
    meter("ADF400L-03", ACREL, "bus-tcp", "3", "100003", "陈静", "Tea house, unit 3", &[], false),
    meter(
        "ADF400L-04",
        ACREL,
        "bus-tcp",
        "4",
        "100004",
        "Zhao Lei",
        "Phone shop, unit 4",
        &[],
        false,
    ),
    meter(
        "000000000001",
        DLT645,
        "bus-serial",
        "000000000001",
        "200001",
        "刘洋",
        "Flat 101",
        &[5000],
        true,
    ),
    meter(
        "000000000002",
        DLT645,
        "bus-serial",
        "000000000002",
        "200002",
        "Sun Mei",
        "Flat 102",
        &[8000, 1],
        false,
    ),
    meter(
        "000000000003",
        DLT645,
        "bus-serial",
        "000000000003",
        "200003",
        "周强",
        "Flat 201",
        &[],
        false,
    ),
    meter(
        "000000000004",
        DLT645,
        "bus-serial",
        "000000000004",
        "200004",
        "Wu Hao",
        "Flat 202",
        &[],
        false,
    ),
];

#[allow(clippy::too_many_arguments, reason = "a row of the table above")]
const fn meter(
    serial_number: &'static str,
    driver: &'static str,
    line: &'static str,
    address: &'static str,
    customer_number: &'static str,
    customer_name: &'static str,
    premises: &'static str,
    sales_fen: &'static [i64],
    is_switched: bool,
) -> SimulatedMeter {
    SimulatedMeter {
        serial_number,
        driver,
        line,
        address,
        customer_number,
        customer_name,
        phone: "",
        premises,
        price_fen: 52,
        sales_fen,
        is_switched,
    }
}

/// The simulator's own key for its DL/T 645 meters; a test key that is in no real meter.
const TEST_KEY: &[u8] = b"00112233445566778899AABBCCDDEEFF";
const VAULT: &str = "keys.vault";
const UNLOCK: &str = "vault.unlock";

pub fn address_of(simulated: &SimulatedMeter) -> Result<MeterAddress, Failure> {
    MeterAddress::new(simulated.address).map_err(Failure::while_doing("an address of the demo"))
}

pub fn driver_of(
    drivers: Vec<Arc<Driver>>,
    simulated: &SimulatedMeter,
) -> Result<Arc<Driver>, Failure> {
    let found = drivers.into_iter().find(|driver| driver.name() == simulated.driver);
    found.ok_or_else(|| Failure::Wrong(format!("driver {} is not loaded", simulated.driver)))
}

/// Where the demo keeps its files.
#[derive(Debug)]
pub enum Folder {
    /// Gone when the demo ends.
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    pub fn path(&self) -> &Path {
        match self {
            Folder::Temporary(folder) => folder.path(),
            Folder::Kept(folder) => folder,
        }
    }
}

/// The meters of a simulator are new at each start, so a ledger of an earlier demo cannot be
/// theirs.
pub fn folder(data: Option<PathBuf>) -> Result<Folder, Failure> {
    let Some(folder) = data else {
        let folder = tempfile::Builder::new()
            .prefix("polymeter-demo-")
            .tempdir()
            .map_err(Failure::while_doing("making a temporary folder"))?;
        return Ok(Folder::Temporary(folder));
    };
    let doing = format!("making {}", folder.display());
    std::fs::create_dir_all(&folder).map_err(Failure::while_doing(doing))?;
    let mut entries = std::fs::read_dir(&folder)
        .map_err(Failure::while_doing(format!("looking into {}", folder.display())))?;
    if entries.next().is_some() {
        let shown = folder.display();
        return Err(Failure::Usage(format!(
            "{shown} is not empty: simulated meters start anew, so give the demo a new folder"
        )));
    }
    Ok(Folder::Kept(folder))
}

/// Vault and configuration; returns the latter.
pub async fn write(
    folder: &Path,
    drivers: &Path,
    listen: SocketAddr,
    database: Option<&str>,
    simulator: &Simulator,
) -> Result<PathBuf, Failure> {
    make_vault(folder)?;
    let database = match database {
        Some(url) => format!("url = {}", toml::Value::from(url)),
        None => "path = \"polymeter.db\"".to_owned(),
    };
    let mut text = format!(
        "# Written by `polymeter demo`.\n[server]\nlisten = \"{listen}\"\n\n[database]\n\
         {database}\n\n[site]\ntime-zone = \"Asia/Shanghai\"\ncurrency = \"CNY\"\n\n\
         [vault]\nfile = \"{VAULT}\"\nunlock-file = \"{UNLOCK}\"\n"
    );
    let signer = developer_key(drivers)?;
    for (name, vendor, grant) in DRIVERS {
        let package = found(drivers.join(format!("{name}.pmdriver")))?;
        let package = toml::Value::from(package.display().to_string());
        let _ = write!(
            text,
            "\n[[driver]]\nname = \"{name}\"\npackage = {package}\nvendor = \"{vendor}\"\n\
             grant = {grant}\n\n[[vendor]]\ncode = \"{vendor}\"\nsigner = [\"{signer}\"]\n"
        );
    }
    text += &library(drivers)?;
    for (name, endpoint) in simulator.endpoints() {
        let end = match &endpoint {
            Endpoint::Tcp(address) => format!("tcp = \"{address}\""),
            Endpoint::Serial(path) => {
                let path = toml::Value::from(path.display().to_string());
                format!("serial = {path}\nbaud = 9600\nparity = \"even\"")
            }
        };
        // The simulated wire needs no waiting for the end of an answer that is long.
        let _ = write!(
            text,
            "\n[[line]]\nname = \"{name}\"\n{end}\ninter-frame-ms = 5\nreply-timeout-ms = 1000\n\
             byte-timeout-ms = 50\n"
        );
    }
    let file = folder.join("polymeter.toml");
    std::fs::write(&file, text)
        .map_err(Failure::while_doing(format!("writing {}", file.display())))?;
    Ok(file)
}

/// `[[driver]]` of the library, pinned by its sum.
fn library(drivers: &Path) -> Result<String, Failure> {
    let file = found(drivers.join(LIBRARY))?;
    let bytes = std::fs::read(&file)
        .map_err(Failure::while_doing(format!("reading {}", file.display())))?;
    let sum = hex::encode(Sha256::digest(bytes));
    let file = toml::Value::from(file.display().to_string());
    Ok(format!(
        "\n[[driver]]\nname = \"rdk\"\nnative = {file}\nfunction = \"RDKIcard\"\nsha256 = \"{sum}\"\n\
         vendor = \"RDK\"\ngrant = [\"line\", \"card-slot\", \"log\"]\n"
    ))
}

fn found(file: PathBuf) -> Result<PathBuf, Failure> {
    file.canonicalize().map_err(Failure::while_doing(format!(
        "looking for {} (cargo xtask drivers builds it; --drivers names another folder)",
        file.display()
    )))
}

/// A vault with the keys of meters, cards and tokens, as `polymeter vault` would make it.
fn make_vault(folder: &Path) -> Result<(), Failure> {
    let failed = || Failure::while_doing("making the demo's vault");
    let passphrase = generated_passphrase().map_err(failed())?;
    write_private(&folder.join(UNLOCK), &passphrase).map_err(failed())?;
    let mut vault =
        KeyFile::create(&folder.join(VAULT), passphrase, Cost::GENERATED).map_err(failed())?;
    let card_key = hex::encode(cards::KEY).into_bytes();
    let of_meters = ("DLT645", "purse", Kind::TripleDes, TEST_KEY);
    let of_cards = cards::KEYS.map(|(vendor, label, kind)| (vendor, label, kind, &card_key[..]));
    let of_tokens = keypad::keys()
        .map(|(label, kind, key)| (keypad::VENDOR, label, kind, hex::encode(key).into_bytes()));
    let of_tokens =
        of_tokens.iter().map(|(vendor, label, kind, key)| (*vendor, *label, *kind, key.as_slice()));
    for (vendor, label, kind, key) in std::iter::once(of_meters).chain(of_cards).chain(of_tokens) {
        let (Ok(vendor), Some(label), Some(key)) =
            (VendorCode::new(vendor), Label::new(label), Secret::from_hex(key))
        else {
            return Err(Failure::Wrong("the demo's own key is malformed".to_owned()));
        };
        let id = KeyId { vendor, region: None, label };
        vault.add(id, kind, Use::Anything, key).map_err(failed())?;
    }
    Ok(())
}

/// The key beside the packages, which signed them when they were built.
fn developer_key(drivers: &Path) -> Result<PublicKey, Failure> {
    let file = drivers.join("developer.pub");
    let text = std::fs::read_to_string(&file).map_err(Failure::while_doing(format!(
        "reading {} (cargo xtask drivers makes it; --drivers names another folder)",
        file.display()
    )))?;
    PublicKey::parse(&text).map_err(Failure::while_doing(format!("reading {}", file.display())))
}
