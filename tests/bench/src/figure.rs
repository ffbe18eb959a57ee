//! One row of the report: a ratio to a reference, or a plain figure with its bound.
//!
//! Not here: how a ratio is taken (ratio), how it is printed (report).

use crate::ratio::Comparison;

pub struct Row {
    /// As in targets.md; empty for a row that no target asks for.
    pub name: &'static str,
    pub what: String,
    pub target: String,
    pub figure: Figure,
}

pub enum Figure {
    /// Product time over reference time; `at_most`: the target as such a ratio.
    Ratio {
        comparison: Comparison,
        at_most: Option<f64>,
    },
    Plain {
        text: String,
        reached: Option<bool>,
    },
    /// Not measured in this run, and why.
    Missing {
        why: String,
    },
}

impl Figure {
    /// Whether the target was reached; `None` where there is none, or the run says nothing.
    pub fn reached(&self) -> Option<bool> {
        match self {
            Figure::Ratio { comparison, at_most } if comparison.is_even() => {
                at_most.map(|at_most| comparison.ratio() <= at_most)
            }
            Figure::Ratio { .. } | Figure::Missing { .. } => None,
            Figure::Plain { reached, .. } => *reached,
        }
    }
}

impl Row {
    pub fn ratio(
        name: &'static str,
        what: &str,
        at_most: Option<f64>,
        comparison: Comparison,
    ) -> Row {
        let target = at_most.map_or("none set".to_owned(), |most| {
            let most = format!("{most:.2}");
            format!("at most {}", most.trim_end_matches('0').trim_end_matches('.'))
        });
        Row { name, what: what.to_owned(), target, figure: Figure::Ratio { comparison, at_most } }
    }

    /// `reached`: `None` where the run says nothing.
    pub fn plain(
        name: &'static str,
        what: impl Into<String>,
        target: &str,
        text: String,
        reached: impl Into<Option<bool>>,
    ) -> Row {
        let figure = Figure::Plain { text, reached: reached.into() };
        Row { name, what: what.into(), target: target.to_owned(), figure }
    }

    pub fn missing(name: &'static str, what: String, package: &str) -> Row {
        let why = format!("not measured: {package} is not installed here");
        Row { name, what, target: String::new(), figure: Figure::Missing { why } }
    }
}
