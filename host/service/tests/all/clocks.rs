//! Clocks in meters, put right by the real driver on simulated meters that hold to the standard's rules.
//! The oracle is the simulated meter's own clock.

use crate::bench::tamper;
use crate::counter::operator;
use crate::field::{Field, clock_field};
use meter_sim::{FaultKind, On};
use polymeter_domain::ClockDrift;
use polymeter_runtime::ClockWay;
use polymeter_service::{
    Actor, ApprovalRules, ClockSetting, ClockState, Page, Rules, ServiceError, Verdict,
};

const SECOND_MS: i64 = 1_000;

fn shown(field: &Field) -> String {
    field.truth(0).clock.to_string()
}

async fn put_right(field: &Field, way: ClockWay) -> ClockSetting {
    let set = field.service.set_meter_clock(field.meters[0], way, "it is off", &Actor::System);
    set.await.expect("tried")
}

/// How it ended, the drift before and after, and why not.
#[track_caller]
fn check(it: &ClockSetting, state: ClockState, drift: [Option<i64>; 2], why: &str) {
    assert_eq!((it.state, [it.drift_s, it.drift_after_s]), (state, drift), "{it:?}");
    assert!(it.detail.contains(why) && it.detail.is_empty() == why.is_empty(), "{it:?}");
    let is_over = !matches!(it.state, ClockState::Waiting);
    assert_eq!(it.ended_at.is_some(), is_over, "{it:?}");
}

async fn acts(field: &Field) -> Vec<(String, String)> {
    let trail = field.service.audit_trail(None, &Page::default()).await.expect("the trail");
    let clock = trail.into_iter().filter(|it| it.act.starts_with("clock-setting"));
    clock.rev().map(|it| (it.act, it.detail)).collect()
}

#[tokio::test]
async fn a_reading_tells_how_far_the_clock_is_off() {
    for (shown, seconds) in [
        ("2026-03-02T17:57:59", -120),
        ("2026-03-02T18:00:00", 0),
        ("2026-03-02T18:00:07", 7),
        ("2025-03-02T18:00:00", 1 - 365 * 86_400),
    ] {
        let field = clock_field(shown).await;
        let read = field.service.read_meter(field.meters[0], &Actor::System).await.expect("read");
        let drift = ClockDrift { seconds, within_seconds: 1 };
        assert_eq!(read.drift, Some(drift), "{shown}");
        let stored = field.service.readings(field.meters[0], &Page::default()).await;
        assert_eq!(stored.expect("readings")[0].drift, Some(drift), "{shown}");
    }
}

#[tokio::test]
async fn a_small_drift_is_mended_by_broadcast_once_a_day() {
    let field = clock_field("2026-03-02T17:56:00").await;
    let it = put_right(&field, ClockWay::Adjust).await;
    check(&it, ClockState::Right, [Some(-239), Some(0)], "");
    assert_eq!(shown(&field), "2026-03-02T18:00:00");
    // Everybody on the line heard it.
    assert_eq!(field.truth(1).clock.to_string(), "2026-03-02T18:00:00");

    // A minute later: the meter takes one a day, and its clock, read back, tells that it did not.
    field.advance_ms(60 * SECOND_MS);
    let again = put_right(&field, ClockWay::Adjust).await;
    check(&again, ClockState::Wrong, [Some(-59), Some(-59)], "its clock is still 59 s behind");
    assert_eq!(shown(&field), "2026-03-02T18:00:00");
    // With authority it goes, a second later.
    field.advance_ms(SECOND_MS);
    let set = put_right(&field, ClockWay::Set).await;
    check(&set, ClockState::Right, [Some(-60), Some(0)], "");
    assert_eq!(shown(&field), "2026-03-02T18:01:01");

    let listed = field.service.clock_settings(field.meters[0], &Page::default()).await;
    assert_eq!(listed.expect("a list"), [set, again, it]);
    let told: Vec<_> = acts(&field).await.into_iter().map(|(act, _)| act).collect();
    assert_eq!(told, ["clock-setting-asked", "clock-setting-ended"].repeat(3));
}

#[tokio::test]
async fn what_the_rules_of_a_broadcast_forbid_is_not_sent() {
    let field = clock_field("2026-03-02T17:54:59").await;
    let it = put_right(&field, ClockWay::Adjust).await;
    check(
        &it,
        ClockState::Refused,
        [Some(-300), None],
        "301 s behind, and a broadcast mends 300 s",
    );
    let asked = field.truth(0).requests;
    assert_eq!(shown(&field), "2026-03-02T17:54:59");
    let set = put_right(&field, ClockWay::Set).await;
    check(&set, ClockState::Right, [Some(-300), Some(0)], "");
    assert!(field.truth(0).requests > asked);

    // 23:56 at the site, and the meter a minute behind.
    let field = clock_field("2026-03-02T23:55:00").await;
    field.advance_ms((5 * 3600 + 56 * 60) * SECOND_MS);
    let it = put_right(&field, ClockWay::Adjust).await;
    check(&it, ClockState::Refused, [Some(-59), None], "within 5 minutes of midnight");
    assert_eq!(shown(&field), "2026-03-02T23:55:00");
}

#[tokio::test]
async fn a_far_move_takes_two_people() {
    let mut field = clock_field("2026-03-02T17:00:00").await;
    let approval = ApprovalRules { clock_s: Some(600), ..ApprovalRules::default() };
    field.rule(Rules { approval, ..Rules::default() }).await;
    let ((_, one), (_, two)) = (operator(1), operator(2));
    let (service, meter) = (&field.service, field.meters[0]);
    let set = || service.set_meter_clock(meter, ClockWay::Set, "an hour behind", &one);
    let it = set().await.expect("it waits");
    check(&it, ClockState::Waiting, [Some(-3_599), None], "");
    let approval = it.approval.expect("a second person is asked");
    let blocked = set().await.expect_err("one at a time");
    assert!(matches!(blocked, ServiceError::Blocked { .. }), "{blocked}");
    assert!(service.decide_approval(approval, Verdict::Approve, "mine", &one).await.is_err());
    assert_eq!(shown(&field), "2026-03-02T17:00:00");
    service.decide_approval(approval, Verdict::Approve, "seen", &two).await.expect("agreed");
    let it = service.clock_setting(it.clock_setting_id).await.expect("it");
    check(&it, ClockState::Right, [Some(-3_599), Some(0)], "");
    assert_eq!(shown(&field), "2026-03-02T18:00:00");

    // Nobody agrees: nothing is sent.
    field.advance_ms(3_600 * SECOND_MS);
    let it = set().await.expect("it waits");
    let approval = it.approval.expect("a second person is asked");
    service.decide_approval(approval, Verdict::Reject, "not today", &two).await.expect("refused");
    let it = service.clock_setting(it.clock_setting_id).await.expect("it");
    check(&it, ClockState::Withdrawn, [Some(-3_599), None], "rejected: not today");
    assert_eq!(shown(&field), "2026-03-02T18:00:00");
    // A small one goes alone.
    let one = put_right(&field, ClockWay::Adjust).await;
    check(&one, ClockState::Refused, [Some(-3_599), None], "a broadcast mends 300 s");
}

#[tokio::test]
async fn what_a_crash_left_is_unknown_or_done_at_the_next_start() {
    let mut field = clock_field("2026-03-02T17:00:00").await;
    let approval = ApprovalRules { clock_s: Some(600), ..ApprovalRules::default() };
    field.rule(Rules { approval, ..Rules::default() }).await;
    let waits = put_right(&field, ClockWay::Set).await;
    // As the process left it that died while the meter was asked.
    tamper(&field.database, "update clock_setting set state = 'asked'").await.expect("as if");
    field.restart().await;
    field.service.resume().await.expect("resumed");
    let it = field.service.clock_setting(waits.clock_setting_id).await.expect("it");
    check(&it, ClockState::Unknown, [Some(-3_599), None], "before the clock was read back");
    assert_eq!(shown(&field), "2026-03-02T17:00:00");
    let again = tamper(&field.database, "update clock_setting set state = 'right'").await;
    assert!(again.expect_err("it ended").contains("never changes"));

    let waits = put_right(&field, ClockWay::Set).await;
    tamper(&field.database, "update clock_setting set state = 'approved' where state = 'waiting'")
        .await
        .expect("as if");
    field.restart().await;
    field.service.resume().await.expect("resumed");
    let it = field.service.clock_setting(waits.clock_setting_id).await.expect("it");
    check(&it, ClockState::Right, [Some(-3_599), Some(0)], "");
    assert_eq!(shown(&field), "2026-03-02T18:00:00");
}

#[tokio::test]
async fn a_meter_that_says_no_or_nothing() {
    let field = clock_field("2026-03-02T17:00:00").await;
    field.fault(0, On::Write, FaultKind::Refuse { word: 0x04 }, 1);
    let it = put_right(&field, ClockWay::Set).await;
    check(&it, ClockState::Refused, [Some(-3_599), None], "wrong password");
    // It never heard of it: its clock, read back, tells.
    field.fault(0, On::Write, FaultKind::NoReply, 1);
    let it = put_right(&field, ClockWay::Set).await;
    check(&it, ClockState::Wrong, [Some(-3_599), Some(-3_599)], "still 3599 s behind");
    // It did it, and its answer is lost.
    field.fault(0, On::Write, FaultKind::LostAfterApply, 1);
    let it = put_right(&field, ClockWay::Set).await;
    check(&it, ClockState::Right, [Some(-3_599), Some(0)], "");
    assert_eq!(shown(&field), "2026-03-02T18:00:00");
}
