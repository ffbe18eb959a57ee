//! `cargo xtask crash` and `cargo xtask simulate`: tell what was done and what was found, and end non-zero
//! where one fen is not where it should be.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use crash::simulate::{self, Pushed, Templates};
use crash::{Engine, Orders, Range, Sweep};
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "The proof that money survives: `cargo xtask crash` and `cargo xtask simulate`")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Kill the program while it sells, start it again, and count the money.
    Kill(Kill),
    /// Simulate whole lives from seeds.
    Simulate {
        #[arg(long, default_value_t = 10_000)]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 0)]
        first: u64,
    },
}

#[derive(clap::Args)]
struct Kill {
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
    /// Instead: so many sales for each protocol that are applied and not answered as they should be.
    #[arg(long)]
    pushes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
    Both,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Kill(Kill { pushes: Some(pushes), .. }) => push(pushes),
        Command::Kill(kill) => kill_for_a_while(&kill),
        Command::Simulate { seeds, first } => simulate(first, seeds),
    }
}

fn kill_for_a_while(arguments: &Kill) -> Result<()> {
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
        sweep: if arguments.no_sweep { Sweep::Nothing } else { Sweep::Everything },
        sweep_share: 1,
        sweep_only: arguments.sweep_only,
        trials: None,
        replay: arguments.replay.as_deref().map(replay).transpose()?,
    };
    println!("seed {}, on {:?}, {} sites of each", orders.seed, orders.engines, orders.sites);
    let begun = Instant::now();
    let tally = tokio::runtime::Runtime::new()?.block_on(crash::run(&orders))?;
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

fn push(count: u64) -> Result<()> {
    let begun = Instant::now();
    for Pushed { vendor, pushes, proved } in simulate::push(&Templates::new()?, count)? {
        println!(
            "{vendor:?}: {pushes} pushes applied and badly answered, 0 lost, 0 doubled, {proved} proved \
             by read-back"
        );
        ensure!(proved == pushes, "{} were sent again without proof", pushes - proved);
    }
    println!("time {} s", begun.elapsed().as_secs());
    Ok(())
}

fn simulate(first: u64, seeds: u64) -> Result<()> {
    let begun = Instant::now();
    let found = simulate::simulate(&Templates::new()?, first, seeds, None)?;
    println!(
        "seeds {} from {first}: {} sales, {} deaths, {} faults on the line, {} s",
        found.seeds,
        found.sales,
        found.deaths,
        found.faults,
        begun.elapsed().as_secs()
    );
    if let Some((seed, why)) = found.failure {
        bail!("seed {seed}: {why}\nagain: cargo xtask simulate --first {seed} --seeds 1");
    }
    Ok(())
}

fn replay(text: &str) -> Result<(u64, Range)> {
    let (site, trials) =
        text.split_once(':').context("--replay wants SITE:TRIAL or SITE:FIRST-LAST")?;
    Ok((site.parse().context("the site is a number")?, trials.parse()?))
}
