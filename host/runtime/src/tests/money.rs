//! Acts that change a device: the host's own observation decides.

use super::bench::{ample, answering, customer, device, driver, moment, purchase, silent};
use crate::{Limits, Opening, SetOutcome};
use polymeter_domain::{
    ControlOutcome, Credit, Delivery, PurchaseCount, Quantity, Receipt, Refusal, SupplyCommand,
    SupplyState,
};
use std::time::Duration;

fn not_sent(reason: &str) -> Delivery {
    Delivery::NotSent(format!("misbehaving{reason}"))
}

fn confirmed(count: u32) -> Delivery {
    let balance = Some(Credit { quantity: Quantity::Money, amount: 1 });
    Delivery::Confirmed(Receipt { count: PurchaseCount::new(count), balance })
}

fn refusal() -> Refusal {
    Refusal { code: 3, detail: "wrong MAC".to_owned(), device_code: Some("0020".to_owned()) }
}

async fn sell(limits: Limits, behaviour: &str) -> Delivery {
    let driver = driver(limits).await;
    let mut line = answering().await;
    let device = device(behaviour);
    driver.sell(&mut line, &device, moment(), &customer(), purchase()).await.outcome
}

#[tokio::test]
async fn what_the_driver_says_counts_only_after_a_byte_left() {
    for (behaviour, delivery) in [
        ("send-then-confirm", confirmed(17)),
        // Another count is for the sale to judge: it stays as the device reported it.
        ("send-then-other-count", confirmed(18)),
        ("send-then-refuse", Delivery::Refused(refusal())),
        ("send-then-unknown", Delivery::Unknown("no reply".to_owned())),
        ("send-then-error", Delivery::Unknown("misbehaving: gave up".to_owned())),
        (
            "send-then-nonsense",
            Delivery::Unknown(
                "misbehaving returned a credit of quantity 77, which this host does not know"
                    .to_owned(),
            ),
        ),
        ("claim", not_sent(" claims success, but no byte left the host")),
        ("refuse", not_sent(" reports a refusal, but no byte left the host: wrong MAC")),
        ("unknown", Delivery::NotSent("no reply".to_owned())),
        ("error", not_sent(": no bytes were sent")),
    ] {
        assert_eq!(sell(ample(), behaviour).await, delivery, "{behaviour}");
    }
}

#[tokio::test]
async fn a_failure_is_unknown_exactly_when_a_byte_left() {
    let cpu = || Limits { cpu_ticks: 3, ..ample() };
    let wall = || Limits { wall: Duration::from_millis(400), ..ample() };
    let memory = || Limits { memory_bytes: 8 << 20, ..ample() };
    let exchanges = || Limits { exchanges: 5, ..ample() };
    for (limits, behaviour, unknown, words) in [
        (ample(), "panic", false, "asked to panic"),
        (ample(), "send-then-panic", true, "after sending"),
        (ample(), "deep", false, "limits.stack-bytes"),
        (cpu(), "loop", false, "limits.cpu-ticks"),
        (cpu(), "send-then-loop", true, "limits.cpu-ticks"),
        (wall(), "wait-forever", false, "limits.wall-ms"),
        (wall(), "send-then-wait", true, "limits.wall-ms"),
        (memory(), "memory", false, "limits.memory-bytes"),
        (exchanges(), "send-forever", true, "limits.exchanges"),
    ] {
        let delivery = sell(limits, behaviour).await;
        let text = match (&delivery, unknown) {
            (Delivery::Unknown(text), true) | (Delivery::NotSent(text), false) => text,
            _ => panic!("{behaviour}: {delivery:?}"),
        };
        assert!(text.contains(words), "{behaviour}: {text}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_heard_is_no_answer() {
    let driver = driver(ample()).await;
    for behaviour in ["send-then-confirm", "send-then-refuse"] {
        // A line on which nothing comes, and one on which the driver does not listen.
        for (mut line, behaviour) in [
            (silent().await, behaviour.to_owned()),
            (answering().await, behaviour.replace("send-then-", "deaf-then-")),
        ] {
            let device = device(&behaviour);
            let delivery =
                driver.sell(&mut line, &device, moment(), &customer(), purchase()).await.outcome;
            let Delivery::Unknown(why) = &delivery else { panic!("{behaviour}: {delivery:?}") };
            assert!(why.contains("nothing came back on the line"), "{behaviour}: {why}");
        }
    }
}

#[tokio::test]
async fn bytes_of_an_earlier_call_prove_nothing_about_this_one() {
    let driver = driver(ample()).await;
    let mut line = silent().await;
    line.send(b"before").await.expect("sends");
    let claim = device("claim");
    let delivery = driver.sell(&mut line, &claim, moment(), &customer(), purchase()).await.outcome;
    assert_eq!(delivery, not_sent(" claims success, but no byte left the host"));
}

#[tokio::test]
async fn a_line_that_is_spent_sends_nothing() {
    let driver = driver(ample()).await;
    let mut line = silent().await;
    let _elsewhere = line.take();
    let device = device("send-then-confirm");
    let delivery = driver.sell(&mut line, &device, moment(), &customer(), purchase()).await.outcome;
    assert!(matches!(delivery, Delivery::NotSent(_)), "{delivery:?}");
}

#[tokio::test]
async fn the_same_rule_holds_for_every_act() {
    let driver = driver(ample()).await;
    let mut line = answering().await;
    let opening = Opening { customer: customer(), purchase: purchase() };
    let no_byte = "misbehaving claims success, but no byte left the host".to_owned();

    let opened = driver.open(&mut line, &device("claim"), moment(), &opening).await.outcome;
    assert_eq!(opened, Delivery::NotSent(no_byte.clone()));
    let opened =
        driver.open(&mut line, &device("send-then-panic"), moment(), &opening).await.outcome;
    assert!(matches!(opened, Delivery::Unknown(_)), "{opened:?}");

    let cleared = driver.clear(&mut line, &device("claim"), moment()).await.outcome;
    assert_eq!(cleared, Delivery::NotSent(no_byte.clone()));
    let cleared = driver.clear(&mut line, &device("send-then-error"), moment()).await.outcome;
    assert!(matches!(cleared, Delivery::Unknown(_)), "{cleared:?}");

    for (behaviour, outcome) in [
        ("claim", ControlOutcome::NotSent(no_byte.clone())),
        ("send-then-confirm", ControlOutcome::Confirmed(SupplyState::Disconnected)),
        ("send-then-error", ControlOutcome::Unknown("misbehaving: gave up".to_owned())),
    ] {
        let device = device(behaviour);
        let command = SupplyCommand::Disconnect;
        let ended = driver.control(&mut line, &device, moment(), command, None).await.outcome;
        assert_eq!(ended, outcome, "{behaviour}");
    }
    for (behaviour, outcome) in [
        ("claim", SetOutcome::NotSent(no_byte)),
        ("send-then-refuse", SetOutcome::Refused(refusal())),
        ("send-then-error", SetOutcome::Unknown("misbehaving: gave up".to_owned())),
    ] {
        let ended =
            driver.set_parameters(&mut line, &device(behaviour), moment(), &[]).await.outcome;
        assert_eq!(ended, outcome, "{behaviour}");
    }
}

#[tokio::test]
async fn an_act_that_is_given_up_gives_the_line_back() {
    let driver = driver(ample()).await;
    let line = super::bench::line(super::bench::FarEnd::Silent).await;
    let mut held = super::bench::lease(&line).await;
    let device = device("send-then-wait");
    let customer = customer();
    let sale = driver.sell(&mut held, &device, moment(), &customer, purchase());
    assert!(tokio::time::timeout(Duration::from_millis(100), sale).await.is_err());
    assert!(held.send(b"x").await.is_err(), "the lease went down with the call");
    let mut fresh = super::bench::lease(&line).await;
    fresh.send(b"x").await.expect("the line is free again");
}
