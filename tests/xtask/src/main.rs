//! `cargo xtask`: the front door. Arguments only; each command is a module of the library beside it.

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything that is done with this repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the drivers, start the simulated fleet, sell, and serve the page.
    Demo {
        /// What `polymeter demo` takes, e.g. --once.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Bring up what is missing and pass every test.
    Test {
        /// What `cargo test` takes, e.g. a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Pass the tests of databases on a PostgreSQL server brought up for them; `test` does so too.
    Postgres {
        /// What a test program takes, e.g. a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Pass the tests of card readers on a pcscd with virtual readers; `test` does so too.
    Cards {
        /// What `cargo test` takes, e.g. --test NAME.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kill the program while it sells, start it again, and count the money; by a seed.
    Crash {
        /// --seed N, --minutes M, --database sqlite|postgres|both, --replay SITE:TRIAL; or --pushes N.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Feed every codec bytes that nobody would send; fails on a panic, a hang or a broken promise.
    Fuzz {
        /// --minutes N for all together, --seed N, --only NAME.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Simulate sale, meter and reconciling from seeds, by the product's own code.
    Simulate {
        /// --seeds N, --first SEED.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build every driver into target/drivers, or those that are named.
    Drivers {
        /// Folders below drivers, tests/conformance or, for other languages and native libraries,
        /// vendor-examples.
        names: Vec<String>,
    },
    /// Build the vendor examples in C and Python into target/drivers.
    Examples,
    /// Check formatting, then clippy with warnings as errors.
    Lint,
    /// Check floors, file heads, sizes, words, the contract's hash and the README.
    Tidy,
    /// Play the hostile drivers, print how each one ended; fails if any is not contained.
    Gallery {
        /// Put the table into docs/security.md.
        #[arg(long)]
        write: bool,
    },
    /// Hold the decoders to the frames in ../shared/vectors, and print what became of each protocol.
    Vectors {
        /// Only protocols whose name has this in it.
        #[arg(default_value = "")]
        filter: String,
    },
    /// Measure, and write docs/benchmarks.md.
    Bench {
        /// `runtime`, `neighbours` or `ledger` for one section; --quick for one round each, which writes nothing.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Demo { arguments } => xtask::demo(&arguments),
        Command::Test { arguments } => xtask::test(&arguments),
        Command::Postgres { arguments } => xtask::on_postgres(&arguments),
        Command::Cards { arguments } => xtask::cards(&arguments),
        Command::Crash { arguments } => xtask::crash(&arguments),
        Command::Fuzz { arguments } => xtask::fuzz(&arguments),
        Command::Simulate { arguments } => xtask::simulate(&arguments),
        Command::Drivers { names } => xtask::drivers::build(&xtask::root(), &names),
        Command::Examples => xtask::examples(),
        Command::Lint => xtask::lint(),
        Command::Tidy => xtask::tidy::run(&xtask::root()),
        Command::Gallery { write } => xtask::gallery(write),
        Command::Vectors { filter } => xtask::vectors(&filter),
        Command::Bench { arguments } => xtask::bench(&arguments),
    }
}
