//! One site with its program and simulator, as trials use it: started, killed, started again.

use crate::books;
use crate::schedule::{Kill, Lengths};
use anyhow::{Context, Result, ensure};
use databases::Fresh;
use e2e::{Api, METERS, Program, SPARE, Site};
use meter_sim::{Event, Fault, FaultKind, On, Release};
use std::path::PathBuf;
use std::time::Duration;

/// Of each vendor, the meter whose account is open: indexes into `e2e::METERS`.
pub const OPENED: [usize; 2] = [0, 1];

/// A frame is there within this, on a busy machine too.
const FRAME_WAIT: Duration = Duration::from_secs(20);

/// A meter that nobody has.
#[derive(Debug, Clone)]
pub struct Free {
    pub meter_id: String,
    pub address: &'static str,
}

/// The steps that follow an answer are done within this, as a rule.
const LAST_STEPS: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub struct Stage {
    pub name: String,
    pub site: Site,
    /// Their ids in the program, in the order of [`OPENED`].
    pub meter_ids: Vec<String>,
    pub lengths: [Lengths; 2],
    /// Two meters of one vendor, whose purses can be emptied, without a customer.
    pub free: [Free; 2],
    /// Customers that had one of them.
    pub stories: u64,
    /// Where the program reads at each point whether it is to die there.
    order: PathBuf,
    program: Option<Program>,
    /// Behind the site: it is dropped last.
    _database: Option<Fresh>,
}

impl Stage {
    /// On a server where `database` is one, on SQLite else.
    pub async fn new(name: String, database: Option<Fresh>) -> Result<Stage> {
        let (site, program) = match &database {
            Some(fresh) => Site::on_server(&fresh.url()).await?,
            None => Site::in_file().await?,
        };
        let api = site.api(&program);
        let mut meter_ids = Vec::new();
        for meter in OPENED {
            meter_ids.push(site.meter_id(&api, &METERS[meter]).await?);
        }
        let second = site.enter_meter(&api, &SPARE).await?;
        let first = site.meter_id(&api, &METERS[2]).await?;
        let free = [
            Free { meter_id: first, address: METERS[2].address },
            Free { meter_id: second, address: SPARE.address },
        ];
        program.kill().await?;
        hurry(&site)?;
        let order = site.folder.path().join("crash-order");
        let lengths = [Lengths::default(); 2];
        let mut stage = Stage {
            name,
            site,
            meter_ids,
            lengths,
            free,
            stories: 0,
            order,
            program: None,
            _database: database,
        };
        stage.start(None).await?;
        stage.learn_lengths().await?;
        Ok(stage)
    }

    pub fn api(&self) -> Result<Api> {
        Ok(self.site.api(self.program.as_ref().context("the program does not run")?))
    }

    pub fn is_up(&self) -> bool {
        self.program.is_some()
    }

    /// Starts the program; an order that is there already counts. An error where it ends before it
    /// serves.
    pub async fn start(&mut self, order: Option<&Kill>) -> Result<()> {
        match order {
            Some(kill) => self.order(kill, "start")?,
            None => self.withdraw(),
        }
        let order = format!("@{}", self.order.display());
        self.program = Some(Program::start(&self.site.config, Some(&order)).await?);
        Ok(())
    }

    /// The running program is to die at a point; `word` makes it an order of its own.
    pub fn order(&self, kill: &Kill, word: &str) -> Result<()> {
        let Kill::At { point, pass } = kill else { return Ok(()) };
        // Whole or not at all, because it may be read at any time.
        let draft = self.order.with_extension("draft");
        std::fs::write(&draft, format!("{point}:{pass}:{word}"))?;
        Ok(std::fs::rename(draft, &self.order)?)
    }

    pub fn withdraw(&self) {
        // That there is none is what is wanted.
        let _ = std::fs::remove_file(&self.order);
    }

    /// SIGKILL. True where it ran until then.
    pub async fn kill(&mut self) -> Result<bool> {
        let Some(mut program) = self.program.take() else { return Ok(false) };
        let ran = program.is_running()?;
        program.kill().await?;
        Ok(ran)
    }

    /// Whether it has died; waits a moment, since a connection breaks before its process is gone.
    pub async fn has_died(&mut self) -> Result<bool> {
        let Some(program) = &mut self.program else { return Ok(true) };
        let ended = tokio::time::timeout(Duration::from_secs(2), program.ended()).await;
        let Ok(ended) = ended else { return Ok(false) };
        ensure!(!ended?.success(), "the program ended in good order");
        self.program = None;
        Ok(true)
    }

    /// Whether it dies by itself now that it has answered: what goes on after that may pass the point.
    pub async fn dies_soon(&mut self) -> Result<bool> {
        let Some(program) = &mut self.program else { return Ok(true) };
        Ok(tokio::time::timeout(LAST_STEPS, program.ended()).await.is_ok())
    }

    /// `polymeter ledger verify`, beside the program.
    pub async fn verify(&self) -> Result<()> {
        let config = self.site.config.as_os_str();
        let words = ["--config".as_ref(), config, "ledger".as_ref(), "verify".as_ref()];
        let ended = e2e::run(words).await?;
        if ended.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        Err(books::broken(books::Wrong::Unbalanced, said))
    }

    /// One sale on each meter, looked at on the wire.
    async fn learn_lengths(&mut self) -> Result<()> {
        let api = self.api()?;
        for (at, meter) in OPENED.into_iter().enumerate() {
            let address = METERS[meter].address;
            let mut events = self.site.simulator.events();
            let hold = FaultKind::HoldReply { after_bytes: None };
            self.site.simulator.fault(address, Fault::new(On::Sell, hold))?;
            let (api, id) = (api.clone(), self.meter_ids[at].clone());
            let sale_id = uuid::Uuid::now_v7().to_string();
            let selling = tokio::spawn(async move { api.sell(&sale_id, &id, "10.00").await });
            let seen = async {
                let mut lengths = Lengths::default();
                loop {
                    match events.recv().await.context("no more events")? {
                        Event::Request { kind: meter_sim::Kind::Sell, hex, .. } => {
                            lengths.request = hex.len() / 2;
                        }
                        Event::Held { of, .. } => {
                            lengths.reply = of;
                            return anyhow::Ok(lengths);
                        }
                        _ => {}
                    }
                }
            };
            self.lengths[at] =
                tokio::time::timeout(FRAME_WAIT, seen).await.context("no sale came")??;
            self.site.simulator.release(Release::Deliver);
            let answer = selling.await??;
            ensure!(answer.body["state"] == "confirmed", "{answer:?}");
        }
        Ok(())
    }
}

/// Simulated meters answer at once, so that whoever does not is silent on purpose: lines need not
/// wait as long as for real ones.
fn hurry(site: &Site) -> Result<()> {
    let mut text = std::fs::read_to_string(&site.config)?;
    for (slow, fast) in [
        ("reply-timeout-ms = 400", "reply-timeout-ms = 120"),
        ("byte-timeout-ms = 100", "byte-timeout-ms = 40"),
        ("inter-frame-ms = 5", "inter-frame-ms = 1"),
        ("baud = 9600", "baud = 115200"),
    ] {
        ensure!(text.contains(slow), "the site's configuration has no `{slow}`");
        text = text.replace(slow, fast);
    }
    Ok(std::fs::write(&site.config, text)?)
}
