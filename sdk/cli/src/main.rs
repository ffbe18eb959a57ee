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
    /// Build a driver project into a component.
    Build {
        /// The project's folder, or its Cargo.toml.
        #[arg(long, visible_alias = "manifest-path", default_value = ".")]
        project: PathBuf,
        /// Where the .wasm goes.
        #[arg(long, default_value = "target/drivers")]
        out_dir: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Build { project, out_dir } => {
            let component = polymeter_sdk::build(&project, &out_dir)?;
            println!("{}", component.display());
        }
    }
    Ok(())
}
