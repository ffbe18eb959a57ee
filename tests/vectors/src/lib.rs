//! Frames that others published, and what their sources say of them, against our decoders:
//! `cargo xtask vectors` prints what [`Report`] holds, and the test of this crate demands it.
//!
//! The rows stand in `../shared/vectors` beside the workspace and belong to no release: a checkout
//! without that folder says so loudly. A protocol is one file here and one line in [`PROTOCOLS`].
//!
//! Invariant: every row is decoded, refused, or left with a reason; a difference from a published
//! value is either explained in the protocol's list or fails; an explanation that explains nothing
//! any more fails too.

mod acrel_4g;
mod cjt188;
mod dlms;
mod dlt645;
mod dlt698;
pub mod mbus;
mod modbus;
mod row;
mod sts;

pub use row::{Row, rows};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// One file of rows and the check that knows its protocol.
#[derive(Debug)]
pub struct Protocol {
    /// As printed, e.g. "modbus".
    pub name: &'static str,
    /// In the folder of vectors, e.g. "modbus.jsonl".
    pub file: &'static str,
    /// Decodes one row and compares; `Err` says what is wrong and is never explained away.
    pub check: fn(&Row) -> Result<Checked, String>,
    /// Why we differ from a published value, by row.
    pub explained: &'static [Explained],
}

/// A reason why a row's published value is not ours.
#[derive(Debug)]
pub struct Explained {
    /// Number of the row in its file, from 1.
    pub row: usize,
    /// Stands in the text of the difference that it explains, e.g. the value's name.
    pub about: &'static str,
    /// Who is right, and why.
    pub reason: &'static str,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// A valid row was decoded.
    Decoded {
        /// How many published values were compared; 0 where the row states none.
        compared: usize,
        /// Each published value that is not ours, as "what: published, ours".
        differences: Vec<String>,
        /// Published values that stand in no record that could be ours, and why.
        unread: Option<(&'static str, usize)>,
    },
    /// A row that is published as broken was refused, with this error.
    Refused(String),
    /// The row is not of this protocol, and why.
    Left(&'static str),
}

/// Every protocol with vectors, in the order in which they are printed.
pub const PROTOCOLS: &[&Protocol] = &[
    &dlt645::PROTOCOL,
    &modbus::PROTOCOL,
    &modbus::CRC,
    &cjt188::PROTOCOL,
    &mbus::LIBMBUS,
    &mbus::NAMED,
    &mbus::WIRELESS,
    &acrel_4g::PROTOCOL,
    &dlt698::PROTOCOL,
    &dlms::PROTOCOL,
    &sts::PROTOCOL,
];

/// The folder of published rows, or `None` where this checkout has none beside it.
pub fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    folder.is_dir().then_some(folder)
}

/// What all rows of one protocol came to.
#[derive(Debug, Default)]
pub struct Tally {
    pub rows: usize,
    pub decoded: usize,
    /// Decoded rows that state values of which every one is ours.
    pub equal: usize,
    /// Rows with differences that are explained: number, and each difference with its reason.
    pub differing: Vec<(usize, Vec<(String, &'static str)>)>,
    /// Rows with published values that no record of ours could carry: number, why, how many.
    pub unread: Vec<(usize, &'static str, usize)>,
    /// Rows published as broken that were refused.
    pub refused: usize,
    /// Rows that are not of the protocol, counted by reason.
    pub left: BTreeMap<&'static str, usize>,
    /// Why this protocol fails: number of the row and what is wrong.
    pub failures: Vec<(usize, String)>,
}

/// All protocols, each with its name.
#[derive(Debug)]
pub struct Report(pub Vec<(&'static str, Tally)>);

impl Report {
    /// Checks every row of every protocol whose name contains `filter`.
    pub fn new(folder: &Path, filter: &str) -> Report {
        let protocols = PROTOCOLS.iter().filter(|protocol| protocol.name.contains(filter));
        Report(protocols.map(|protocol| (protocol.name, tally(folder, protocol))).collect())
    }

    /// Whether any row failed, or nothing was checked.
    pub fn failed(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(|(_, tally)| !tally.failures.is_empty())
    }
}

/// Checks every row of one protocol's file. A file that is missing or holds no row is a failure.
pub fn tally(folder: &Path, protocol: &Protocol) -> Tally {
    let mut tally = Tally::default();
    match row::rows(folder, protocol.file) {
        Ok(rows) if rows.is_empty() => tally.failures.push((0, "the file has no row".to_owned())),
        Ok(rows) => rows.iter().for_each(|row| tally.take(protocol, row)),
        Err(error) => tally.failures.push((0, error)),
    }
    for explained in protocol.explained {
        let used = tally.differing.iter().filter(|(row, _)| *row == explained.row);
        let used = used.flat_map(|(_, differences)| differences).any(|(difference, reason)| {
            *reason == explained.reason && difference.contains(explained.about)
        });
        if !used {
            let text = format!("{:?} explains no difference", explained.about);
            tally.failures.push((explained.row, text));
        }
    }
    tally
}

impl Tally {
    fn take(&mut self, protocol: &Protocol, row: &Row) {
        self.rows += 1;
        let checked = match (protocol.check)(row) {
            Ok(checked) => checked,
            Err(error) => return self.failures.push((row.number, error)),
        };
        match checked {
            Checked::Left(reason) => *self.left.entry(reason).or_default() += 1,
            Checked::Refused(_) => self.refused += 1,
            Checked::Decoded { compared, differences, unread } => {
                self.decoded += 1;
                if let Some((reason, values)) = unread {
                    self.unread.push((row.number, reason, values));
                }
                if differences.is_empty() {
                    self.equal += usize::from(compared > 0);
                } else {
                    self.differ(protocol, row.number, differences);
                }
            }
        }
    }

    fn differ(&mut self, protocol: &Protocol, number: usize, differences: Vec<String>) {
        let mut explanations = Vec::new();
        for difference in differences {
            let explained = protocol
                .explained
                .iter()
                .find(|explained| explained.row == number && difference.contains(explained.about));
            match explained {
                Some(explained) => explanations.push((difference, explained.reason)),
                None => self.failures.push((number, difference)),
            }
        }
        if !explanations.is_empty() {
            self.differing.push((number, explanations));
        }
    }

    /// Each reason once, for a difference or for what was not read: how many values, of which rows.
    fn reasons(&self) -> BTreeMap<(&'static str, &'static str), (usize, BTreeSet<usize>)> {
        let mut reasons: BTreeMap<_, (usize, BTreeSet<usize>)> = BTreeMap::new();
        let mut take = |key, row, values| {
            let (count, rows) = reasons.entry(key).or_default();
            *count += values;
            rows.insert(row);
        };
        for (row, differences) in &self.differing {
            for (_, reason) in differences {
                take(("differ", *reason), *row, 1);
            }
        }
        for (row, reason, values) in &self.unread {
            take(("were not read", *reason), *row, *values);
        }
        reasons
    }
}

/// A line for each protocol, then each reason why values differ, were not read or rows were left, then
/// what fails.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "protocol          rows decoded equal differing refused left failed")?;
        for (name, tally) in &self.0 {
            writeln!(
                f,
                "{name:<17} {:>4} {:>7} {:>5} {:>9} {:>7} {:>4} {:>6}",
                tally.rows,
                tally.decoded,
                tally.equal,
                tally.differing.len(),
                tally.refused,
                tally.left.values().sum::<usize>(),
                tally.failures.len()
            )?;
            for ((what, reason), (values, rows)) in tally.reasons() {
                let rows: Vec<String> = rows.iter().map(usize::to_string).collect();
                let rows = rows.join(", ");
                writeln!(f, "    {values} values {what}, rows {rows}: {reason}")?;
            }
            for (reason, count) in &tally.left {
                writeln!(f, "    {count} left: {reason}")?;
            }
            for (row, failure) in &tally.failures {
                writeln!(f, "    row {row} FAILED: {failure}")?;
            }
        }
        Ok(())
    }
}
