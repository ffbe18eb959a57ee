//! Reliability row R3 (docs/reliability.md), by name: the power goes. What the program writes to its
//! database, and when it has it flushed, is recorded below it (shim/shim.c); then, at every flush, images
//! are made of what a disk may hold after a power cut: all that was flushed, and of what was not, any part.
//!
//! Not here: what a disk does that says "flushed" and has not.

use anyhow::{Context, Result, ensure};
use crash::chance::Chance;
use e2e::{METERS, Program, Site};
use polymeter_ledger::Database;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const SALES: usize = 40;
/// In a test run; `POLYMETER_R3_IMAGES` says how many else.
const IMAGES: usize = 400;
/// Every such image has its whole ledger checked.
const VERIFIED: usize = 20;
/// A disk writes these whole or not at all.
const SECTOR: usize = 512;

/// Past the test harness, which keeps what a passing test prints to itself.
fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

/// One entry of the record.
#[derive(Debug)]
enum Done {
    Written { at: usize, bytes: Vec<u8> },
    Cut { length: usize },
    Flushed,
}

/// The database, its log.
type Files = [Vec<u8>; 2];

/// What was done, to which file, and where the entry ends in the record.
fn entries(record: &[u8]) -> Result<Vec<(Done, usize, usize)>> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < record.len() {
        let head = record.get(at..at + 18).context("the record ends in an entry")?;
        let number = |from: usize| -> Result<usize> {
            Ok(usize::try_from(u64::from_le_bytes(head[from..from + 8].try_into()?))?)
        };
        let (place, length) = (number(2)?, number(10)?);
        let bytes = record.get(at + 18..at + 18 + length).context("the record ends in bytes")?;
        at += 18 + length;
        let done = match head[0] {
            b'w' => Done::Written { at: place, bytes: bytes.to_vec() },
            b'c' => Done::Cut { length: place },
            b'f' => Done::Flushed,
            other => anyhow::bail!("{other} is nothing that is recorded"),
        };
        entries.push((done, usize::from(head[1]), at));
    }
    Ok(entries)
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    file.resize(file.len().max(at + bytes.len()), 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn apply(file: &mut Vec<u8>, done: &Done) {
    match done {
        Done::Written { at, bytes } => write(file, *at, bytes),
        Done::Cut { length } => file.resize(*length, 0),
        Done::Flushed => {}
    }
}

/// What the disk may hold of what was not flushed: each write whole, not at all, or in part.
fn apply_part(file: &mut Vec<u8>, done: &Done, chance: &mut Chance) {
    match (done, chance.below(3)) {
        (_, 0) => {}
        (Done::Written { at, bytes }, 1) => {
            for (nth, sector) in bytes.chunks(SECTOR).enumerate() {
                if chance.one_in(2) {
                    write(file, at + nth * SECTOR, sector);
                }
            }
        }
        (done, _) => apply(file, done),
    }
}

/// A run of the program under the recording shim.
struct Run {
    site: Site,
    before: Files,
    entries: Vec<(Done, usize, usize)>,
    /// Each sale, and how long the record was when it was acknowledged.
    sales: Vec<(String, usize)>,
}

impl Run {
    async fn new() -> Result<Run> {
        let (site, program) = Site::in_file().await?;
        program.kill().await?;
        let folder = site.folder.path().to_owned();
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
        let before = [read("polymeter.db"), read("polymeter.db-wal")];
        let (shim, record) = (shim()?, folder.join("record"));
        let environment: [(&str, &OsStr); 2] =
            [("LD_PRELOAD", shim.as_os_str()), ("SHIM_RECORD", record.as_os_str())];
        let program = Program::start_in(&site.config, &environment).await?;
        let api = site.api(&program);
        let meter_id = site.meter_id(&api, &METERS[1]).await?;
        let mut sales = Vec::new();
        for _ in 0..SALES {
            let id = uuid::Uuid::now_v7().to_string();
            let sale = api.sell(&id, &meter_id, "1.50").await?;
            ensure!(sale.body["state"] == "confirmed", "{sale:?}");
            sales.push((id, usize::try_from(std::fs::metadata(&record)?.len())?));
        }
        program.kill().await?;
        let entries = entries(&std::fs::read(&record)?)?;
        ensure!(
            entries.iter().any(|(_, file, _)| *file == 0),
            "the log was never put into the file"
        );
        Ok(Run { site, before, entries, sales })
    }

    /// Images at flushes, as many as wanted, each handed on with the sales that it must have. Flushes that
    /// `are_heard` says no to are taken for none.
    async fn images(
        &self,
        wanted: usize,
        are_heard: fn(usize) -> bool,
        name: &str,
    ) -> Result<(usize, usize)> {
        let flushes = self.entries.iter().filter(|(it, ..)| matches!(it, Done::Flushed)).count();
        let of_each = wanted.div_ceil(flushes.max(1));
        let mut flushed = self.before.clone();
        let mut waiting: [Vec<&Done>; 2] = [Vec::new(), Vec::new()];
        let (mut made, mut lost) = (0, 0);
        for (done, file, end) in &self.entries {
            if !matches!(done, Done::Flushed) {
                waiting[*file].push(done);
                continue;
            }
            for nth in 0..of_each {
                let mut chance = Chance::new(3, &[u64::try_from(made)?]);
                let mut image = flushed.clone();
                // Once, nothing at all of it has arrived.
                for (file, waiting) in image.iter_mut().zip(&waiting) {
                    for done in waiting.iter().filter(|_| nth > 0) {
                        apply_part(file, done, &mut chance);
                    }
                }
                // The flush is under way: whoever was told before it began, was told of earlier ones.
                let told = self.sales.iter().filter(|(_, at)| *at < *end);
                let told: Vec<&str> = told.map(|(id, _)| id.as_str()).collect();
                let folder = self.site.folder.path().join(format!("{name}-{made}"));
                lost += self.missing(&folder, &image, &told, made % VERIFIED == 0).await?;
                made += 1;
            }
            if are_heard(*file) {
                for done in std::mem::take(&mut waiting[*file]) {
                    apply(&mut flushed[*file], done);
                }
            }
        }
        Ok((made, lost))
    }

    /// How many of these sales the program would not find as they were told, and whether it would start.
    async fn missing(
        &self,
        folder: &Path,
        image: &Files,
        told: &[&str],
        is_verified: bool,
    ) -> Result<usize> {
        std::fs::create_dir(folder)?;
        let path = folder.join("polymeter.db");
        std::fs::write(&path, &image[0])?;
        std::fs::write(folder.join("polymeter.db-wal"), &image[1])?;
        let counted = counted(&path, is_verified).await;
        std::fs::remove_dir_all(folder)?;
        let Ok(states) = counted else {
            // A file that does not even open has lost all of them.
            return Ok(told.len().max(1));
        };
        let is_there = |id: &&&str| states.get(**id).is_some_and(|state| state == "confirmed");
        Ok(told.len() - told.iter().filter(is_there).count())
    }
}

/// Every sale's state, read as the next start of the program would.
async fn counted(path: &Path, is_verified: bool) -> Result<BTreeMap<String, String>> {
    if is_verified {
        let database = Database::open(path).await?;
        database.verify().await?;
    }
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await?;
    let rows: Vec<(String, String)> =
        sqlx::query_as("select sale_id, state from sale").fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(rows.into_iter().collect())
}

/// shim/shim.c, compiled.
fn shim() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/shim.c");
    let name = format!("record-{}.so", uuid::Uuid::now_v7());
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-o"]);
    ensure!(cc.arg(&made).arg(source).status()?.success(), "the shim was not compiled");
    Ok(made)
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_a_power_cut_at_any_flush_loses_no_acknowledged_sale() -> Result<()> {
    if databases::server().is_some() {
        return Ok(()); // A file's own trouble: passed on SQLite.
    }
    let images =
        std::env::var("POLYMETER_R3_IMAGES").map_or(Ok(IMAGES), |text| text.parse::<usize>())?;
    let run = Run::new().await?;
    let (made, lost) = run.images(images, |_| true, "full").await?;
    ensure!(lost == 0, "{lost} acknowledged sales are missing in {made} images");
    ensure!(made >= images, "{made} images");
    // What a program would lose that does not flush its log at each commit (synchronous=NORMAL).
    let (broken, missed) = run.images(IMAGES / 4, |file| file == 0, "normal").await?;
    ensure!(missed > 0, "a log that is not flushed loses nothing in {broken} images");
    say(&format!(
        "R3 on Sqlite: {made} images of a power cut, 0 of {SALES} acknowledged sales missing; without \
         flushes of the log {missed} are missed in {broken}"
    ))
}
