//! What Prometheus scrapes, in its text format 0.0.4.
//!
//! Invariant: names and labels never change their meaning; a label holds no customer's data. Served on
//! the control socket, and on the listening address to a live session only.

mod health;

use crate::app::App;
use polymeter_service::{Edition, Slot};
use std::fmt::Write;

/// One kind of number, all its rows together as the format wants them.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    rows: Vec<Row>,
}

struct Row {
    /// Behind the family's name: a histogram has rows of three names.
    suffix: &'static str,
    /// As they are written; empty where there are none.
    labels: String,
    value: String,
}

impl Row {
    fn new(labels: String, value: u64) -> Row {
        Row { suffix: "", labels, value: value.to_string() }
    }
}

pub fn text(app: &App) -> String {
    let slots = app.service.slots();
    let mut text = String::new();
    let families = [
        drivers(&slots),
        health::families(&slots),
        health::runtime(&app.drivers.metrics()),
        trials(&slots),
        lines(app),
    ];
    families.iter().flatten().for_each(|family| family.write_to(&mut text));
    text
}

impl Family {
    fn write_to(&self, text: &mut String) {
        let Family { name, kind, help, rows } = self;
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for Row { suffix, labels, value } in rows {
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            let _ = writeln!(text, "{name}{suffix}{labels} {value}");
        }
    }
}

/// Every version that is loaded, with what it is for.
fn editions(slots: &[Slot]) -> impl Iterator<Item = (&'static str, &Edition)> {
    slots.iter().flat_map(|slot| {
        let candidate = slot.candidate.as_deref().map(|it| ("candidate", &it.edition));
        let previous = slot.previous.as_ref().map(|it| ("previous", it));
        [Some(("current", &slot.current)), candidate, previous].into_iter().flatten()
    })
}

fn labels(role: &str, edition: &Edition) -> String {
    format!(
        "driver=\"{}\",vendor=\"{}\",version=\"{}\",role=\"{role}\"",
        escaped(edition.driver.name()),
        escaped(edition.vendor().as_str()),
        escaped(edition.version())
    )
}

/// A label's value: backslash, quote and line end are the three that the format escapes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn drivers(slots: &[Slot]) -> Vec<Family> {
    let rows = |of: fn(&Edition) -> u64| {
        editions(slots)
            .map(|(role, edition)| Row::new(labels(role, edition), of(edition)))
            .collect()
    };
    vec![
        Family {
            name: "polymeter_driver_info",
            kind: "gauge",
            help: "Versions of drivers that are loaded.",
            rows: rows(|_| 1),
        },
        Family {
            name: "polymeter_driver_signed",
            kind: "gauge",
            help: "1 where the version's package is signed by a pinned key.",
            rows: rows(|edition| u64::from(edition.signer.is_some())),
        },
    ]
}

fn trials(slots: &[Slot]) -> Vec<Family> {
    let on_trial: Vec<_> = slots
        .iter()
        .filter_map(|slot| slot.candidate.as_deref())
        .map(|it| (labels("candidate", &it.edition), it.progress()))
        .collect();
    let family = |name, help, of: fn(&polymeter_service::Progress) -> u32| Family {
        name,
        kind: "counter",
        help,
        rows: on_trial
            .iter()
            .map(|(labels, it)| Row::new(labels.clone(), u64::from(of(it))))
            .collect(),
    };
    vec![
        family(
            "polymeter_candidate_comparisons_total",
            "Reads of a candidate that were compared with the current version's.",
            |it| it.comparisons,
        ),
        family(
            "polymeter_candidate_disagreements_total",
            "Comparisons in which the two versions differed.",
            |it| it.disagreements,
        ),
        family("polymeter_candidate_reads_total", "Reads served by a candidate.", |it| it.reads),
        family("polymeter_candidate_acts_total", "Other acts done by a candidate.", |it| it.acts),
        family("polymeter_candidate_faults_total", "Calls that a candidate failed.", |it| {
            it.faults
        }),
    ]
}

fn lines(app: &App) -> Vec<Family> {
    let lines = app.service.lines();
    let family = |name, help, of: fn(&polymeter_transport::Line) -> u64| Family {
        name,
        kind: "counter",
        help,
        rows: lines
            .iter()
            .map(|line| Row::new(format!("line=\"{}\"", escaped(&line.settings().name)), of(line)))
            .collect(),
    };
    vec![
        family("polymeter_line_frames_sent_total", "Frames sent.", |it| it.counters().frames_sent),
        family("polymeter_line_sent_bytes_total", "Bytes sent.", |it| it.counters().bytes_sent),
        family("polymeter_line_received_bytes_total", "Bytes received.", |it| {
            it.counters().bytes_received
        }),
        family(
            "polymeter_line_late_bytes_total",
            "Bytes that came when nobody waited for them.",
            |it| it.counters().bytes_late,
        ),
        family("polymeter_line_reconnects_total", "Times the line was opened again.", |it| {
            it.counters().reconnects
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_early() {
        assert_eq!(escaped("a\"} 1\nb\\"), "a\\\"} 1\\nb\\\\");
    }
}
