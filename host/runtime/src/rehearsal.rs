//! A package's own transcripts, played in the sandbox before its driver serves.
//!
//! Invariant: what differs from its transcript never serves; of a signed package every function that
//! the host may call has one. Not here: one play (replay), the format (polymeter-transcript).

use crate::driver::Driver;
use crate::error::LoadError;
use crate::limits::{PLAYED_TRANSCRIPTS, REHEARSAL_TIME};
use crate::replay::replay;
use polymeter_package::Package;
use polymeter_transcript::{Function, Transcript};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many transcripts were played for each function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(pub BTreeMap<Function, usize>);

/// Plays a package's own transcripts, each `(name, text)`. Every function that the host may call
/// must have one.
pub async fn check_transcripts<'a>(
    driver: &Driver,
    transcripts: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Coverage, LoadError> {
    let (parsed, coverage) = parsed(driver, transcripts)?;
    if let Some(functions) = missing(driver, &coverage) {
        return Err(LoadError::NoTranscript { driver: driver.name().to_owned(), functions });
    }
    play(driver, &parsed, REHEARSAL_TIME).await?;
    Ok(coverage)
}

/// As [`check_transcripts`]; where nobody vouches for the package, what is missing is told and no
/// more.
pub(crate) async fn rehearse(driver: &Driver, package: &Package) -> Result<(), LoadError> {
    let members: Vec<(String, &str)> =
        package.transcripts.iter().map(|it| (it.member(), it.text.as_str())).collect();
    let texts = members.iter().map(|(member, text)| (member.as_str(), *text));
    if package.verdict.is_signed() {
        return check_transcripts(driver, texts).await.map(drop);
    }
    let (parsed, coverage) = parsed(driver, texts)?;
    if let Some(functions) = missing(driver, &coverage) {
        tracing::warn!(
            driver = driver.name(),
            "no transcript of its package calls {functions}: nobody has shown that these work"
        );
    }
    play(driver, &parsed, REHEARSAL_TIME).await
}

fn parsed<'a>(
    driver: &Driver,
    transcripts: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(Vec<Transcript>, Coverage), LoadError> {
    let name = || driver.name().to_owned();
    let mut coverage = Coverage::default();
    let mut parsed = Vec::new();
    for (file, text) in transcripts {
        if parsed.len() >= PLAYED_TRANSCRIPTS {
            return Err(LoadError::TooManyTranscripts { driver: name(), most: PLAYED_TRANSCRIPTS });
        }
        let transcript = Transcript::parse(file, text)
            .map_err(|source| LoadError::BadTranscript { driver: name(), source })?;
        *coverage.0.entry(transcript.request.function()).or_default() += 1;
        parsed.push(transcript);
    }
    Ok((parsed, coverage))
}

/// The functions that the host may call and no transcript does, if there are any.
fn missing(driver: &Driver, coverage: &Coverage) -> Option<String> {
    let missing: Vec<String> = Function::ALL
        .into_iter()
        .filter(|it| driver.abilities().has(*it) && !coverage.0.contains_key(it))
        .map(|it| it.to_string())
        .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// Each play is bounded by the driver's own limits, all of them together by `time`.
pub(crate) async fn play(
    driver: &Driver,
    transcripts: &[Transcript],
    time: Duration,
) -> Result<(), LoadError> {
    let name = || driver.name().to_owned();
    let began = Instant::now();
    for transcript in transcripts {
        if began.elapsed() >= time {
            let seconds = time.as_secs();
            return Err(LoadError::LongTranscripts { driver: name(), seconds });
        }
        replay(driver, transcript)
            .await
            .map_err(|source| LoadError::Differs { driver: name(), source })?;
    }
    Ok(())
}
