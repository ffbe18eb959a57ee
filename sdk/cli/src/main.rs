//! `polymeter-sdk`, the vendor's command. Arguments only; the work is in the library beside it.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "polymeter-sdk", version, about = "Builds drivers for Polymeter")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build a driver crate into a component.
    Build {
        /// The driver's Cargo.toml.
        #[arg(long, default_value = "Cargo.toml")]
        manifest_path: PathBuf,
        /// Where the .wasm goes.
        #[arg(long, default_value = "target/drivers")]
        out_dir: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Build { manifest_path, out_dir } => {
            let component = polymeter_sdk::build(&manifest_path, &out_dir)?;
            println!("{}", component.display());
        }
    }
    Ok(())
}
