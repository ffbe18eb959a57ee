//! What the neighbours of each hostile driver feel: the 99th percentile of whole reads over links
//! whose meters take their time, beside a driver of the gallery that is called again and again, over
//! the same of an idle run just before.
//!
//! Each hostile driver is in the same process, on the same two pools of instances and threads; it has
//! the limits of the gallery and never rests. Not here: whether the host contains it (the gallery).

use crate::far_end::FarEnd;
use crate::figure::Row;
use crate::loading;
use crate::polling::product::{self, MOMENT, device, line, user};
use anyhow::{Context, Result, ensure};
use e2e::gallery::{Asked, CASES, Wild};
use polymeter_domain::{Credit, CustomerNumber, Purchase, PurchaseCount, Quantity};
use polymeter_runtime::{Device, Driver, Limits};
use polymeter_transport::{Line, Priority};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// As many lines as a gateway has, each answering as a meter of its kind does.
const LINKS: usize = 32;
const ANSWER: Duration = Duration::from_millis(50);
const READS_PER_LINK: usize = 40;

pub async fn run(root: &Path) -> Result<Vec<Row>> {
    let registers = product::registers().await?;
    let far_end = FarEnd::start(&registers, ANSWER).await?;
    let folder = tempfile::tempdir()?;
    let wild = Wild::new(folder.path().to_owned()).await?;
    let runtime = loading::runtime()?;
    let neighbour = loading::driver(&runtime, root, "acrel-adf400l").await?;
    let limits = Limits {
        wall: Duration::from_secs(4),
        cpu_ticks: 100,
        traps: 1_000_000,
        ..Limits::default()
    };
    let hostile = loading::limited(&runtime, root, "hostile", limits).await?;
    let links: Vec<Line> = (0..LINKS).map(|_| line(far_end.address)).collect();
    read_all(&neighbour, &links).await.context("the first reads")?;
    let wild_line = line(wild.far_end());
    let mut rows = Vec::new();
    for case in CASES {
        let idle = percentile_99(read_all(&neighbour, &links).await?);
        let sells = matches!(case.asked, Asked::Sell(..));
        let raging = tokio::spawn(rage(
            Arc::clone(&hostile),
            wild_line.clone(),
            device(&case.address())?,
            sells,
        ));
        let beside = percentile_99(read_all(&neighbour, &links).await?);
        ensure!(!raging.is_finished(), "{} stopped by itself", case.act);
        raging.abort();
        // Its lease goes back when it is dropped, and not before.
        let _ = raging.await;
        hostile.release();
        let ratio = beside.as_secs_f64() / idle.as_secs_f64();
        rows.push(Row::plain(
            "",
            format!("`{}`: {}", case.act, case.does),
            "at most 2.0x",
            format!("{ratio:.2}x ({:.1} to {:.1} ms)", ms(idle), ms(beside)),
            ratio <= 2.0,
        ));
    }
    Ok(rows)
}

/// Calls it for ever; whatever comes of it, the next call follows at once.
async fn rage(driver: Arc<Driver>, line: Line, device: Device, sells: bool) -> Result<()> {
    let customer = CustomerNumber::new("1")?;
    let credit = Credit { quantity: Quantity::Money, amount: 1_000 };
    let purchase = Purchase { count: PurchaseCount::new(1), credit };
    loop {
        let mut lease = line.lease(Priority::RoutineRead).await?;
        if sells {
            let _ = driver.sell(&mut lease, &device, MOMENT, &customer, purchase).await;
        } else {
            let _ = driver.read(&mut lease, &device, MOMENT).await;
        }
        // Else it would rest after a trap, and be no burden.
        driver.release();
    }
}

/// How long each whole read took, of every link at the same time.
async fn read_all(driver: &Arc<Driver>, links: &[Line]) -> Result<Vec<Duration>> {
    let mut reading = JoinSet::new();
    for link in links {
        let (driver, link, device) = (Arc::clone(driver), link.clone(), user()?);
        reading.spawn(async move {
            let mut took = Vec::new();
            for _ in 0..READS_PER_LINK {
                let begun = Instant::now();
                let mut lease = link.lease(Priority::RoutineRead).await?;
                driver.read(&mut lease, &device, MOMENT).await?;
                took.push(begun.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = reading.join_next().await {
        all.extend(took??);
    }
    Ok(all)
}

fn percentile_99(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took.get(took.len() * 99 / 100).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
