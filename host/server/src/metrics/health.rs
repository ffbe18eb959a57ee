//! The drivers' statistics as families: calls and their endings, traps, limits, quarantine, latency.

use super::{Family, Row, editions, labels};
use polymeter_runtime::{Health, Latency, Metrics, Standing};
use polymeter_service::Slot;

/// Labels of a version, and how it is doing.
type Doing = (String, Health);

pub(super) fn families(slots: &[Slot]) -> Vec<Family> {
    let all: Vec<Doing> = editions(slots)
        .map(|(role, edition)| (labels(role, edition), edition.driver.health()))
        .collect();
    let single = |name, kind, help, of: fn(&Health) -> u64| {
        let rows = all.iter().map(|(labels, health)| Row::new(labels.clone(), of(health)));
        Family { name, kind, help, rows: rows.collect() }
    };
    vec![
        single("polymeter_driver_calls_total", "counter", "Calls begun.", |it| it.calls),
        single("polymeter_driver_calls_running", "gauge", "Calls that run or wait.", |it| {
            it.running
        }),
        single("polymeter_driver_failures_total", "counter", "Calls without an answer.", |it| {
            it.failures
        }),
        single(
            "polymeter_driver_calls_cancelled_total",
            "counter",
            "Calls whose caller went away.",
            |it| it.cancelled,
        ),
        single(
            "polymeter_driver_calls_refused_total",
            "counter",
            "Calls refused because the driver was in quarantine.",
            |it| it.refused,
        ),
        traps(&all),
        limits(&all),
        single(
            "polymeter_driver_quarantined",
            "gauge",
            "1 while the driver is in quarantine and not called.",
            |it| u64::from(matches!(it.standing, Standing::Quarantined { .. })),
        ),
        single(
            "polymeter_driver_quarantines_total",
            "counter",
            "Times the driver was put into quarantine.",
            |it| it.quarantines,
        ),
        single(
            "polymeter_driver_log_lines_dropped_total",
            "counter",
            "Log lines beyond the driver's limits.",
            |it| it.log_lines_dropped,
        ),
        latency(&all),
    ]
}

/// Of all drivers together.
pub(super) fn runtime(metrics: &Metrics) -> Vec<Family> {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let one = |name, kind, help, value| {
        let rows = vec![Row::new(String::new(), value)];
        Family { name, kind, help, rows }
    };
    let code = |result: &str, value| Row::new(format!("result=\"{result}\""), value);
    vec![
        one(
            "polymeter_calls_running",
            "gauge",
            "Calls of all drivers that run now.",
            wide(metrics.calls_running),
        ),
        one(
            "polymeter_calls_limit",
            "gauge",
            "Calls that may run at the same time.",
            wide(metrics.calls_most),
        ),
        one(
            "polymeter_warm_instances",
            "gauge",
            "Idle instances kept for reads.",
            wide(metrics.warm_instances),
        ),
        Family {
            name: "polymeter_component_loads_total",
            kind: "counter",
            help: "Components taken from the cache, compiled, or not compiled for an error.",
            rows: vec![
                code("cached", metrics.code_cached),
                code("compiled", metrics.code_compiled),
                code("failed", metrics.code_failed),
            ],
        },
    ]
}

fn traps(all: &[Doing]) -> Family {
    let rows = all.iter().flat_map(|(labels, health)| {
        let traps = health.traps.iter();
        traps.map(move |(kind, n)| Row::new(format!("{labels},kind=\"{}\"", kind.name()), *n))
    });
    Family {
        name: "polymeter_driver_traps_total",
        kind: "counter",
        help: "Calls that broke their instance.",
        rows: rows.collect(),
    }
}

fn limits(all: &[Doing]) -> Family {
    let rows = all.iter().flat_map(|(labels, health)| {
        let limits = health.limits.iter();
        limits.map(move |(knob, n)| Row::new(format!("{labels},limit=\"{}\"", knob.name()), *n))
    });
    Family {
        name: "polymeter_driver_limit_hits_total",
        kind: "counter",
        help: "Times a limit bit; concurrent-calls bites by making a call wait.",
        rows: rows.collect(),
    }
}

fn latency(all: &[Doing]) -> Family {
    let rows = all.iter().flat_map(|(labels, health)| histogram(labels, &health.latency));
    Family {
        name: "polymeter_driver_call_seconds",
        kind: "histogram",
        help: "How long calls took, waiting for the line included.",
        rows: rows.collect(),
    }
}

fn histogram(labels: &str, latency: &Latency) -> Vec<Row> {
    let bounds = Latency::BOUNDS_MS.iter().map(|bound| seconds(u128::from(*bound)));
    let bounds = bounds.chain(["+Inf".to_owned()]);
    let buckets = bounds.zip(latency.cumulative()).map(|(bound, count)| Row {
        suffix: "_bucket",
        labels: format!("{labels},le=\"{bound}\""),
        value: count.to_string(),
    });
    let sum = seconds(latency.sum.as_millis());
    let rest = [("_sum", sum), ("_count", latency.calls().to_string())];
    let rest = rest.map(|(suffix, value)| Row { suffix, labels: labels.to_owned(), value });
    buckets.chain(rest).collect()
}

/// Milliseconds as seconds, all three decimals.
fn seconds(ms: u128) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
