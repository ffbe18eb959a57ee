//! `polymeter-sdk`, the vendor's command. Arguments only; the work is in the library beside it.

use clap::{Parser, Subcommand};
use polymeter_sdk::{Choice, Language};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "polymeter-sdk",
    version,
    about = "Makes, builds, tries and packs drivers for Polymeter"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a new driver project into a folder of its name.
    New {
        /// 1 to 16 small letters, digits and `-`.
        name: String,
        #[arg(long, default_value = "rust")]
        lang: Language,
        /// The folder `sdk` of Polymeter; without it, the one this program was built from.
        #[arg(long)]
        sdk: Option<PathBuf>,
    },
    /// Build a driver project into a component.
    Build {
        /// The project's folder, or its Cargo.toml.
        #[arg(long, visible_alias = "manifest-path", default_value = ".")]
        project: PathBuf,
        /// Where the .wasm goes.
        #[arg(long, default_value = "target/drivers")]
        out_dir: PathBuf,
    },
    /// Play the project's transcripts, natively where the language can and in WASM.
    Test {
        /// The project's folder.
        #[arg(long, default_value = ".")]
        project: PathBuf,
        /// Where `build` put the .wasm.
        #[arg(long, default_value = "target/drivers")]
        out_dir: PathBuf,
    },
    /// Try the driver on its simulated device, on a line that goes wrong in every way.
    Certify {
        /// The project's folder.
        #[arg(long, default_value = ".")]
        project: PathBuf,
        /// Where `build` put the .wasm, and where the reports go.
        #[arg(long, default_value = "target/drivers")]
        out_dir: PathBuf,
        /// Makes the same cases again.
        #[arg(long)]
        seed: Option<u64>,
        /// Only cases whose name contains this.
        #[arg(long)]
        only: Option<String>,
        /// At most so many faults.
        #[arg(long)]
        faults: Option<usize>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::New { name, lang, sdk } => {
            let root = polymeter_sdk::new(Path::new("."), &name, lang, sdk.as_deref())?;
            println!("{}: read its README.md, then: polymeter-sdk build", root.display());
        }
        Command::Test { project, out_dir } => {
            let played = polymeter_sdk::test(&project, &out_dir)?;
            println!("{played} transcripts agree in WASM");
        }
        Command::Certify { project, out_dir, seed, only, faults } => {
            let choice = Choice { only, faults };
            let (report, path) = polymeter_sdk::certify(&project, &out_dir, seed, &choice)?;
            print!("{}", report.summary());
            println!("report: {}", path.display());
            if !report.is_good() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Build { project, out_dir } => {
            let component = polymeter_sdk::build(&project, &out_dir)?;
            println!("{}", component.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
