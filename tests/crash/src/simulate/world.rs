//! What outlives a process: the meters, the seed's stream of decisions, and what the client was told.

use crate::chance::Chance;
use meter_sim::{FaultKind, Kind, Offline, State};
use polymeter_domain::{LocalTime, MeterId, SaleId};
use polymeter_service::{Clock, UnixMs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// 2026-03-02 10:00 UTC.
const START_MS: i64 = 1_772_445_600_000;
const HOUR_MS: i64 = 3_600_000;

/// One in so many steps ends the process.
const STEPS_PER_DEATH: u64 = 60;
const FRAMES_PER_DEATH: u64 = 14;
const FRAMES_PER_FAULT: u64 = 4;

/// How the life of a seed ended.
#[derive(Debug, Default)]
pub struct Outcome {
    pub sales: u64,
    pub deaths: u64,
    pub faults: u64,
    pub failure: Option<String>,
    /// Every decision in its order: what makes a seed the same seed.
    pub trail: Vec<String>,
}

/// A sale as its client knows it.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub sale_id: SaleId,
    pub meter_id: MeterId,
    pub fen: i64,
    /// The service has said that it has the sale.
    pub is_acknowledged: bool,
    /// How it ended, once the service has said so.
    pub ended: Option<&'static str>,
}

/// What happens to one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Good,
    /// The meter does not hear it.
    Unheard,
    /// The meter does it, and its answer is lost.
    Unanswered,
    Spoilt(FaultKind),
    /// The meter does nothing and says this error.
    Refused(u16),
    /// The meter is gone; another record, or another meter, is in its place, and says nothing.
    Swapped,
    /// The connection ends: before the meter has it, or after.
    Cut {
        is_done: bool,
    },
    /// The process dies: before the meter has it, or after, with so many bytes of the answer received.
    Death {
        is_done: bool,
        bytes: usize,
    },
}

#[derive(Debug)]
struct Stream {
    chance: Chance,
    deaths_left: u64,
    faults_left: u64,
    deaths: u64,
    faults: u64,
    at_ms: i64,
    trail: Vec<String>,
    /// Only fates of this kind, one for each frame that sells.
    forced: Option<Vec<Fate>>,
}

#[derive(Debug)]
pub struct World {
    pub offline: Mutex<Offline>,
    /// What comes in its place.
    next: Mutex<Option<Offline>>,
    stream: Mutex<Stream>,
    /// The process is dead: nothing more is to happen in it.
    is_dead: Mutex<bool>,
    pub death: Notify,
}

/// What a step of a dead process ends with.
#[derive(Debug)]
pub struct Died;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn new(seed: u64, offline: Offline) -> World {
        let mut chance = Chance::new(seed, &[]);
        let (deaths_left, faults_left) = (chance.below(4), chance.below(7));
        Self::with(chance, deaths_left, faults_left, offline)
    }

    /// Nothing goes wrong in it.
    pub fn quiet(offline: Offline) -> World {
        Self::with(Chance::new(0, &[]), 0, 0, offline)
    }

    /// Every frame that sells meets the next of these fates, and nothing else goes wrong.
    pub fn forced(seed: u64, fates: Vec<Fate>, offline: Offline) -> World {
        let world = Self::with(Chance::new(seed, &[]), 0, 0, offline);
        lock(&world.stream).forced = Some(fates);
        world
    }

    fn with(chance: Chance, deaths_left: u64, faults_left: u64, offline: Offline) -> World {
        let stream = Stream {
            chance,
            deaths_left,
            faults_left,
            deaths: 0,
            faults: 0,
            at_ms: START_MS,
            trail: Vec::new(),
            forced: None,
        };
        World {
            offline: Mutex::new(offline),
            next: Mutex::new(None),
            stream: Mutex::new(stream),
            is_dead: Mutex::new(false),
            death: Notify::new(),
        }
    }

    /// Draws the plan of a seed: one to three sales over two meters.
    pub fn wanted(&self, meters: [MeterId; 2]) -> Vec<Wanted> {
        let mut stream = lock(&self.stream);
        let chance = &mut stream.chance;
        (0..1 + chance.below(3))
            .map(|_| Wanted {
                sale_id: SaleId::new(uuid::Uuid::from_u128(
                    u128::from(chance.number()) << 64 | u128::from(chance.number()),
                )),
                meter_id: *chance.pick(&meters),
                fen: 1 + i64::try_from(chance.below(9_999)).unwrap_or(0),
                is_acknowledged: false,
                ended: None,
            })
            .collect()
    }

    pub fn states(&self) -> Vec<State> {
        lock(&self.offline).states()
    }

    /// What [`Fate::Swapped`] puts in the meters' place.
    pub fn swap_with(&self, offline: Offline) {
        *lock(&self.next) = Some(offline);
    }

    pub fn swap(&self) {
        if let Some(next) = lock(&self.next).take() {
            *lock(&self.offline) = next;
        }
    }

    pub fn is_dead(&self) -> bool {
        *lock(&self.is_dead)
    }

    pub fn die(&self) {
        *lock(&self.is_dead) = true;
        self.death.notify_one();
    }

    /// A new process: whatever the last one had in memory is gone.
    pub fn revive(&self) {
        *lock(&self.is_dead) = false;
    }

    /// Time and randomness as the service is handed them. Each use of either is a step at which the
    /// process may die.
    pub fn clock(world: &Arc<World>) -> Clock {
        let (of_now, of_nonce) = (Arc::clone(world), Arc::clone(world));
        Clock {
            now: Arc::new(move || (UnixMs(of_now.step().at_ms), SITE_TIME)),
            local: Arc::new(|_| SITE_TIME),
            nonce: Arc::new(move || {
                let chance = &mut of_nonce.step().chance;
                let mut nonce = [0; 16];
                nonce[..8].copy_from_slice(&chance.number().to_be_bytes());
                nonce[8..].copy_from_slice(&chance.number().to_be_bytes());
                nonce
            }),
        }
    }

    /// One step of the process, or the end of it.
    fn step(&self) -> MutexGuard<'_, Stream> {
        let mut stream = lock(&self.stream);
        if self.is_dead() {
            drop(stream);
            std::panic::panic_any(Died);
        }
        if stream.deaths_left > 0 && stream.chance.one_in(STEPS_PER_DEATH) {
            stream.deaths_left -= 1;
            stream.deaths += 1;
            stream.trail.push("died at a step".to_owned());
            drop(stream);
            self.die();
            // As far as this task is concerned; the life ends all the others.
            std::panic::panic_any(Died);
        }
        // Now and then somebody sets the clock.
        stream.at_ms += match stream.chance.below(200) {
            0 => -24 * HOUR_MS,
            1 => 24 * HOUR_MS,
            2 => -HOUR_MS,
            _ => 7,
        };
        stream
    }

    /// What becomes of a request of this kind.
    pub fn fate(&self, kind: Option<Kind>) -> Fate {
        let mut stream = lock(&self.stream);
        if let Some(forced) = &mut stream.forced {
            return match kind {
                Some(Kind::Sell) => forced.pop().unwrap_or(Fate::Good),
                _ => Fate::Good,
            };
        }
        // What carries money, and what proves it, is hit more often.
        let more = if kind == Some(Kind::Sell) { 3 } else { 1 };
        if stream.deaths_left > 0 && stream.chance.one_in(FRAMES_PER_DEATH / more) {
            stream.deaths_left -= 1;
            stream.deaths += 1;
            let is_done = stream.chance.one_in(2);
            let bytes = usize::try_from(stream.chance.below(24)).unwrap_or(0);
            let fate = Fate::Death { is_done, bytes };
            stream.trail.push(format!("{kind:?}: {fate:?}"));
            return fate;
        }
        if stream.faults_left == 0 || !stream.chance.one_in(FRAMES_PER_FAULT / more) {
            return Fate::Good;
        }
        stream.faults_left -= 1;
        stream.faults += 1;
        let fate = any_fault(&mut stream.chance);
        stream.trail.push(format!("{kind:?}: {fate:?}"));
        fate
    }

    /// Deaths, faults and decisions of the seed so far.
    pub fn outcome(&self) -> Outcome {
        let mut stream = lock(&self.stream);
        Outcome {
            deaths: stream.deaths,
            faults: stream.faults,
            trail: std::mem::take(&mut stream.trail),
            ..Outcome::default()
        }
    }
}

const SITE_TIME: LocalTime =
    LocalTime { year: 2026, month: 3, day: 2, hour: 18, minute: 0, second: 0 };

fn any_fault(chance: &mut Chance) -> Fate {
    let small = |chance: &mut Chance, end| usize::try_from(chance.below(end)).unwrap_or(0);
    match chance.below(11) {
        0 | 1 => Fate::Unheard,
        2 | 3 => Fate::Unanswered,
        4 => Fate::Cut { is_done: chance.one_in(2) },
        5 => Fate::Spoilt(FaultKind::CutReply { keep_bytes: small(chance, 20) }),
        6 => Fate::Spoilt(FaultKind::FlipReply { bit: small(chance, 160) }),
        7 => Fate::Spoilt(FaultKind::Doubled),
        8 => Fate::Spoilt(FaultKind::ReplyFromOtherMeter),
        9 => Fate::Spoilt(FaultKind::WrongFunction),
        _ => Fate::Spoilt(FaultKind::GarbageBefore { hex: format!("{:016X}", chance.number()) }),
    }
}
