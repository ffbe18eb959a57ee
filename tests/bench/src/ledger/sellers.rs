//! Whole sales through the running program by several sellers at once: how many a second, and how long one
//! takes.

use super::{Books, Scale};
use crate::figure::Row;
use crate::program::Program;
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

const SELLERS: [usize; 4] = [1, 8, 32, 64];
/// L2: of one seller.
const P99_MAX: Duration = Duration::from_millis(10);

pub async fn run(root: &Path, scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for sellers in SELLERS {
        for books in Books::both().await {
            let program = Program::start_on(root, sellers, books.url().as_deref()).await?;
            // Once uncounted: drivers, pools and caches are warm then.
            drive(&program, sellers, 2).await?;
            let sold = drive(&program, sellers, scale.sales_per_seller).await?;
            rows.push(row(&books, sellers, &sold));
        }
    }
    Ok(rows)
}

pub struct Sold {
    pub all: Duration,
    /// Of each sale, sorted.
    pub each: Vec<Duration>,
}

impl Sold {
    pub fn a_second(&self) -> f64 {
        self.each.len() as f64 / self.all.as_secs_f64()
    }

    /// The time that passed for each sale.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.a_second())
    }

    /// `percent` of the sales took no longer.
    pub fn within(&self, percent: usize) -> Duration {
        let at = (self.each.len() * percent).div_ceil(100).max(1) - 1;
        self.each.get(at).copied().unwrap_or_default()
    }
}

/// Every seller sells to a meter of its own, one sale after the other.
pub async fn drive(program: &Program, sellers: usize, sales: u32) -> Result<Sold> {
    let begun = Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for seller in 0..sellers {
        let seller = program.seller(seller);
        under_way.spawn(async move {
            let mut each = Vec::new();
            for _ in 0..sales {
                let begun = Instant::now();
                let state = seller.sell("1.00").await?;
                each.push(begun.elapsed());
                ensure!(state == "confirmed", "a sale ended {state}");
            }
            Ok(each)
        });
    }
    let mut each = Vec::new();
    while let Some(sold) = under_way.join_next().await {
        each.extend(sold??);
    }
    each.sort();
    Ok(Sold { all: begun.elapsed(), each })
}

fn row(books: &Books, sellers: usize, sold: &Sold) -> Row {
    let (half, most) = (sold.within(50), sold.within(99));
    let text = format!("{:.0} sales/s, p50 {half:.1?}, p99 {most:.1?}", sold.a_second());
    let what = format!("whole sales over HTTP, {sellers} sellers, {}", books.name());
    match sellers {
        1 => Row::plain("L2", what, "p99 at most 10 ms", text, most <= P99_MAX),
        _ => Row::plain("L1", what, "see the ratios below", text, None),
    }
}
