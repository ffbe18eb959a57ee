//! `polymeter`: the command line, and nothing else.
//!
//! Exit codes: 0 done, 1 failed, 2 bad input, 3 the device said no, 4 nobody knows.

use clap::{Parser, Subcommand, ValueEnum};
use polymeter_domain::{Channel, SaleId, SupplyCommand, VendorCode};
use polymeter_runtime::ClockWay;
use polymeter_server::{app, commands, demo};
use polymeter_service::ScanRequest;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Sells electricity to any vendor's prepaid meter through one ledger and one screen.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration.
    #[arg(long, global = true, default_value = "polymeter.toml", value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the page and the API.
    Serve,
    /// Simulated meters of two vendors, sold to, read and switched; then serve the page.
    Demo {
        /// Go through it, then end: exit 0 only when every step held.
        #[arg(long)]
        once: bool,
        /// Where the packages (*.pmdriver) are.
        #[arg(long, value_name = "DIR")]
        drivers: Option<PathBuf>,
        /// Keep configuration and database here instead of in a fresh temporary folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        #[arg(long, default_value = "127.0.0.1:8645")]
        listen: SocketAddr,
        /// Keep the books in this empty database of a PostgreSQL server instead of in a file.
        #[arg(long, value_name = "URL")]
        database: Option<String>,
    },
    /// Check a configuration and load its drivers; print every problem.
    CheckConfig {
        /// Instead of --config.
        file: Option<PathBuf>,
    },
    /// The configured drivers.
    #[command(subcommand)]
    Driver(DriverCommand),
    /// The vendors that are known, the driver for each, and which of them this site serves.
    Vendors,
    /// Read a meter now.
    Read {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
    },
    /// Sell to a meter and wait for the end.
    Sell {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
        #[arg(allow_hyphen_values = true, help = "In the site's currency, e.g. 50.00")]
        amount: String,
        /// The sale's id; repeating a command with the same id is safe.
        #[arg(long, value_name = "UUID")]
        id: Option<SaleId>,
        /// How it is paid: cash, bank, card, alipay, wechat or unionpay.
        #[arg(long, value_name = "NAME", default_value = "cash", value_parser = commands::sell::channel)]
        channel: Channel,
    },
    /// Have a token made that is no sale: an order to a meter into which tokens are typed.
    Token(commands::token::Token),
    /// Read a meter and charge its customer's purse.
    Charge {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
    },
    /// Command a meter's supply.
    Control {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
        command: Supply,
    },
    /// What a meter keeps of the past (profiles, events): read it out and print it as JSON.
    Records {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
        #[arg(value_name = "KIND", help = "Left out: which kinds there are")]
        kind: Option<String>,
        /// From this day or minute of the meter's clock on; left out: since the last that is stored.
        #[arg(long, value_name = "TIME", requires = "kind")]
        since: Option<String>,
    },
    /// How far a meter's clock is off, and putting it right.
    Clock {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
        /// adjust: within the protocol's rules, as anybody on the line may; set: with authority, by any
        /// amount. Left out: it is only read.
        #[arg(value_name = "WAY", value_parser = commands::clock::way, requires = "reason")]
        way: Option<ClockWay>,
        /// For the audit trail.
        #[arg(long)]
        reason: Option<String>,
    },
    /// What can be done to the card in a reader (IC卡).
    Card {
        /// The reader, where several hold a card.
        #[arg(long, global = true)]
        reader: Option<String>,
        #[command(subcommand)]
        command: commands::card::CardCommand,
    },
    /// Search a line for meters; changes nothing in any of them.
    Scan {
        #[arg(value_name = "LINE", help = "A line of the configuration")]
        line: String,
        /// Only with this vendor's driver.
        #[arg(long, value_name = "CODE", value_parser = commands::scan::vendor)]
        vendor: Option<VendorCode>,
        /// One of the driver's ways of searching; its first where this is left out.
        #[arg(long)]
        way: Option<String>,
        /// An argument of the way.
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = commands::scan::argument)]
        arguments: Vec<(String, String)>,
        /// Do not try other baud rates and parities where nobody answers on a serial line.
        #[arg(long)]
        as_configured: bool,
    },
    /// Print the arithmetic of a sale's price, and calculate it again.
    Explain {
        #[arg(value_name = "SALE_ID")]
        sale: SaleId,
    },
    /// Settle what earlier runs left open, by the meters' own records.
    Reconcile,
    /// Explain captured frames, each as JSON; needs no configuration.
    Decode {
        /// The driver whose frames they are; without it each frame is told by whoever knows it best.
        #[arg(long, value_name = "NAME")]
        driver: Option<String>,
        /// Where the packages (*.pmdriver) are.
        #[arg(long, value_name = "DIR")]
        drivers: Option<PathBuf>,
        /// A log of frames, `-` for standard input: one JSON document to a line for each.
        #[arg(long, value_name = "FILE", conflicts_with = "bytes")]
        file: Option<PathBuf>,
        #[arg(required_unless_present = "file", value_name = "HEX")]
        bytes: Vec<String>,
    },
    /// Play a transcript against a driver: "identical", or the first difference.
    Replay {
        /// A *.transcript; see docs/transcripts.md.
        file: PathBuf,
        /// Another driver than the recorded one: a configured name, or a file.
        #[arg(long, value_name = "NAME|FILE")]
        driver: Option<String>,
        /// Where the built drivers are, when no configuration names the driver.
        #[arg(long, value_name = "DIR")]
        drivers: Option<PathBuf>,
    },
    /// The books.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Back up the whole database into a new folder, beside a running `serve`.
    Backup { folder: PathBuf },
    /// Make the configured database, which is not there yet, from a backup; or put back a part.
    Restore {
        folder: PathBuf,
        /// Only look whether the backup is whole.
        #[arg(long, conflicts_with = "table")]
        check: bool,
        /// Only the missing rows of this table, into the database that is there.
        #[arg(long)]
        table: Option<String>,
        /// Only of meters of this line.
        #[arg(long, requires = "table")]
        line: Option<String>,
        /// Only from this time or day of the site on.
        #[arg(long, value_name = "TIME", requires = "table")]
        from: Option<String>,
        /// Only before this time or day of the site.
        #[arg(long, value_name = "TIME", requires = "table")]
        until: Option<String>,
    },
    /// Close a day of the site: sign and keep the head of the books.
    DayClose {
        /// One that has begun and comes after the last closed one; today where it is left out.
        #[arg(long, value_name = "YYYY-MM-DD")]
        day: Option<String>,
    },
    /// The keys that drivers use by name and never see.
    #[command(subcommand)]
    Vault(commands::vault::VaultCommand),
    /// The card readers of this machine.
    #[command(subcommand)]
    Reader(commands::reader::ReaderCommand),
    /// Print the API's OpenAPI document.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum DriverCommand {
    /// What serves: its state, calls, failures and traps.
    List,
    /// The last lines that a driver wrote, and its last trap.
    Logs { name: String },
    /// End a driver's quarantine at once.
    Release { name: String },
    /// A configured driver by its name, or a .pmdriver file: manifest, signatures, imports, as JSON.
    Inspect {
        #[arg(value_name = "NAME|FILE")]
        what: String,
    },
    /// Check a .pmdriver file as serve would: signature by a pinned key, manifest, component.
    Verify {
        file: PathBuf,
        /// Where the package names several.
        #[arg(long, value_name = "CODE")]
        vendor: Option<String>,
        /// The vendor's public key or its .pub file, instead of the configuration's pins.
        #[arg(long, value_name = "RW...")]
        signer: Vec<String>,
    },
    /// Have the running program read the configuration anew, without a restart.
    Reload,
    /// Check a .pmdriver file as serve would, and put it into the folder of drivers.
    Install {
        file: PathBuf,
        /// Where the package names several.
        #[arg(long, value_name = "CODE")]
        vendor: Option<String>,
        /// Take a package that no pinned key has signed.
        #[arg(long)]
        allow_unsigned: bool,
        /// Take a version older than one that is installed.
        #[arg(long)]
        allow_downgrade: bool,
    },
    /// Write `enabled = true` for a configured driver, or with --vendor a table for an installed one,
    /// and reload.
    Enable {
        name: String,
        /// The vendor code of its meters.
        #[arg(long, value_name = "CODE", requires = "grant")]
        vendor: Option<String>,
        /// What it may use: line, vault, log.
        #[arg(long, value_delimiter = ',', requires = "vendor")]
        grant: Vec<String>,
        /// A limit that it may have, where it wants more than the host's default.
        #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', requires = "vendor")]
        limit: Vec<String>,
    },
    /// Write `enabled = false` for a configured driver, and reload; its meters wait.
    Disable { name: String },
    /// Try a package beside the driver that serves: shadow, then canary, and back by itself.
    Upgrade {
        name: String,
        #[arg(value_name = "FILE")]
        package: PathBuf,
        /// Lines on which it reads after the current version and is compared.
        #[arg(long, value_name = "LINE", value_delimiter = ',')]
        shadow_lines: Vec<String>,
        /// Share of the meters that it then serves, in percent.
        #[arg(long, value_name = "PERCENT", default_value_t = 0)]
        canary: u8,
    },
    /// Let the candidate take the place of the current version.
    Promote { name: String },
    /// Send the candidate back; without one, the version before serves again.
    Rollback { name: String },
    /// What was said to a meter in its last calls.
    Trace {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
        /// How many calls.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=200))]
        last: u32,
    },
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check every row, every balance and the hash chain.
    Verify {
        /// The public key of the day closes, or its file; without it the one beside the database.
        #[arg(long, value_name = "RW...|FILE")]
        key: Option<String>,
        /// The text of a head that was kept elsewhere, with FILE.minisig beside it.
        #[arg(long, value_name = "FILE")]
        head: Vec<PathBuf>,
    },
    /// The head of a day close and its signature, as minisign checks them.
    Head {
        /// A closed day of the site; the last where it is left out.
        #[arg(long, value_name = "YYYY-MM-DD")]
        day: Option<String>,
        /// Write FILE and FILE.minisig instead of printing.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The trial balance, now or at any moment before.
    Balance {
        /// A transfer's number, a time, or a day of the site (its end).
        #[arg(long, value_name = "MOMENT", default_value = "")]
        at: String,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Supply {
    Disconnect,
    Connect,
    Allow,
    Protect,
    Unprotect,
}

impl From<Supply> for SupplyCommand {
    fn from(supply: Supply) -> Self {
        match supply {
            Supply::Disconnect => SupplyCommand::Disconnect,
            Supply::Connect => SupplyCommand::Connect,
            Supply::Allow => SupplyCommand::AllowConnection,
            Supply::Protect => SupplyCommand::Protect,
            Supply::Unprotect => SupplyCommand::EndProtection,
        }
    }
}

/// A file by its extension, else the name of a configured driver.
fn is_package(what: &str) -> bool {
    Path::new(what).extension().is_some_and(|extension| extension == polymeter_package::EXTENSION)
}

fn main() -> ExitCode {
    // Before anything else: this process may have been started to compile one component, or to load
    // one native library.
    let arguments = std::env::args_os;
    let native = || polymeter_runtime::native_worker(arguments());
    if let Some(ended) = polymeter_runtime::compile_worker(arguments()).or_else(native) {
        return ended;
    }
    serve_or_command()
}

#[tokio::main]
async fn serve_or_command() -> ExitCode {
    let arguments = Arguments::parse();
    let quiet = !matches!(arguments.command, Command::Serve | Command::Demo { once: false, .. });
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| if quiet { "warn" } else { "info" }.into());
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr)
        .init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("polymeter: {}", app::chain(&failure));
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn drivers(config: &Path, command: DriverCommand) -> Result<(), commands::Failure> {
    use commands::driver;
    match command {
        DriverCommand::List => driver::list(config).await,
        DriverCommand::Inspect { what } if is_package(&what) => {
            commands::package::inspect(Path::new(&what))
        }
        DriverCommand::Inspect { what } => driver::inspect(config, &what).await,
        DriverCommand::Verify { file, vendor, signer } => {
            let wanted = commands::package::Wanted { vendor, signers: signer };
            commands::package::verify(config, &file, &wanted).await
        }
        DriverCommand::Reload => driver::reload(config).await,
        DriverCommand::Install { file, vendor, allow_unsigned, allow_downgrade } => {
            let consent = driver::Consent { vendor, allow_unsigned, allow_downgrade };
            driver::install(config, &file, consent).await
        }
        DriverCommand::Enable { name, vendor, grant, limit } => {
            let new = driver::New { vendor, grants: grant, limits: limit };
            driver::enable(config, &name, &new).await
        }
        DriverCommand::Disable { name } => driver::disable(config, &name).await,
        DriverCommand::Upgrade { name, package, shadow_lines, canary } => {
            driver::upgrade(config, &name, &package, shadow_lines, canary).await
        }
        DriverCommand::Trace { meter, last } => commands::trace::run(config, &meter, last).await,
        DriverCommand::Logs { name } => driver::logs(config, &name).await,
        DriverCommand::Release { name } => driver::release(config, &name).await,
        DriverCommand::Promote { name } => driver::promote(config, &name).await,
        DriverCommand::Rollback { name } => driver::rollback(config, &name).await,
    }
}

async fn ledger(config: &Path, command: LedgerCommand) -> Result<(), commands::Failure> {
    match command {
        LedgerCommand::Verify { key, head } => {
            commands::ledger::verify(config, key.as_deref(), &head).await
        }
        LedgerCommand::Head { day, out } => {
            commands::ledger::head(config, day.as_deref(), out.as_deref()).await
        }
        LedgerCommand::Balance { at, json } => commands::ledger::balance(config, &at, json).await,
    }
}

async fn run(arguments: Arguments) -> Result<(), commands::Failure> {
    let config = arguments.config;
    match arguments.command {
        Command::Serve => commands::serve::run(&config).await,
        Command::Demo { once, drivers, data, listen, database } => {
            demo::run(demo::Options { once, drivers, data, listen, database }).await
        }
        Command::CheckConfig { file } => commands::check_config::run(&file.unwrap_or(config)).await,
        Command::Driver(command) => drivers(&config, command).await,
        Command::Replay { file, driver, drivers } => {
            commands::replay::run(&config, &file, driver.as_deref(), drivers).await
        }
        Command::Read { meter } => commands::read::run(&config, &meter).await,
        Command::Sell { meter, amount, id, channel } => {
            commands::sell::run(&config, &meter, &amount, id, channel).await
        }
        Command::Token(token) => commands::token::run(&config, token).await,
        Command::Charge { meter } => commands::charge::run(&config, &meter).await,
        Command::Control { meter, command } => {
            commands::control::run(&config, &meter, command.into()).await
        }
        Command::Records { meter, kind, since } => {
            commands::records::run(&config, &meter, kind.as_deref(), since.as_deref()).await
        }
        Command::Clock { meter, way, reason } => {
            commands::clock::run(&config, &meter, way, &reason.unwrap_or_default()).await
        }
        Command::Card { reader, command } => {
            commands::card::run(&config, reader.as_deref(), command).await
        }
        Command::Scan { line, vendor, way, arguments, as_configured } => {
            let request = ScanRequest { line, vendor, way, arguments, as_configured };
            commands::scan::run(&config, &request).await
        }
        Command::Explain { sale } => commands::explain::run(&config, sale).await,
        Command::Reconcile => commands::sell::reconcile(&config).await,
        Command::Decode { driver, drivers, file, bytes } => {
            use commands::decode::{self, Source};
            let drivers = decode::Drivers { folder: drivers, name: driver };
            let source = file.map_or(Source::Words(bytes), Source::File);
            decode::run(&config, &drivers, &source).await
        }
        Command::Ledger(command) => ledger(&config, command).await,
        Command::Backup { folder } => commands::backup::back_up(&config, &folder).await,
        Command::Restore { folder, check: true, .. } => commands::backup::check(&folder),
        Command::Restore { folder, table: None, .. } => {
            commands::backup::restore(&config, &folder).await
        }
        Command::Restore { folder, table: Some(table), line, from, until, .. } => {
            let chosen = commands::backup::Chosen { table, line, from, until };
            commands::backup::restore_part(&config, &folder, chosen).await
        }
        Command::DayClose { day } => commands::day_close::run(&config, day.as_deref()).await,
        Command::Vault(command) => commands::vault::run(&config, command).await,
        Command::Reader(command) => commands::reader::run(&config, command).await,
        Command::Vendors => commands::vendors::run(&config),
        Command::Openapi => commands::openapi::run(),
    }
}
