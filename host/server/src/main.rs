//! `polymeter`: the command line, and nothing else.
//!
//! Exit codes: 0 done, 1 failed, 2 bad input, 3 the device said no, 4 nobody knows.

use clap::{Parser, Subcommand, ValueEnum};
use polymeter_domain::{SaleId, SupplyCommand};
use polymeter_server::{app, commands, demo};
use std::net::SocketAddr;
use std::path::PathBuf;
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
        /// Where the built drivers (*.wasm) are.
        #[arg(long, value_name = "DIR")]
        drivers: Option<PathBuf>,
        /// Keep configuration and database here instead of in a fresh temporary folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        #[arg(long, default_value = "127.0.0.1:8645")]
        listen: SocketAddr,
    },
    /// Check a configuration and load its drivers; print every problem.
    CheckConfig {
        /// Instead of --config.
        file: Option<PathBuf>,
    },
    /// The configured drivers.
    #[command(subcommand)]
    Driver(DriverCommand),
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
    },
    /// Command a meter's supply.
    Control {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
        command: Supply,
    },
    /// Settle what earlier runs left open, by the meters' own records.
    Reconcile,
    /// Explain captured bytes; needs no configuration.
    Decode {
        #[arg(long, value_name = "NAME")]
        driver: String,
        /// Where the built drivers (*.wasm) are.
        #[arg(long, value_name = "DIR")]
        drivers: Option<PathBuf>,
        #[arg(required = true, value_name = "HEX")]
        bytes: Vec<String>,
    },
    /// The books.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Print the API's OpenAPI document.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum DriverCommand {
    List,
    Inspect { name: String },
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check every row, every balance and the hash chain.
    Verify,
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

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let quiet = !matches!(arguments.command, Command::Serve | Command::Demo { once: false, .. });
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| if quiet { "warn" } else { "info" }.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("polymeter: {}", app::chain(&failure));
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), commands::Failure> {
    let config = arguments.config;
    match arguments.command {
        Command::Serve => commands::serve::run(&config).await,
        Command::Demo { once, drivers, data, listen } => {
            demo::run(demo::Options { once, drivers, data, listen }).await
        }
        Command::CheckConfig { file } => commands::check_config::run(&file.unwrap_or(config)).await,
        Command::Driver(DriverCommand::List) => commands::driver::list(&config).await,
        Command::Driver(DriverCommand::Inspect { name }) => {
            commands::driver::inspect(&config, &name).await
        }
        Command::Read { meter } => commands::read::run(&config, &meter).await,
        Command::Sell { meter, amount, id } => {
            commands::sell::run(&config, &meter, &amount, id).await
        }
        Command::Control { meter, command } => {
            commands::control::run(&config, &meter, command.into()).await
        }
        Command::Reconcile => commands::sell::reconcile(&config).await,
        Command::Decode { driver, drivers, bytes } => {
            commands::decode::run(&config, drivers, &driver, &bytes).await
        }
        Command::Ledger(LedgerCommand::Verify) => commands::ledger::verify(&config).await,
        Command::Openapi => commands::openapi::run(),
    }
}
