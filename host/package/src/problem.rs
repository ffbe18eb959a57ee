//! What is wrong with a file that a person wrote in TOML, in a sentence that names file, line and fix.

use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// From 1; `None` where it is about the whole file.
    pub line: Option<usize>,
    pub what: String,
    pub fix: String,
}

/// At least one problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    pub fn of_file(file: &Path, what: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), line: None, what: what.into(), fix: fix.into() }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

/// `polymeter.toml:12: what; fix`, which editors and terminals turn into a link.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}; {}", self.what, self.fix)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// The line, from 1, that byte `offset` of `text` is on.
pub fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// A syntax error, a missing key, a wrong type or an unknown key. For the last, the nearest known
/// key is proposed. `page` is the document that shows how the file is written.
pub fn of_toml(file: &Path, text: &str, error: &toml::de::Error, page: &str) -> Problem {
    let line = error.span().map(|span| line_at(text, span.start));
    let message = error.message().replace('\n', ", ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (what, fix) = if message.starts_with("unknown field") {
        let unknown = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        (format!("unknown key `{unknown}`"), nearest(unknown, &known))
    } else if message.starts_with("missing field") {
        let missing = quoted.next().unwrap_or_default();
        (format!("the key `{missing}` is missing"), format!("add `{missing} = ...` here"))
    } else {
        (message.clone(), format!("write it as {page} shows"))
    };
    Problem { file: file.to_owned(), line, what, fix }
}

fn nearest(unknown: &str, known: &[&str]) -> String {
    let closest = known.iter().map(|key| (distance(unknown, key), key)).min();
    match closest {
        // Further than a third of its letters is another word, not a slip.
        Some((steps, key)) if steps <= 1 + key.len() / 3 => format!("did you mean `{key}`?"),
        Some(_) => format!("remove it; known here: {}", known.join(", ")),
        None => "remove it".to_owned(),
    }
}

/// Levenshtein's edit distance in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (b, cell) in right.bytes().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *cell;
            *cell = changed.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
