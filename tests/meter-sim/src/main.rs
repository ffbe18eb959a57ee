//! `meter-sim`: a plan of simulated meters as a process. One JSON line on standard output says
//! where the lines and the control port are; then it serves until it is ended.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use meter_sim::card::{Readers, SerialReader};
use meter_sim::{Alone, Plan, Simulator};
use serde_json::{Map, Value, json};

/// Simulated meters on TCP and serial lines, and IC cards with the meters that take them.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// `demo`, or a JSON file with a plan.
    #[arg(long, default_value = "demo")]
    plan: String,
    /// Where the control port listens; the loopback only.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: std::net::SocketAddr,
    /// Send every reply at once, whatever the plan says.
    #[arg(long)]
    no_delay: bool,
    /// Let the meters' time pass with real time, in steps of so many seconds.
    #[arg(long, value_name = "SECONDS")]
    tick: Option<u32>,
    /// One device alone on standard input and output, as `polymeter-sdk certify` wants it: START is
    /// what the kit gives it.
    #[arg(long, requires = "start")]
    alone: Option<Alone>,
    /// The state of the device that stands alone, in JSON.
    start: Option<String>,
    /// Cards and card meters by JSON lines on standard input; cards are put into vsmartcard's virtual
    /// reader, whose first slot listens there (127.0.0.1:35963 where nobody configured another).
    #[arg(long, value_name = "VPCD", conflicts_with = "alone")]
    cards: Option<std::net::SocketAddr>,
    /// As `--cards`, and cards are laid onto a serial reader that listens on this port of the loopback.
    #[arg(long, value_name = "PORT", conflicts_with_all = ["alone", "cards"])]
    card_port: Option<u16>,
    /// End when standard input ends, so that a killed parent leaves nothing behind.
    #[arg(long)]
    until_eof: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let (Some(alone), Some(start)) = (arguments.alone, &arguments.start) {
        return meter_sim::serve_alone(alone, start);
    }
    let readers = match (arguments.cards, arguments.card_port) {
        (Some(vpcd), _) => Some(Readers::Virtual(vpcd)),
        (None, Some(port)) => {
            Some(Readers::Serial(SerialReader::tcp(port).context("the reader's port")?))
        }
        (None, None) => None,
    };
    if let Some(readers) = readers {
        let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
        return meter_sim::card::serve_hand(readers, &mut input, &mut output)
            .context("standard input and output");
    }
    if !arguments.control.ip().is_loopback() {
        bail!("the control port has no login, so it listens on the loopback only");
    }
    let plan = plan(&arguments.plan)?;
    let plan = if arguments.no_delay { plan.without_delays() } else { plan };
    let mut simulator = Simulator::start(plan)?;
    let control = simulator.serve_control(arguments.control.port())?;
    let endpoints: Map<String, Value> =
        simulator.endpoints().into_iter().map(|(bus, end)| (bus, json!(end.to_string()))).collect();
    let ready = json!({ "endpoints": endpoints, "control": control.to_string() });
    let mut output = std::io::stdout().lock();
    writeln!(output, "{ready}").and_then(|()| output.flush()).context("standard output")?;

    if let Some(seconds) = arguments.tick {
        let world = simulator.world();
        let step = seconds.max(1);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(u64::from(step)));
                world.advance(step);
            }
        });
    }
    if arguments.until_eof {
        std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())
            .context("standard input")?;
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}

fn plan(name: &str) -> anyhow::Result<Plan> {
    if name == "demo" {
        return Ok(Plan::demo());
    }
    let text = std::fs::read_to_string(Path::new(name)).with_context(|| format!("plan {name}"))?;
    Plan::from_json(&text).with_context(|| format!("plan {name}"))
}
