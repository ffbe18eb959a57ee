//! `cargo xtask crash`: kills the program for so many minutes, tells how often and what was found, and
//! ends non-zero where one fen is not where it should be.

use anyhow::{Context, Result, bail};
use clap::Parser;
use crash::{Engine, Orders, Range};
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(
    name = "cargo xtask crash",
    about = "Kill the program while it sells, and count the money"
)]
struct Arguments {
    /// Decides everything; the same seed makes the same trials.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long; the enumerated sweep comes first.
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    #[arg(long, value_enum, default_value = "both")]
    database: Database,
    /// Sites side by side on each engine.
    #[arg(long, default_value_t = 3)]
    sites: u64,
    /// Random trials only.
    #[arg(long)]
    no_sweep: bool,
    /// The enumerated sweep to its end, and nothing after it.
    #[arg(long)]
    sweep_only: bool,
    /// Play trials again: SITE:TRIAL or SITE:FIRST-LAST, as a failure tells.
    #[arg(long)]
    replay: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
    Both,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let engines = match arguments.database {
        Database::Sqlite => vec![Engine::Sqlite],
        Database::Postgres => vec![Engine::Postgres],
        Database::Both => vec![Engine::Sqlite, Engine::Postgres],
    };
    let lasts = Duration::try_from_secs_f64(arguments.minutes * 60.0)
        .context("--minutes wants a number above 0")?;
    let orders = Orders {
        seed: arguments.seed,
        lasts,
        engines,
        sites: arguments.sites.max(1),
        with_sweep: !arguments.no_sweep,
        sweep_only: arguments.sweep_only,
        replay: arguments.replay.as_deref().map(replay).transpose()?,
    };
    println!("seed {}, on {:?}, {} sites of each", orders.seed, orders.engines, orders.sites);
    let begun = Instant::now();
    let tally = crash::run(&orders).await?;
    println!("{tally}");
    let kills = tally.kills();
    println!("time       {} s, seed {}", begun.elapsed().as_secs(), orders.seed);
    for failure in &tally.failures {
        println!("\nFAILED {failure}");
    }
    if !tally.is_clean() {
        bail!("money was not where it should be, or a sale did not end: see above");
    }
    println!("{kills} kills, and every fen is where it should be");
    Ok(())
}

fn replay(text: &str) -> Result<(u64, Range)> {
    let (site, trials) =
        text.split_once(':').context("--replay wants SITE:TRIAL or SITE:FIRST-LAST")?;
    Ok((site.parse().context("the site is a number")?, trials.parse()?))
}
