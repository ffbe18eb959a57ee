//! The transcripts beside the driver, played natively and held to what the driver does with a card in
//! memory today; and cards that are pulled within every byte.
//!
//! `RECORD=1 cargo test` writes the transcripts anew, once the layout is yours.

mod bench;

use acme::Acme;
use bench::{Bench, Device, Memory, NUMBER, fresh};
use std::path::Path;

const OPEN: &str =
    "card-open address=1 now=2026-11-26T12:00:00 region=north customer=7 count=1 amount=money:5000";
const SELL: &str =
    "card-sell address=1 now=2026-11-26T12:00:00 region=north customer=7 count=2 amount=money:700";
const BACK: &str = "card-take-back address=1 now=2026-11-26T12:00:00 region=north customer=7 \
                    count=2 amount=money:700";
const REPLACE: &str = "card-replace address=1 now=2026-11-26T12:00:00 region=north customer=7 count=1 amount=money:5000";
const CLEAR: &str = "card-clear address=1 now=2026-11-26T12:00:00";
const CHECK: &str = "card-check address=1 now=2026-11-26T12:00:00";
const MAKE: &str = "card-make address= now=2026-11-26T12:00:00 region=north purpose=3";
const SET: &str = "card-make address= now=2026-11-26T12:00:00 region=north purpose=2";
const IDENTIFY: &str = "card-identify";

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts"))
}

/// The card after these calls, each of which went well.
fn after(mut memory: Memory, calls: &[&str]) -> Memory {
    for call in calls {
        let mut bench = Bench::new(memory);
        let told = bench.call(call);
        assert!(told.contains("\nresult: confirmed"), "{told}");
        memory = bench.memory;
    }
    memory
}

fn opened() -> Memory {
    after(fresh(NUMBER), &[OPEN])
}

/// Its device, which had this count, has taken what is on it.
fn taken(mut memory: Memory, count: u32) -> Memory {
    Device { count, balance: 0 }.take(&mut memory);
    memory
}

fn returned() -> Memory {
    taken(opened(), 0)
}

fn sold() -> Memory {
    after(returned(), &[SELL])
}

fn spoiled(mut memory: Memory, places: &[usize]) -> Memory {
    places.iter().for_each(|at| memory[*at] ^= 1);
    memory
}

#[test]
fn transcripts() {
    let other = fresh([0, 0, 0, 0, 0, 0, 0, 2]);
    let cases = [
        ("ok/describe", Bench::new(fresh(NUMBER)), "describe"),
        ("ok/identify-fresh", Bench::new(fresh(NUMBER)), IDENTIFY),
        ("ok/identify-user", Bench::new(opened()), IDENTIFY),
        ("ok/check-not-taken", Bench::new(opened()), CHECK),
        ("ok/check-taken", Bench::new(returned()), CHECK),
        ("ok/open", Bench::new(fresh(NUMBER)), OPEN),
        ("ok/open-done-before", Bench::new(opened()), OPEN),
        ("ok/open-cleared", Bench::new(after(returned(), &[CLEAR])), OPEN),
        ("ok/sell", Bench::new(returned()), SELL),
        ("ok/take-back", Bench::new(sold()), BACK),
        ("ok/replace", Bench::new(other), REPLACE),
        ("ok/clear", Bench::new(returned()), CLEAR),
        ("ok/make-check", Bench::new(fresh(NUMBER)), MAKE),
        ("refused/identify-other-card", Bench::new([0xFF; 256]), IDENTIFY),
        ("refused/make-setting", Bench::new(fresh(NUMBER)), SET),
        ("refused/open-not-blank", Bench::new(after(fresh(NUMBER), &[MAKE])), OPEN),
        ("refused/sell-blank", Bench::new(fresh(NUMBER)), SELL),
        ("refused/sell-other-keys", Bench::of_others(returned()), SELL),
        ("refused/sell-repeat", Bench::new(sold()), SELL),
        ("refused/take-back-taken", Bench::new(taken(sold(), 1)), BACK),
        ("broken/identify-bad-mark", Bench::new(spoiled(opened(), &[0x0F])), IDENTIFY),
        ("broken/check-both-slots-bad", Bench::new(spoiled(sold(), &[0x10, 0x40])), CHECK),
        ("broken/check-one-slot-bad", Bench::new(spoiled(sold(), &[0x40])), CHECK),
        ("broken/check-torn-write-back", Bench::new(spoiled(returned(), &[0x70])), CHECK),
        ("broken/sell-pulled", Bench::pulled(returned(), 20), SELL),
    ];
    let records = std::env::var_os("RECORD").is_some();
    for (name, mut bench, call) in cases {
        let path = folder().join(format!("{name}.transcript"));
        let told = bench.call(call);
        if records {
            std::fs::write(&path, told).expect("a transcript is written");
        } else {
            let lies = std::fs::read_to_string(&path).expect("a transcript of each case");
            assert_eq!(told, lies, "{name}");
        }
    }
    let played = polymeter_replay::check_card_folder::<Acme>(folder());
    assert!(played.expect("all transcripts agree") > 20);
}

/// All that the driver reads on a card.
fn shows(memory: Memory) -> String {
    let told = Bench::new(memory).call(CHECK);
    told.split_once("\nresult: ").expect("a result").1.to_owned()
}

/// Within every byte that an act writes, the card holds what it held or what was ordered; and what was
/// not done can be done again.
#[test]
fn a_pulled_card_holds_the_old_or_the_new() {
    let cases = [
        (fresh(NUMBER), OPEN),
        (after(returned(), &[CLEAR]), OPEN),
        (returned(), SELL),
        (sold(), BACK),
        (returned(), CLEAR),
        (fresh(NUMBER), MAKE),
    ];
    for (memory, call) in cases {
        let mut whole = Bench::new(memory);
        whole.call(call);
        let (old, new) = (shows(memory), shows(whole.memory));
        assert!(old != new && whole.written >= 48, "{call}");
        for pulled_after in 0..=whole.written {
            let mut bench = Bench::pulled(memory, pulled_after);
            let told = bench.call(call);
            assert!(told.contains("\nresult: unknown"), "{pulled_after}: {told}");
            let held = shows(bench.memory);
            assert!(held == old || held == new, "{pulled_after} of {call}: {held}");
            if held == old {
                assert_eq!(shows(after(bench.memory, &[call])), new, "{pulled_after} of {call}");
            }
        }
    }
}

#[test]
fn a_device_takes_each_purchase_once() {
    let (mut device, mut memory) = (Device::default(), opened());
    for _ in 0..2 {
        device.take(&mut memory);
        assert_eq!(device, Device { count: 1, balance: 5000 });
    }
    memory = after(memory, &[SELL]);
    for _ in 0..2 {
        device.take(&mut memory);
        assert_eq!(device, Device { count: 2, balance: 5700 });
    }
    assert!(shows(memory).contains("taken=2"), "{}", shows(memory));
}
