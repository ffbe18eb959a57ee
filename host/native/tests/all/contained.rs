//! A library that misbehaves in its process, and what the host sees of that.

use crate::rig::{Seen, Which, bytes, call, start, started};
use polymeter_native::words::{command, identifier};
use polymeter_native::{Child, ChildError, Event, Frame, FrameError, Items, Writer};
use std::path::Path;
use std::time::{Duration, Instant};

const MOST: Duration = Duration::from_secs(20);
/// For what never ends by itself.
const SHORT: Duration = Duration::from_millis(700);

fn asked(how: &str) -> Frame {
    let mut data = Writer::default();
    data.item(identifier::ADDRESS, format!("00000001/read-{how}").as_bytes());
    Frame { command: command::READ, data: data.into_bytes() }
}

async fn seen(how: &str, most: Duration) -> Seen {
    call(Which::Hostile, &asked(how), "", most, |_| None).await
}

fn detail(seen: &Seen) -> String {
    let frame = seen.frame();
    let items = Items::parse(&frame.data).expect("items");
    items.need(identifier::DETAIL).and_then(|it| it.text()).expect("a text")
}

#[tokio::test]
async fn what_breaks_a_library_ends_its_process_alone() {
    for (how, end) in [
        ("crash", "was ended by SIGSEGV"),
        ("crash-after", "was ended by SIGABRT"),
        ("long", "was ended by SIGSEGV"),
        ("just-too-long", "was ended by SIGSEGV"),
        ("exit", "ended by itself with code 0"),
        ("spin", "was ended by SIGXCPU"),
    ] {
        assert_eq!(seen(how, MOST).await.end(), end, "{how}");
    }
    assert_eq!(detail(&seen("to-the-end", MOST).await), "it fits", "the last byte may be written");
}

#[tokio::test]
async fn a_frame_sent_before_a_crash_is_seen_before_it() {
    let seen = seen("crash-after", MOST).await;
    assert_eq!(seen.sent.len(), 1, "{seen:?}");
    assert_eq!(seen.end(), "was ended by SIGABRT");
}

#[tokio::test]
async fn what_is_forbidden_fails_and_nothing_leaves_the_process() {
    let child = start(Which::Hostile).await;
    assert!(child.is_jailed(), "this system has filters");
    drop(child);
    for how in ["fork", "file", "socket", "exec", "kill-host"] {
        assert_eq!(detail(&seen(how, MOST).await), "tried: Operation not permitted", "{how}");
    }
    assert_eq!(detail(&seen("memory", MOST).await), "memory ended");
    assert_eq!(detail(&seen("environment", MOST).await), "none");
}

#[tokio::test]
async fn rubbish_is_told_by_what_is_wrong_with_it() {
    let rubbish = seen("rubbish", MOST).await;
    let Some(Ok((0, reply))) = &rubbish.ended else { panic!("{rubbish:?}") };
    assert_eq!(Frame::decode(reply), Err(FrameError::Start(0xA5)));
    // 1.86 kWh, 5.00 yuan, connected.
    let device = [0x7E, 9, 0, 0, 0, 1, 0x82, 0, 0, 0, 0xBA, 0, 0, 1, 0xF4, 1, 0xC4];
    let answer =
        async |how| call(Which::Hostile, &asked(how), "", MOST, |_| Some(device.to_vec())).await;
    assert_eq!(answer("honestly").await.frame().command, 0x82);
    let spoilt = answer("checksum").await;
    let Some(Ok((0, reply))) = &spoilt.ended else { panic!("{spoilt:?}") };
    let error = Frame::decode(reply).expect_err("spoilt");
    assert!(matches!(error, FrameError::Checksum { is, should } if is == should ^ 0x55), "{error}");
    let seen = seen("own-error", MOST).await;
    assert!(matches!(seen.ended, Some(Ok((4711, _)))), "{seen:?}");
}

#[tokio::test]
async fn what_never_ends_is_gone_when_it_is_given_up() {
    for how in ["hang", "out-of-turn", "flood", "flood-log"] {
        let began = Instant::now();
        let seen = seen(how, SHORT).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{how}");
        match how {
            "hang" => assert!(seen.ended.is_none(), "{seen:?}"),
            "out-of-turn" => assert_eq!(seen.end(), "speaks out of turn"),
            "flood" => assert!(seen.sent.iter().all(|sent| sent.len() <= 4096)),
            _ => assert!(seen.said.contains("flood-of-lines")),
        }
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_no_process() {
    let mut child = start(Which::Hostile).await;
    child.call(b"", &asked("hang").encode().expect("short")).await;
    let wait = tokio::time::timeout(Duration::from_millis(200), child.next());
    assert!(wait.await.is_err(), "it hangs");
    let id = child.id().expect("it runs");
    let proc = format!("/proc/{id}");
    assert!(Path::new(&proc).exists());
    drop(child);
    let until = Instant::now() + Duration::from_secs(5);
    let is_gone = || {
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap_or_default();
        status.is_empty() || status.contains("State:\tZ")
    };
    while !is_gone() {
        assert!(Instant::now() < until, "process {id} lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn waiting_may_be_given_up_and_loses_nothing() {
    let mut child = start(Which::Hostile).await;
    child.call(b"", &asked("honestly").encode().expect("short")).await;
    let mut sent = Vec::new();
    for _ in 0..2_000 {
        match tokio::time::timeout(Duration::from_millis(1), child.next()).await {
            Ok(Event::Sends(bytes)) => {
                sent.push(bytes);
                child.hear(&[0x7E, 1, 0, 0, 0, 1, 0xC2, 8, 0xCA]).await;
            }
            Ok(Event::Answers { returned, .. }) => {
                assert_eq!((returned, sent.len()), (-9, 1), "one frame, and the meter's no");
                return;
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
    panic!("it never answered");
}

#[tokio::test]
async fn what_cannot_be_loaded_says_why() {
    let why = |result: Result<Child, ChildError>| match result {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    };
    let text = why(started(b"no library at all", "RDKIcard").await);
    assert!(text.starts_with("it cannot be loaded: the library: "), "{text}");
    let text = why(started(bytes(Which::Rdk), "ABCIcard").await);
    assert_eq!(text, "it has no function ABCIcard");
    let half = &bytes(Which::Rdk)[..bytes(Which::Rdk).len() / 2];
    let text = why(started(half, "RDKIcard").await);
    assert!(text.contains("it cannot be loaded") || text.contains("SIGBUS"), "{text}");
}
