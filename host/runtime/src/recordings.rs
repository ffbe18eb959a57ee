//! The last recordings of every meter, in memory.
//!
//! Invariants: acts, failures and routine reads have rings and room of their own, so that no flood
//! of one pushes out another's; each class is bounded per meter in entries and over all meters in
//! bytes. Not here: how a call is written down (recording), what survives a restart (service).

use crate::driver::Driver;
use crate::limits::{RECORDINGS_BYTES_PER_CLASS, RECORDINGS_PER_METER};
use crate::recording::{CARDS, Recording, RecordingEnd};
use polymeter_domain::VendorCode;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Which device, as the host reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterKey {
    pub vendor: VendorCode,
    pub line: String,
    pub address: String,
}

/// The recordings of a runtime. Always on, unless somebody measures what that costs.
#[derive(Debug)]
pub struct Recordings {
    is_on: AtomicBool,
    kept: Mutex<Kept>,
}

impl Default for Recordings {
    fn default() -> Self {
        Self { is_on: AtomicBool::new(true), kept: Mutex::default() }
    }
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    /// Acts, failures of other calls, other calls.
    classes: [Class; 3],
}

/// One class, in the order of time over all meters and per meter.
#[derive(Debug, Default)]
struct Class {
    by_time: BTreeMap<u64, Arc<Recording>>,
    by_meter: HashMap<MeterKey, VecDeque<u64>>,
    bytes: usize,
}

impl Recordings {
    /// Calls that begin from now on are recorded, or not.
    pub fn switch(&self, is_on: bool) {
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(crate) fn keep(&self, recording: Recording) {
        let class = if recording.function().is_act() {
            0
        } else if recording.end() == RecordingEnd::Failed {
            1
        } else {
            2
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = kept.next;
        kept.next += 1;
        if let Some(class) = kept.classes.get_mut(class) {
            class.keep(number, Arc::new(recording));
        }
    }

    /// The newest `last` of a meter, newest first.
    pub fn recent(&self, meter: &MeterKey, last: usize) -> Vec<Arc<Recording>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<(u64, Arc<Recording>)> = kept
            .classes
            .iter()
            .flat_map(|class| {
                let numbers = class.by_meter.get(meter).into_iter().flatten();
                numbers.filter_map(|number| Some((*number, Arc::clone(class.by_time.get(number)?))))
            })
            .collect();
        found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        found.into_iter().take(last).map(|(_, recording)| recording).collect()
    }
}

impl Class {
    fn keep(&mut self, number: u64, recording: Arc<Recording>) {
        let meter = key(&recording);
        self.bytes += recording.bytes();
        self.by_time.insert(number, recording);
        let of_meter = self.by_meter.entry(meter).or_default();
        of_meter.push_back(number);
        if of_meter.len() > RECORDINGS_PER_METER
            && let Some(oldest) = of_meter.pop_front()
            && let Some(gone) = self.by_time.remove(&oldest)
        {
            self.bytes = self.bytes.saturating_sub(gone.bytes());
        }
        while self.bytes > RECORDINGS_BYTES_PER_CLASS
            && let Some((_, gone)) = self.by_time.pop_first()
        {
            self.bytes = self.bytes.saturating_sub(gone.bytes());
            let meter = key(&gone);
            // The oldest of all is the oldest of its meter.
            if let Some(of_meter) = self.by_meter.get_mut(&meter) {
                of_meter.pop_front();
                if of_meter.is_empty() {
                    self.by_meter.remove(&meter);
                }
            }
        }
    }
}

impl Driver {
    /// The newest `last` recordings of a meter, newest first, by whichever driver of its vendor.
    pub fn recent(&self, line: &str, address: &str, last: usize) -> Vec<Arc<Recording>> {
        let vendor = self.vendor().clone();
        let meter = MeterKey { vendor, line: line.to_owned(), address: address.to_owned() };
        self.callee.recordings().recent(&meter, last)
    }

    /// The same of the cards of a device; without an address, of those whose device nobody knew.
    pub fn recent_of_cards(&self, address: &str, last: usize) -> Vec<Arc<Recording>> {
        self.recent(CARDS, address, last)
    }
}

fn key(recording: &Recording) -> MeterKey {
    MeterKey {
        vendor: recording.vendor.clone(),
        line: recording.line.clone(),
        address: recording.address().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::limits::RECORDED_LOG_LINES;
    use crate::recording::Recorder;
    use polymeter_transcript::{
        Level, LocalTime, Outcome, Request, SetOutcome, Step, Told, Transcript,
    };

    fn recording(address: String, bytes: usize) -> Recording {
        let now = LocalTime { year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        let mut recorder = Recorder::default();
        recorder.begin(Some("bus"));
        recorder
            .asked(|| Request::Read(Told { address, parameters: vec![], now, nonce: vec![0; 16] }));
        recorder.sending(&vec![0; bytes]);
        recorder.sent(Ok(()));
        recorder.answered(|| Outcome::Set(SetOutcome::Confirmed));
        let vendor = VendorCode::new("V").expect("a code");
        recorder.finish("d 1".into(), vendor, &Limits::default(), true, None).expect("finished")
    }

    #[test]
    fn a_hostile_driver_fills_its_own_recording_at_most() {
        for (steps, bytes) in [(5_000, 1), (500, 4 << 10)] {
            let mut recorder = Recorder::default();
            recorder.begin(Some("bus"));
            recorder.asked(|| Request::Describe);
            for _ in 0..steps {
                recorder.log(Level::Info, "chatter 电表", 9);
                recorder.sending(&vec![0; bytes]);
                recorder.sent(Ok(()));
            }
            recorder.answered(|| Outcome::Set(SetOutcome::Confirmed));
            let vendor = VendorCode::new("V").expect("a code");
            let recording = recorder.finish("d 1".into(), vendor, &Limits::default(), true, None);
            let recording = recording.expect("finished");
            assert!(recording.bytes() < 1 << 20, "{} bytes", recording.bytes());
            let transcript = recording.transcript();
            let last = transcript.entries.last().map(|entry| &entry.step);
            assert!(matches!(last, Some(Step::Unwritten { steps }) if *steps > 0), "{last:?}");
            let text = transcript.to_string();
            let logged = text.matches("log info chatter").count();
            assert!((1..=RECORDED_LOG_LINES).contains(&logged), "{logged} lines");
            assert!(Transcript::parse("full", &text).is_ok(), "it reads back");
        }
    }

    #[test]
    fn many_meters_share_a_bounded_memory_and_the_oldest_goes() {
        let recordings = Recordings::default();
        for number in 0..200 {
            recordings.keep(recording(format!("m{number}"), 100 << 10));
        }
        let kept = recordings.kept.lock().expect("not poisoned");
        let class = &kept.classes[2];
        assert!(class.bytes <= RECORDINGS_BYTES_PER_CLASS, "{}", class.bytes);
        assert!(class.bytes > RECORDINGS_BYTES_PER_CLASS / 2, "{}", class.bytes);
        assert_eq!(class.by_time.len(), class.by_meter.len(), "nothing of a meter that is gone");
        assert_eq!(class.by_time.keys().next_back(), Some(&199), "the newest stays");
    }

    #[test]
    fn one_meter_keeps_its_last_few() {
        let recordings = Recordings::default();
        for _ in 0..100 {
            recordings.keep(recording("m".to_owned(), 1));
        }
        let vendor = VendorCode::new("V").expect("a code");
        let meter = MeterKey { vendor, line: "bus".to_owned(), address: "m".to_owned() };
        assert_eq!(recordings.recent(&meter, 999).len(), RECORDINGS_PER_METER);
        assert_eq!(recordings.recent(&meter, 3).len(), 3);
        let kept = recordings.kept.lock().expect("not poisoned");
        assert_eq!(kept.classes[2].by_time.len(), RECORDINGS_PER_METER);
    }
}
