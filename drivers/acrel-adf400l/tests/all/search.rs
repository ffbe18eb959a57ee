//! Units asked one by one: who answers, who answers with an exception, and how steps join.

use super::scripted::{Box, Fault, UNIT, call};
use driver_acrel_adf400l::Adf400l;
use polymeter_driver::{Call, Decimal, MeterDriver, Step, Value, codes};

fn told(first: i64, last: i64) -> Call {
    let number = |mantissa| Value::Number(Decimal { mantissa, scale: 0 });
    let parameters =
        vec![("first-unit".to_owned(), number(first)), ("last-unit".to_owned(), number(last))];
    Call { address: String::new(), parameters, ..call() }
}

/// Every step to the end, joined into one.
fn searched(bus: &mut Box, call: &Call, questions: u32) -> Step {
    let mut all = Step { found: vec![], collisions: vec![], done: 0, total: 0, next: None };
    loop {
        let before = bus.requests.len();
        let step = Adf400l::search(bus, call, "units", all.next.as_deref(), questions);
        let step = step.expect("a step");
        let asked = bus.requests.len() - before;
        assert!(asked <= usize::try_from(questions).expect("small"), "{asked} of {questions}");
        assert!(step.done > all.done, "it gets on");
        all.found.extend(step.found);
        all.collisions.extend(step.collisions);
        (all.done, all.total, all.next) = (step.done, step.total, step.next);
        if all.next.is_none() {
            return all;
        }
    }
}

#[test]
fn the_one_that_answers_is_found() {
    let mut bus = Box::new((0, Fault::None));
    let all = searched(&mut bus, &told(1, 20), 7);
    assert_eq!((all.done, all.total), (20, 20));
    // The scripted box has all registers there are, so it passes for a three-phase user.
    let found: Vec<_> = all.found.iter().map(|found| found.address.as_str()).collect();
    assert_eq!(found, [format!("{UNIT}:3")]);
    assert_eq!(all.found[0].model, "ADF400L");
    assert!(all.collisions.is_empty());
    assert_eq!(searched(&mut bus, &Call { parameters: vec![], ..told(1, 1) }, 64).total, 247);
}

#[test]
fn exceptions_and_noise_are_told_as_what_they_are() {
    let check = |fault, expected: (&str, &str)| {
        let mut bus = Box::new((0, fault));
        let all = searched(&mut bus, &told(UNIT.into(), UNIT.into()), 2);
        let found = all.found.first().expect("somebody");
        assert_eq!((found.address.as_str(), found.model.as_str()), expected);
    };
    // No such three-phase registers: a single-phase user.
    check(Fault::Exception(2), ("5", "ADF400L"));
    check(Fault::Exception(1), ("5", ""));
    let mut bus = Box::new((0, Fault::FlippedBit));
    let all = searched(&mut bus, &told(UNIT.into(), UNIT.into()), 2);
    assert!(all.found.is_empty());
    assert_eq!((all.collisions[0].asked.as_str(), all.collisions[0].narrowed), ("5", false));
}

#[test]
fn what_makes_no_sense_asks_nothing() {
    let mut bus = Box::new((0, Fault::None));
    let mut refused = |call: &Call, way: &str, position: Option<&[u8]>| {
        let error = Adf400l::search(&mut bus, call, way, position, 8).expect_err("refused");
        assert_eq!(error.code, codes::error::BAD_PARAMETER, "{}", error.detail);
    };
    refused(&told(1, 20), "walk", None);
    refused(&told(0, 20), "units", None);
    refused(&told(1, 248), "units", None);
    refused(&told(9, 8), "units", None);
    refused(&told(1, 20), "units", Some(&[]));
    refused(&told(1, 20), "units", Some(&[21]));
    assert!(bus.requests.is_empty());
}
