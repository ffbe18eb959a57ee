//! Plans, versions and sales by them: what reaches whom and when, what stays, and that a sale's price
//! comes out again.

use crate::bench::{by, flat, office, plan, tamper};
use crate::field::{field, sale_id};
use polymeter_domain::Money;
use polymeter_domain::tariff::{Amounts, Date, Terms};
use polymeter_domain::{Currency, TariffPlanId};
use polymeter_service::{
    Actor, Assignment, NewPlan, NewVersion, Page, Rerun, Sample, ServiceError,
};
use uuid::Uuid;

const STEPS: &str = "unit kWh\nsteps yearly\nprice to 100: 0.50\nprice beyond: 1.00\n";

fn date(text: &str) -> Date {
    text.parse().expect("a day")
}

fn version(from: &str, definition: &str) -> NewVersion {
    NewVersion { from: date(from), definition: definition.to_owned() }
}

#[tokio::test]
async fn a_new_version_reaches_every_meter_of_the_plan_at_once() {
    let field = field().await;
    let service = &field.service;
    let before = field.sell(sale_id(1), 0, 5_200).await;
    assert_eq!(before.bought, 100_000);
    let plan = service.plans(&Page::default()).await.expect("plans").remove(0);
    assert_eq!((plan.name.as_str(), plan.meters), ("Flat", 2));

    // The test's site stands still on 2026-03-02.
    let late = version("2026-03-01", "unit kWh\nprice 0.26\n");
    let error = service.add_version(plan.plan_id, late, &Actor::System).await.expect_err("past");
    let why = "from: 2026-03-01 is past: what was charged stays; today is 2026-03-02";
    assert_eq!(error.to_string(), why);
    let to_come = version("2026-03-03", "unit kWh\nprice 0.10\n");
    service.add_version(plan.plan_id, to_come, &Actor::System).await.expect("a version");
    let now = version("2026-03-02", "unit kWh\nprice 0.26\n");
    let plan = service.add_version(plan.plan_id, now, &Actor::System).await.expect("a version");
    assert_eq!(plan.at(date("2026-03-02")).expect("one").number, 3);
    assert_eq!(plan.at(date("2026-03-03")).expect("one").number, 2);
    for (number, meter) in [(2, 0), (3, 1)] {
        assert_eq!(field.sell(sale_id(number), meter, 5_200).await.bought, 200_000);
    }
    // What was sold before is explained by what counted then.
    let explained = service.explain_sale(sale_id(1)).await.expect("an explanation");
    assert_eq!((explained.version.number, explained.rerun), (1, Rerun::Same));
    let trail = service.audit_trail(None, &Page::default()).await.expect("the trail");
    let line = "Flat, version 3 from 2026-03-02: 2 meters";
    assert!(trail.iter().any(|it| it.act == "tariff-version-added" && it.detail == line));
    field.check_money().await;
}

#[tokio::test]
async fn steps_go_on_from_sale_to_sale_and_a_refused_one_counts_nothing() {
    let field = field().await;
    let service = &field.service;
    let plan = plan(service, "Steps", STEPS).await;
    let meter = field.meters[0];
    service.assign_plan(meter, by(&plan), &Actor::System).await.expect("given");
    // 60 kWh for 30.00, then 40 kWh of the first step and 10 of the second.
    assert_eq!(field.sell(sale_id(1), 0, 3_000).await.bought, 60_000);
    let refuse = meter_sim::FaultKind::Refuse { word: 0x0004 };
    field.fault(0, meter_sim::On::Sell, refuse, 1);
    assert_eq!(field.sell(sale_id(2), 0, 1_000).await.state.name(), "refused");
    let quoted = service.quote(meter, Money::new(3_000, Currency::CNY)).await.expect("a quote");
    assert_eq!((quoted.bought.before, quoted.bought.billed), (60_000, 50_000));
    let sale = field.sell(sale_id(3), 0, 3_000).await;
    assert_eq!(
        (sale.bought, sale.history[0].detail.as_str()),
        (50_000, "30.00 CNY by Steps, version 1: 50.000 kWh, rounded down")
    );
    // The other meter keeps its own plan.
    assert_eq!(field.sell(sale_id(4), 1, 5_200).await.bought, 100_000);
    for number in 1..=4 {
        let explained = service.explain_sale(sale_id(number)).await.expect("an explanation");
        assert_eq!(explained.rerun, Rerun::Same, "{number}");
    }
    field.check_money().await;
}

#[tokio::test]
async fn a_price_that_does_not_come_out_again_is_told() {
    let field = field().await;
    field.sell(sale_id(1), 0, 5_200).await;
    let refused = tamper(&field.database, "update sale set bought = 1").await.expect_err("settled");
    assert!(refused.contains("never change"), "{refused}");
    let refused = tamper(&field.database, "update tariff_version set number = 9").await;
    assert!(refused.expect_err("append-only").contains("never changes"));
    // As somebody with all rights over the file could.
    // Each engine has its own words for it.
    let sqlite = tamper(&field.database, "drop trigger sale_terms_are_fixed").await;
    let postgres = tamper(&field.database, "drop trigger sale_terms_are_fixed on sale").await;
    assert!(sqlite.is_ok() != postgres.is_ok(), "dropped");
    tamper(&field.database, "update sale set bought = 1").await.expect("changed");
    let explained = field.service.explain_sale(sale_id(1)).await.expect("an explanation");
    let told = "what the sale says it buys was kept as 1 and comes out as 100000";
    assert_eq!(explained.rerun, Rerun::Differs(told.to_owned()));
    let sql = "update sale set bought = 100000,
               explanation = replace(explanation, '\"price_minor\":5200', '\"price_minor\":5199')";
    tamper(&field.database, sql).await.expect("changed");
    let explained = field.service.explain_sale(sale_id(1)).await.expect("an explanation");
    let told = "the price was kept as 51.99 and comes out as 52.00";
    assert_eq!(explained.rerun, Rerun::Differs(told.to_owned()));
    tamper(&field.database, "update sale set explanation = '{}'").await.expect("changed");
    assert!(field.service.explain_sale(sale_id(1)).await.is_err());
}

#[tokio::test]
async fn a_plan_that_was_used_stays() {
    let field = field().await;
    let service = &field.service;
    let (used, actor) =
        (service.plans(&Page::default()).await.expect("plans").remove(0), Actor::System);
    let error = service.delete_plan(used.plan_id, &actor).await.expect_err("in use");
    assert_eq!(
        error.to_string(),
        "tariff plan Flat is in use: 2 meters have it, 2 had it at some time; it explains what \
         they were charged, so it stays"
    );
    let other = plan(service, "Other", "unit kWh\nprice 0.60\n").await;
    for meter in &field.meters {
        service.assign_plan(*meter, by(&other), &actor).await.expect("given");
    }
    let error = service.delete_plan(used.plan_id, &actor).await.expect_err("was in use");
    assert!(matches!(error, ServiceError::PlanInUse { meters: 0, had: 2, .. }), "{error}");
    for sql in ["delete from tariff_version", "delete from meter_tariff"] {
        assert!(tamper(&field.database, sql).await.is_err(), "{sql}");
    }
    let unused = plan(service, "Unused", STEPS).await;
    service.delete_plan(unused.plan_id, &actor).await.expect("nobody had it");
    let error = service.plan(unused.plan_id).await.expect_err("gone");
    assert!(matches!(error, ServiceError::NotFound { .. }));
    assert_eq!(service.meter_tariffs(field.meters[0]).await.expect("a list").len(), 2);
}

#[tokio::test]
async fn what_a_sale_cannot_charge_is_refused_before_it_counts() {
    let field = field().await;
    let (service, actor, meter) = (&field.service, Actor::System, field.meters[0]);
    let fee = plan(service, "Least", "unit kWh\nprice 0.50\nminimum 5.00\n").await;
    let error = service.assign_plan(meter, by(&fee), &actor).await.expect_err("no");
    let why = "tariff_plan_id: Least, version 1: it has a monthly minimum, which a bill charges \
               and a sale cannot";
    assert_eq!(error.to_string(), why);
    let used = service.plans(&Page { query: Some("Flat".into()), ..Page::default() }).await;
    let used = used.expect("plans").remove(0).plan_id;
    let check = async |new: NewVersion, why: &str| {
        let error = service.try_version(used, &new).await.expect_err("tried");
        assert_eq!(error.to_string(), why);
        let error = service.add_version(used, new, &actor).await.expect_err("added");
        assert_eq!(error.to_string(), why);
    };
    check(
        version("2026-12-01", "unit kWh\nprice 0.50\nminimum 5.00\n"),
        "definition: meter 000000000001 has this plan: it has a monthly minimum, which a bill \
         charges and a sale cannot",
    )
    .await;
    check(version("2026-12-01", "unit m3\nprice 3.00\n"), "definition: Flat is priced per kWh")
        .await;
    check(
        version("2026-12-01", "unit kWh\nprice 0\n"),
        "definition: line 2: `0` is not a price: \
          above zero, at most 10000, at most 6 decimals",
    )
    .await;
    let past =
        Assignment { from: Some(date("2026-03-01")), plan_id: used, terms: Terms::default() };
    let error = service.assign_plan(meter, past, &actor).await.expect_err("past");
    assert!(error.to_string().starts_with("from: 2026-03-01 is past"), "{error}");
    let terms = Terms { ct: 0, ..Terms::default() };
    let bad = Assignment { from: None, plan_id: used, terms };
    let error = service.assign_plan(meter, bad, &actor).await.expect_err("no ratio");
    assert_eq!(error.to_string(), "terms: the CT ratio is 0; it must be 1 to 1000000");
    let nobody = TariffPlanId::new(Uuid::from_u128(7));
    let lost = Assignment { plan_id: nobody, from: None, terms: Terms::default() };
    let error = service.assign_plan(meter, lost, &actor).await.expect_err("no plan");
    assert!(error.to_string().starts_with("no tariff plan "), "{error}");
    let later = NewPlan {
        name: "Later".to_owned(),
        from: date("2026-06-01"),
        definition: "unit kWh\nprice 0.50\n".to_owned(),
    };
    let later = service.add_plan(later, &actor).await.expect("a plan");
    let error = service.assign_plan(meter, by(&later), &actor).await.expect_err("not yet");
    assert_eq!(error.to_string(), "tariff_plan_id: Later has no version that counts on 2026-03-02");
}

#[tokio::test]
async fn a_plan_is_tried_on_a_sample_before_anybody_is_charged() {
    let office = office().await;
    let service = &office.service;
    let sample = Sample {
        metered: Amounts::one(150_000),
        before: 0,
        terms: Terms::default(),
        paid: Some(Money::new(6_000, Currency::CNY)),
    };
    let tried = service.preview_tariff(STEPS, date("2026-03-02"), &sample).expect("a preview");
    assert_eq!(tried.charge.total.minor(), 5_000 + 5_000);
    assert_eq!(tried.bought.expect("a purchase").billed, 110_000);
    let sample = Sample { before: 100_000, ..sample };
    let tried = service.preview_tariff(STEPS, date("2026-03-02"), &sample).expect("a preview");
    assert_eq!(tried.charge.total.minor(), 15_000);
    assert!(service.plans(&Page::default()).await.expect("plans").is_empty());

    flat(service).await;
    let twice =
        NewPlan { name: "Flat".to_owned(), from: date("2026-03-02"), definition: STEPS.to_owned() };
    let error = service.add_plan(twice, &Actor::System).await.expect_err("the name is taken");
    assert_eq!(error.to_string(), "tariff plan Flat already exists");
}
