//! Drivers that are wrong in one way each: certification must find every one of them, and find nothing
//! in the one that is right.

use polymeter_certify::{Choice, Project, Report, certify};
use polymeter_package::Manifest;

const SEED: u64 = 20_260_302;

/// The project in `folder` below the root; `wrong` goes into its own parameter.
fn run(folder: &str, wrong: Option<&str>, choice: &Choice) -> Report {
    let root = guests::root();
    let source = root.join(folder);
    let face = source.join("driver.toml");
    let text = std::fs::read_to_string(&face).expect("driver.toml");
    let mut manifest = Manifest::parse(&face, &text).expect("a good driver.toml");
    if let Some(wrong) = wrong {
        let parameters = manifest.certify.get_mut("parameters").and_then(toml::Value::as_table_mut);
        let wrong = toml::Value::String(format!("text:{wrong}"));
        parameters.expect("[certify.parameters]").insert("wrong".to_owned(), wrong);
    }
    let component = guests::component(&manifest.name);
    let project = Project { folder: source, target: root.join("target"), manifest, component };
    certify(&project, SEED, choice).expect("the kit runs")
}

fn only(text: &str) -> Choice {
    Choice { only: Some(text.to_owned()), faults: None }
}

/// The wrong driver fails a case whose name contains `case`, with a complaint that contains `complaint`.
fn found(wrong: &str, choice: &Choice, case: &str, complaint: &str) {
    let report = run("tests/conformance/halo-wrong", Some(wrong), choice);
    let hit = report.cases.iter().any(|known| {
        !known.passed
            && known.name.contains(case)
            && known.complaints.iter().any(|text| text.contains(complaint))
    });
    assert!(hit, "`{wrong}` was not found by `{case}` with `{complaint}`:\n{}", report.to_text());
}

#[test]
fn the_right_one_passes() {
    for part in ["sell 1; answer 1", "check: the last purchase 1; answer", "read", "set-parameters"]
    {
        let report = run("tests/conformance/halo-wrong", Some("nothing"), &only(part));
        assert!(report.is_good(), "{}", report.to_text());
        assert!(report.passed > 4, "{part}: {}", report.passed);
    }
}

#[test]
fn a_second_frame_of_credit_is_found() {
    for case in ["lost, the device heard nothing", "lost, and the line stays dead"] {
        let choice = only(&format!("sell 1; answer 1: {case}"));
        found("sells again after silence", &choice, case, "2 frames that add credit in one call");
    }
}

#[test]
fn a_success_without_proof_is_found() {
    let choice = only("sell 1; answer 1: lost, the device heard nothing");
    found("confirms without proof", &choice, "lost", "confirmed, and the device did not do it");
}

#[test]
fn a_refusal_of_what_was_done_is_found() {
    // The host lets no driver refuse what nobody answered; that it had to is the finding.
    for part in ["sell 1", "set-parameters: alarm 1"] {
        let choice = only(&format!("{part}; answer 1: lost, and the line stays dead"));
        let complaint = "reports a refusal that no device can have told it";
        found("refuses what it does not know", &choice, "lost", complaint);
    }
}

#[test]
fn a_trap_is_found() {
    let choice = only("sell 1; answer 1: lost, and the line stays dead");
    found("panics", &choice, "lost", "trapped: ");
}

#[test]
fn hard_coded_answers_are_found() {
    found("hard-coded reading", &only("read"), "read 1", "in truth");
}

#[test]
fn state_between_calls_is_found() {
    found("remembers", &only("read: warm and fresh"), "warm and fresh", "in truth");
}

#[test]
fn evidence_of_what_never_was_is_found() {
    let choice = only("check: a purchase that is not there");
    found("evidence of anything", &choice, "not there 1", "which the device never had");
}

#[test]
fn a_neighbours_answer_is_found() {
    found("ignores the address", &only("read 1; "), "another device's", "in truth");
    found("ignores the address", &only("check: any 1; "), "another device's", "in truth");
}

#[test]
fn a_spoiled_answer_is_found() {
    found("ignores the checksum", &only("read 1; "), "turned", "in truth");
}
