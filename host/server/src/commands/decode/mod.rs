//! `decode HEX...` and `decode --file FILE`: captured bytes explained, one JSON document for each
//! frame, by the driver that is named or by whichever knows the frame.
//!
//! Invariant: needs no configuration, no line and no key; drivers are granted nothing that acts, so
//! nobody asks who signed them. A file is read line by line: its size does not matter.
//! Not here: what a line of a log is (line), whose frame it is (frames).

mod frames;
mod line;

use super::{Failure, print_json};
use crate::api::values::{self, DeviceValue, MeasurementJson};
use crate::app;
use crate::config::Config;
use frames::{Found, Part, Walk};
use polymeter_package::{EXTENSION, Sealed};
use polymeter_runtime::{Driver, Runtime};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A line of a log that is longer is told and passed over.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// So many bytes of what nobody knows are shown.
const SHOWN_BYTES_MAX: usize = 32;

/// What is to be explained.
#[derive(Debug, Clone)]
pub enum Source {
    /// Hexadecimal words of the command line.
    Words(Vec<String>),
    /// A log of frames; `-` is standard input.
    File(PathBuf),
}

/// Where drivers are, and which.
#[derive(Debug, Clone)]
pub struct Drivers {
    /// Where packages lie when no configuration names the driver.
    pub folder: Option<PathBuf>,
    /// `None`: every driver that explains frames.
    pub name: Option<String>,
}

/// A captured frame, explained.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// What stood before the bytes, e.g. a time.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    /// Where the frame begins in the bytes of its line, the first being 0.
    at: usize,
    frame: String,
    protocol: Option<String>,
    driver: String,
    /// Other drivers that read the same protocol in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<String>,
    sure: bool,
    why: String,
    address: String,
    measurements: Vec<MeasurementJson>,
    extras: BTreeMap<String, DeviceValue>,
}

impl Explained {
    fn new(place: &Place, capture: &[u8], found: &Found, asked: usize) -> Explained {
        let (known, said) = (&found.known, &found.known.explanation);
        Explained {
            line: place.line,
            note: place.note.clone(),
            at: known.start,
            frame: hex::encode_upper(capture.get(known.start..known.end).unwrap_or_default()),
            protocol: known.protocol.clone(),
            driver: known.driver.clone(),
            also: found.also().into_iter().map(str::to_owned).collect(),
            sure: found.is_sure(),
            why: found.why(asked),
            address: said.address.clone(),
            measurements: said.measurements.iter().map(MeasurementJson::from).collect(),
            extras: values::extras(&said.extras),
        }
    }
}

/// Where a capture stood.
#[derive(Debug, Default)]
struct Place {
    line: Option<u64>,
    note: String,
}

pub async fn run(config: &Path, drivers: &Drivers, source: &Source) -> Result<(), Failure> {
    match source {
        Source::Words(words) => {
            let capture = bytes(words)?;
            let drivers = load(config, drivers).await?;
            explain_words(&drivers, &capture).await
        }
        Source::File(path) => {
            let mut log = open_log(path)?;
            let drivers = load(config, drivers).await?;
            explain_log(&drivers, &mut log).await
        }
    }
}

async fn explain_words(drivers: &[Arc<Driver>], capture: &[u8]) -> Result<(), Failure> {
    let mut walk = Walk::new(drivers, capture);
    let mut unknown = Vec::new();
    let mut frames = 0_u64;
    while let Some(part) = walk.next().await {
        match part {
            Part::Frame(found) => {
                frames += 1;
                print_json(&Explained::new(&Place::default(), capture, &found, drivers.len()))?;
            }
            Part::Unknown { start, end, why } => unknown.push(told(capture, start, end, &why)),
        }
    }
    match (frames, unknown.as_slice()) {
        (_, []) => Ok(()),
        (0, _) => {
            let who = if drivers.len() == 1 { "the driver" } else { "no driver" };
            let not = if drivers.len() == 1 { "could not explain it" } else { "can explain it" };
            Err(Failure::Wrong(format!("{who} {not}: {}", unknown.join("; "))))
        }
        (_, _) => Err(Failure::Wrong(unknown.join("; "))),
    }
}

/// "bytes 3 to 8 (010203040506) are no frame: dlt645-2007: ...".
fn told(capture: &[u8], start: usize, end: usize, why: &str) -> String {
    let bytes = capture.get(start..end).unwrap_or_default();
    let shown = hex::encode_upper(bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes));
    let dots = if bytes.len() > SHOWN_BYTES_MAX { "..." } else { "" };
    format!("bytes {start} to {} ({shown}{dots}) are no frame: {why}", end - 1)
}

fn open_log(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = std::fs::File::open(path)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
    Ok(Box::new(std::io::BufReader::new(file)))
}

/// What a log came to.
#[derive(Debug, Default)]
struct Sums {
    lines: u64,
    frames: u64,
    unsure: u64,
    bad_lines: u64,
}

/// Frames to standard output, one document to a line; bad lines to standard error, each with its
/// number. An error at the end where there was a bad one, or not a single frame.
async fn explain_log(drivers: &[Arc<Driver>], log: &mut dyn BufRead) -> Result<(), Failure> {
    let mut sums = Sums::default();
    let mut buffer = Vec::new();
    loop {
        let came = next_line(log, &mut buffer);
        let came =
            came.map_err(Failure::while_doing(format!("reading line {}", sums.lines + 1)))?;
        let whole = match came {
            Came::End => break,
            Came::Line => Ok(()),
            Came::TooLong => Err(format!("it is longer than {LINE_BYTES_MAX} bytes")),
        };
        sums.lines += 1;
        let outcome = match whole {
            Ok(()) => explain_line(drivers, &String::from_utf8_lossy(&buffer), &mut sums).await?,
            Err(why) => vec![why],
        };
        if !outcome.is_empty() {
            sums.bad_lines += 1;
            eprintln!("line {}: {}", sums.lines, outcome.join("; "));
        }
    }
    let Sums { lines, frames, unsure, bad_lines } = sums;
    eprintln!("{lines} lines, {frames} frames, {unsure} of them unsure, {bad_lines} bad lines");
    match (frames, bad_lines) {
        (0, _) => Err(Failure::Wrong("there is no frame in it".to_owned())),
        (_, 0) => Ok(()),
        (_, _) => Err(Failure::Wrong(format!("{bad_lines} of {lines} lines are bad"))),
    }
}

/// What is wrong with the line, if anything.
async fn explain_line(
    drivers: &[Arc<Driver>],
    text: &str,
    sums: &mut Sums,
) -> Result<Vec<String>, Failure> {
    let logged = match line::read(text) {
        Ok(Some(logged)) => logged,
        Ok(None) => return Ok(Vec::new()),
        Err(why) => return Ok(vec![why]),
    };
    let (place, capture) = (Place { line: Some(sums.lines), note: logged.note }, logged.bytes);
    let mut walk = Walk::new(drivers, &capture);
    let mut wrong = Vec::new();
    while let Some(part) = walk.next().await {
        match part {
            Part::Frame(found) => {
                sums.frames += 1;
                sums.unsure += u64::from(!found.is_sure());
                print_line(&Explained::new(&place, &capture, &found, drivers.len()))?;
            }
            Part::Unknown { start, end, why } => wrong.push(told(&capture, start, end, &why)),
        }
    }
    Ok(wrong)
}

fn print_line(explained: &Explained) -> Result<(), Failure> {
    let doing = "writing the answer as JSON";
    let text = serde_json::to_string(explained).map_err(Failure::while_doing(doing))?;
    writeln!(std::io::stdout().lock(), "{text}").map_err(Failure::while_doing(doing))
}

enum Came {
    Line,
    TooLong,
    End,
}

/// One line into `buffer`, of which never more than [`LINE_BYTES_MAX`] are held.
fn next_line(log: &mut dyn BufRead, buffer: &mut Vec<u8>) -> std::io::Result<Came> {
    buffer.clear();
    if log.take(LINE_BYTES_MAX).read_until(b'\n', buffer)? == 0 {
        return Ok(Came::End);
    }
    if buffer.ends_with(b"\n") || log.fill_buf()?.is_empty() {
        return Ok(Came::Line);
    }
    loop {
        let rest = log.fill_buf()?;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (used, ended) = match end {
            Some(at) => (at + 1, true),
            None => (rest.len(), rest.is_empty()),
        };
        log.consume(used);
        if ended {
            return Ok(Came::TooLong);
        }
    }
}

/// The driver that is named, or all that explain frames; those that cannot be used are told.
async fn load(config: &Path, wanted: &Drivers) -> Result<Vec<Arc<Driver>>, Failure> {
    let Drivers { folder, name } = wanted;
    let runtime = app::unconfigured_runtime(None)?;
    if let Some(name) = name {
        let file = find(config, folder.clone(), name)?;
        return Ok(vec![load_one(&runtime, &file).await?]);
    }
    let mut drivers: Vec<Arc<Driver>> = Vec::new();
    for file in all(config, folder.clone())? {
        match load_one(&runtime, &file).await {
            Ok(driver) if !driver.abilities().frames => {}
            Ok(driver) if drivers.iter().any(|known| known.name() == driver.name()) => {
                let (shown, name) = (file.display(), driver.name());
                eprintln!("{shown} is passed over: another `{name}` was found before it");
            }
            Ok(driver) => drivers.push(driver),
            Err(error) => {
                eprintln!("{} is passed over: {}", file.display(), app::chain(&error));
            }
        }
    }
    if drivers.is_empty() {
        let detail = "there is no driver that explains frames; name their folder with --drivers";
        return Err(Failure::Usage(detail.to_owned()));
    }
    Ok(drivers)
}

async fn load_one(runtime: &Runtime, file: &Path) -> Result<Arc<Driver>, Failure> {
    let package = Sealed::read_file(file)?.open_unchecked()?;
    Ok(app::at_its_word(runtime, &package).await?)
}

/// The packages of the configured drivers, else those in the folder of drivers.
fn all(config: &Path, folder: Option<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    if folder.is_none() && config.is_file() {
        let config = Config::read(config)?;
        let packages = config.drivers.iter().filter_map(|entry| entry.source.package());
        return Ok(packages.map(Path::to_owned).collect());
    }
    let folder = folder.unwrap_or_else(default_folder);
    let names = known_in(&folder).into_iter();
    Ok(names.map(|name| folder.join(format!("{name}.{EXTENSION}"))).collect())
}

/// "FE FE 68", "FEFE68" or "fe,fe" as bytes.
fn bytes(words: &[String]) -> Result<Vec<u8>, Failure> {
    let digits: String =
        words.concat().chars().filter(|sign| !sign.is_whitespace() && *sign != ',').collect();
    match hex::decode(&digits) {
        Ok(frame) if !frame.is_empty() => Ok(frame),
        Ok(_) => Err(Failure::Usage("no bytes were given".to_owned())),
        Err(error) => Err(Failure::Usage(format!(
            "the frame is not hexadecimal bytes such as FE 68: {error}"
        ))),
    }
}

/// The package of a configured driver, else NAME.pmdriver in the folder of drivers.
pub(super) fn find(config: &Path, folder: Option<PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    if folder.is_none() && config.is_file() {
        let config = Config::read(config)?;
        if let Some(entry) = config.drivers.iter().find(|entry| entry.config.name == name) {
            let package = entry.source.package().ok_or_else(|| {
                Failure::Usage(format!("`{name}` is a native library, which explains no frames"))
            })?;
            return Ok(package.to_owned());
        }
    }
    let plain = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !plain {
        return Err(Failure::Usage(format!("`{name}` is not the name of a driver")));
    }
    let folder = folder.unwrap_or_else(default_folder);
    let package = folder.join(format!("{name}.{EXTENSION}"));
    if package.is_file() {
        return Ok(package);
    }
    let known = known_in(&folder);
    let known = if known.is_empty() { "no drivers".to_owned() } else { known.join(", ") };
    Err(Failure::Usage(format!(
        "no driver `{name}`: {} has {known}; name another folder with --drivers",
        folder.display()
    )))
}

/// `../drivers` beside the binary, which is where a cargo build puts them.
pub fn default_folder() -> PathBuf {
    let binary = std::env::current_exe().unwrap_or_default();
    let folder = binary.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    folder.join("drivers")
}

fn known_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], expected: Result<&[u8], &str>) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let given = bytes(&words).map_err(|failure| failure.to_string());
        assert_eq!(given.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn hexadecimal_comes_in_any_spacing() {
        check(&["FE", "fe", "68"], Ok(&[0xFE, 0xFE, 0x68]));
        check(&["FE fe,68"], Ok(&[0xFE, 0xFE, 0x68]));
        check(
            &["FEF"],
            Err("the frame is not hexadecimal bytes such as FE 68: Odd number of digits"),
        );
        check(
            &["GG"],
            Err("the frame is not hexadecimal bytes such as FE 68: Invalid character 'G' at \
                 position 0"),
        );
        check(&[" "], Err("no bytes were given"));
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let most = usize::try_from(LINE_BYTES_MAX).expect("small");
        let long = vec![b'F'; 3 * most];
        let text = [b"FE\n".as_slice(), &long, b"\n\n68 16"].concat();
        let mut log = std::io::BufReader::new(text.as_slice());
        let mut buffer = Vec::new();
        let mut lengths = Vec::new();
        loop {
            match next_line(&mut log, &mut buffer).expect("memory can be read") {
                Came::End => break,
                Came::Line => lengths.push(buffer.len()),
                Came::TooLong => {
                    assert!(buffer.len() <= most);
                    lengths.push(0);
                }
            }
        }
        assert_eq!(lengths, [3, 0, 1, 5]);
    }
}
