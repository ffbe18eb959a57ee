//! `polymeter-sdk`, the vendor's command. Arguments only; the work is in the library beside it.

use clap::{Parser, Subcommand};
use polymeter_package::Role;
use polymeter_sdk::keys;
use polymeter_sdk::{Choice, Example, Language};
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
        /// Rust where it is left out.
        #[arg(long)]
        lang: Option<Language>,
        /// A driver of cards in place of one of meters; in Rust alone.
        #[arg(long)]
        cards: bool,
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
        /// Sign the report with this secret key; not for a part of the cases.
        #[arg(long, value_name = "FILE.key", conflicts_with_all = ["only", "faults"])]
        key: Option<PathBuf>,
    },
    /// Make a key pair, NAME.key and NAME.pub, in minisign's form.
    Keygen {
        /// Path of the two files, without their ends.
        #[arg(default_value = "vendor", value_name = "NAME")]
        name: PathBuf,
        /// Whoever has the file can sign: for test keys and for machines that build unattended.
        #[arg(long)]
        without_password: bool,
    },
    /// Pack component, driver.toml, README.md, transcripts and licences into one file.
    Pack {
        /// The driver's folder.
        #[arg(long, default_value = ".")]
        project: PathBuf,
        /// Where `build` put the .wasm, and where the package goes.
        #[arg(long, default_value = "target/drivers")]
        out_dir: PathBuf,
    },
    /// Sign a package in its place.
    Sign {
        #[arg(value_name = "FILE.pmdriver")]
        file: PathBuf,
        /// The secret key; its password comes from POLYMETER_SDK_PASSWORD or from the terminal.
        #[arg(long, value_name = "FILE.key", required_unless_present = "signature")]
        key: Option<PathBuf>,
        /// Instead of a key: a signature of the member `contents` that minisign made.
        #[arg(long, value_name = "FILE.minisig", conflicts_with = "key")]
        signature: Option<PathBuf>,
        /// Counter-sign, as the operator that will run the driver.
        #[arg(long)]
        operator: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::New { name, lang, cards, sdk } => {
            let example = Example::of(cards, lang)?;
            let root = polymeter_sdk::new(Path::new("."), &name, example, sdk.as_deref())?;
            println!("{}: read its README.md, then: polymeter-sdk build", root.display());
        }
        Command::Test { project, out_dir } => {
            let played = polymeter_sdk::test(&project, &out_dir)?;
            println!("{played} transcripts agree in WASM");
        }
        Command::Certify { project, out_dir, seed, only, faults, key } => {
            let choice = Choice { only, faults };
            // First, so that nobody waits for a password that is typed wrong.
            let key = key.map(|key| keys::read(&key, || keys::password(false))).transpose()?;
            let (report, path) =
                polymeter_sdk::certify(&project, &out_dir, seed, &choice, key.as_ref())?;
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
        Command::Keygen { name, without_password } => {
            let password = if without_password { None } else { Some(keys::password(true)?) };
            let public = keys::generate(&name, password)?;
            println!("{0}.key: keep it secret; {0}.pub: publish it", name.display());
            println!("signer = [\"{public}\"]  # key {}", public.id());
        }
        Command::Pack { project, out_dir } => {
            println!("{}", polymeter_sdk::pack(&project, &out_dir)?.display());
        }
        Command::Sign { file, key, signature, operator } => {
            let role = if operator { Role::Operator } else { Role::Vendor };
            if let Some(key) = key {
                let key = keys::read(&key, || keys::password(false))?;
                keys::sign(&file, role, &key)?;
                println!("{} signed by key {}", file.display(), key.public()?.id());
            } else if let Some(signature) = signature {
                keys::attach(&file, role, &signature)?;
                println!("{} has the signature of {}", file.display(), signature.display());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
