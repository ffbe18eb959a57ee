//! What is done to a sale, decided before it is made: which meter, what is wrong with the line, when
//! the program is killed, and whether its successor is killed too.
//!
//! Invariant: a decision depends on the seed, the site and the trial's number alone, and never on what
//! happened before, so that a trial can be played again by itself. Not here: doing it (trial).

use crate::chance::Chance;
use meter_sim::{FaultKind, On, Release};
use polymeter_service::CRASH_POINTS;
use std::fmt;

/// One sale, or two at once on two lines, and one kill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    pub sale: Planned,
    /// On the other vendor's meter, at the same moment.
    pub beside: Option<Planned>,
    pub kill: Kill,
    /// The program that takes up what was left is killed as well.
    pub again: Option<Kill>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// In `e2e::METERS`.
    pub meter: usize,
    pub paid_fen: u64,
    pub trouble: Vec<Trouble>,
}

/// When the program dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kill {
    /// By its own hand, in the nth pass of a named point.
    At { point: &'static str, pass: u64 },
    /// By SIGKILL, this many bytes of the frame that carries the sale being on the wire.
    InRequest { bytes: usize, release: Release },
    /// By SIGKILL, this many bytes of the meter's answer being back: the meter has taken it.
    InReply { bytes: usize, release: Release },
    /// By SIGKILL, so long after the request.
    After { ms: u64 },
}

/// What goes wrong on the line, besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub on: On,
    pub kind: FaultKind,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sale)?;
        if let Some(beside) = &self.beside {
            write!(f, "; beside it {beside}")?;
        }
        write!(f, "; {}", self.kill)?;
        if let Some(again) = &self.again {
            write!(f, ", its successor {again}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meter = e2e::METERS[self.meter].serial_number;
        write!(f, "{}.{:02} to {meter}", self.paid_fen / 100, self.paid_fen % 100)?;
        for Trouble { on, kind } in &self.trouble {
            write!(f, ", {kind:?} on {on:?}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kill::At { point, pass } => write!(f, "dies at {point}, pass {pass}"),
            Kill::InRequest { bytes, release } => {
                write!(f, "killed at byte {bytes} of the sale's frame, the rest: {release:?}")
            }
            Kill::InReply { bytes, release } => {
                write!(f, "killed at byte {bytes} of the answer, the rest: {release:?}")
            }
            Kill::After { ms } => write!(f, "killed after {ms} ms"),
        }
    }
}

/// The lengths of a vendor's frame that sells and of its answer, as they were seen on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lengths {
    pub request: usize,
    pub reply: usize,
}

const RELEASES: [Release; 2] = [Release::Deliver, Release::Vanish];

/// What the line does to a sale in the enumerated sweep: the meter has applied it or not, and the
/// answer is lost, cut, corrupt, doubled, late or another meter's.
fn troubles() -> Vec<Vec<Trouble>> {
    let on_sell = |kind| vec![Trouble { on: On::Sell, kind }];
    vec![
        vec![],
        on_sell(FaultKind::LostAfterApply),
        on_sell(FaultKind::CutRequest { keep_bytes: 6 }),
        on_sell(FaultKind::NoReply),
        on_sell(FaultKind::CutReply { keep_bytes: 5 }),
        on_sell(FaultKind::FlipReply { bit: 37 }),
        on_sell(FaultKind::Doubled),
        on_sell(FaultKind::Late { wait_ms: 160 }),
        on_sell(FaultKind::ReplyFromOtherMeter),
        on_sell(FaultKind::Refuse { word: 0x0004 }),
        // Applied, and the proof that the driver asks for within the call is lost too, so that the
        // service has to ask by itself.
        vec![
            Trouble { on: On::Sell, kind: FaultKind::LostAfterApply },
            Trouble { on: On::Check, kind: FaultKind::NoReply },
        ],
    ]
}

/// Every point under every trouble, then every byte of every frame that sells and of its answer, with
/// the rest arriving or not. `lengths` is by meter: one of each vendor.
pub fn sweep(lengths: &[Lengths; 2]) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut amount = 1001;
    let mut add = |meter, trouble: Vec<Trouble>, kill| {
        // Every amount is another, so that no credit can be taken for its neighbour.
        amount = 1001 + (amount - 1000) % 997;
        let sale = Planned { meter, paid_fen: amount, trouble };
        trials.push(Trial { sale, beside: None, kill, again: None });
    };
    for meter in 0..lengths.len() {
        for trouble in troubles() {
            for &point in CRASH_POINTS {
                // A sale without trouble writes four times: reserved, dispatched, settled, and what it
                // was asked for beside.
                let passes = if point.ends_with("commit") { 1..=4 } else { 1..=1 };
                for pass in passes {
                    add(meter, trouble.clone(), Kill::At { point, pass });
                }
            }
        }
    }
    for (meter, length) in lengths.iter().enumerate() {
        for release in RELEASES {
            for bytes in 0..=length.request {
                add(meter, vec![], Kill::InRequest { bytes, release });
            }
            for bytes in 0..=length.reply {
                add(meter, vec![], Kill::InReply { bytes, release });
            }
        }
    }
    trials
}

/// The trial of this number at this site.
pub fn random(seed: u64, site: u64, number: u64, lengths: &[Lengths; 2]) -> Trial {
    let mut chance = Chance::new(seed, &[site, number]);
    let meter = usize::from(chance.one_in(2));
    let sale = planned(&mut chance, meter);
    let beside = chance.one_in(3).then(|| planned(&mut chance, 1 - meter));
    let kill = any_kill(&mut chance, &lengths[meter]);
    let again = chance.one_in(4).then(|| {
        if chance.one_in(2) { at(&mut chance) } else { Kill::After { ms: chance.below(80) } }
    });
    Trial { sale, beside, kill, again }
}

fn planned(chance: &mut Chance, meter: usize) -> Planned {
    let paid_fen = 100 + chance.below(1900);
    let mut trouble = Vec::new();
    for _ in 0..chance.below(3) {
        trouble.push(Trouble { on: any_request(chance), kind: any_trouble(chance) });
    }
    Planned { meter, paid_fen, trouble }
}

fn any_request(chance: &mut Chance) -> On {
    *chance.pick(&[On::Sell, On::Sell, On::Sell, On::Check, On::Check, On::Authenticate])
}

fn any_trouble(chance: &mut Chance) -> FaultKind {
    let small = |chance: &mut Chance| usize::try_from(chance.below(16)).unwrap_or(0);
    match chance.below(10) {
        0 | 1 => FaultKind::LostAfterApply,
        2 => FaultKind::NoReply,
        3 => FaultKind::CutRequest { keep_bytes: small(chance) },
        4 => FaultKind::CutReply { keep_bytes: small(chance) },
        5 => FaultKind::FlipReply { bit: small(chance) * 7 },
        6 => FaultKind::Doubled,
        7 => FaultKind::Late { wait_ms: 100 + chance.below(150) },
        8 => FaultKind::ReplyFromOtherMeter,
        _ => FaultKind::GarbageBefore { hex: format!("{:016X}", chance.number()) },
    }
}

fn at(chance: &mut Chance) -> Kill {
    let point = *chance.pick(CRASH_POINTS);
    let pass = if point.ends_with("commit") { 1 + chance.below(6) } else { 1 };
    Kill::At { point, pass }
}

fn any_kill(chance: &mut Chance, lengths: &Lengths) -> Kill {
    let bytes = |chance: &mut Chance, of: usize| {
        let end = u64::try_from(of).unwrap_or(0) + 1;
        usize::try_from(chance.below(end)).unwrap_or(0)
    };
    match chance.below(8) {
        0..=2 => at(chance),
        3 => Kill::InRequest {
            bytes: bytes(chance, lengths.request),
            release: *chance.pick(&RELEASES),
        },
        4 => {
            Kill::InReply { bytes: bytes(chance, lengths.reply), release: *chance.pick(&RELEASES) }
        }
        _ => Kill::After { ms: chance.below(60) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [Lengths; 2] =
        [Lengths { request: 50, reply: 12 }, Lengths { request: 15, reply: 8 }];

    #[test]
    fn a_seed_decides_everything_and_sites_differ() {
        let of = |seed, site| -> Vec<Trial> {
            (0..200).map(|number| random(seed, site, number, &LENGTHS)).collect()
        };
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0), of(1, 1));
        assert_ne!(of(1, 0), of(2, 0));
    }

    #[test]
    fn the_sweep_has_every_point_and_every_byte() {
        let trials = sweep(&LENGTHS);
        for &point in CRASH_POINTS {
            let is_it =
                |trial: &&Trial| matches!(trial.kill, Kill::At { point: at, .. } if at == point);
            assert!(trials.iter().filter(is_it).count() >= 2 * troubles().len(), "{point}");
        }
        for bytes in 0..=50 {
            for release in RELEASES {
                let kill = Kill::InRequest { bytes, release };
                assert!(trials.iter().any(|trial| trial.sale.meter == 0 && trial.kill == kill));
            }
        }
        let kill = Kill::InReply { bytes: 8, release: Release::Vanish };
        assert!(trials.iter().any(|trial| trial.sale.meter == 1 && trial.kill == kill));
        assert!(
            !trials.iter().any(|trial| trial.sale.meter == 1
                && matches!(trial.kill, Kill::InReply { bytes: 9.., .. }))
        );
    }
}
