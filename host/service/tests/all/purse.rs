//! Purses on the platform: an account that begins at a reading, money in, readings that take it out
//! exactly once, readings that nobody believes, supplies cut and restored by proof.

use crate::bench::{customer, plan, tamper};
use crate::field::{Field, METERS, purse_field};
use meter_sim::{FaultKind, On};
use polymeter_domain::tariff::Date;
use polymeter_domain::{
    BillingMode, Channel, Currency, CustomerId, Money, PursePaymentId, ReadingId, SupplyCommand,
    SupplyState,
};
use polymeter_service::{
    Actor, CaseDecision, CaseKind, ChargeOutcome, Direction, NewPayment, NewVersion, Page, Payment,
    PursePayment, PurseRules, Rerun, ServiceError, purse_account,
};
use std::sync::Arc;
use uuid::Uuid;

const HOUR_MS: i64 = 3_600_000;

fn yuan(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

fn payment_id(number: u128) -> PursePaymentId {
    PursePaymentId::new(Uuid::from_u128(number))
}

fn payment(customer_id: CustomerId, minor: i64) -> NewPayment {
    NewPayment {
        customer_id,
        direction: Direction::In,
        channel: Channel::Cash,
        amount: yuan(minor),
        reason: String::new(),
    }
}

/// One that waits for nobody.
fn made(payment: Payment) -> PursePayment {
    match payment {
        Payment::Made(made) => made,
        Payment::Waits(id) => panic!("it waits for {id}"),
    }
}

impl Field {
    /// One customer at both meters.
    pub async fn bound(&self) -> CustomerId {
        let id = customer(&self.service, "11").await.customer_id;
        for meter in &self.meters {
            self.service.open_account(*meter, id, &Actor::System).await.expect("bound");
        }
        id
    }

    pub fn pass(&self, hours: u32) {
        self.clock.advance_ms(i64::from(hours) * HOUR_MS);
        self.simulator.advance(hours * 3_600);
    }

    pub async fn charge(&self, meter: usize) -> ChargeOutcome {
        let outcome = self.service.charge_meter(self.meters[meter], &Actor::System).await;
        outcome.expect("read")
    }

    /// Fen that were charged.
    pub async fn charged(&self, meter: usize) -> i64 {
        match self.charge(meter).await {
            ChargeOutcome::Charged(charge) => charge.amount.minor(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn pay(&self, number: u128, customer: CustomerId, minor: i64) -> Money {
        let new = payment(customer, minor);
        let paid = self.service.pay_purse(payment_id(number), new, &Actor::System).await;
        made(paid.expect("paid")).balance_after
    }

    pub async fn balance(&self, customer: CustomerId) -> i64 {
        let balance = self.service.purse(customer).await.expect("a purse").balance.minor();
        // What is asked for fast is what the books say.
        let books = self.service.trial_balance().await.expect("sums");
        assert_eq!(books.difference.minor(), 0);
        let line = books.lines.iter().find(|line| line.account == purse_account(customer));
        let booked = line.map_or(0, |it| it.credits_posted.minor() - it.debits_posted.minor());
        assert_eq!(balance, booked);
        balance
    }

    pub fn is_closed(&self, meter: usize) -> bool {
        self.truth(meter).relay_closed
    }

    /// A reading as if the meter had told it just now: hundredths of a kWh.
    async fn keep_reading(&self, meter: usize, hundredths: i64, quality: &str) -> ReadingId {
        let id = ReadingId::new(Uuid::from_u128(rand()));
        let (meter, quality) = (self.meters[meter], quality.to_owned());
        let at = (self.clock.clock().now)().0;
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query(
                        "insert into reading values ($1, $2, $3, 'unknown', '[]', null, null)",
                    )
                    .bind(id.to_string())
                    .bind(meter.to_string())
                    .bind(at.0)
                    .execute(tx.connection())
                    .await
                    .expect("a reading");
                    sqlx::query(
                        "insert into measurement values
                         ($1, 0, '1.0.1.8.0.255', $2, -2, null, 256, $3)",
                    )
                    .bind(id.to_string())
                    .bind(hundredths)
                    .bind(quality)
                    .execute(tx.connection())
                    .await
                    .expect("a register");
                    Ok::<_, polymeter_ledger::LedgerError>(())
                })
            })
            .await
            .expect("stored");
        id
    }

    async fn charge_reading(&self, meter: usize, reading: ReadingId) -> ChargeOutcome {
        let outcome =
            self.service.charge_reading(self.meters[meter], reading, &Actor::System).await;
        outcome.expect("an outcome")
    }
}

fn rand() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    u128::from_ne_bytes(bytes)
}

fn case(outcome: ChargeOutcome) -> polymeter_service::ReadingCase {
    match outcome {
        ChargeOutcome::Case(case) => *case,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_life_of_a_purse_from_the_first_reading_to_the_restored_supply() {
    let field = purse_field().await;
    field.pass(1);
    let id = field.bound().await;
    // What was counted before it was his is nobody's.
    let first = field.service.charges(field.meters[0], &Page::default()).await.expect("a chain");
    assert_eq!((first.len(), first[0].kind.name(), first[0].amount.minor()), (1, "start", 0));
    assert_eq!(field.balance(id).await, 0);

    assert_eq!(field.pay(1, id, 1_000).await, yuan(1_000));
    field.pass(1);
    // 6 kWh at 0.52.
    assert_eq!(field.charged(0).await, 312);
    assert!(matches!(field.charge(0).await, ChargeOutcome::Nothing(_)));
    assert_eq!(field.balance(id).await, 688);
    let newest = field.service.charges_of(id, &Page::default()).await.expect("charges").remove(0);
    assert_eq!((newest.used, newest.number), (6_000, 2));
    let explained = field.service.explain_charge(newest.charge_id).await.expect("kept");
    assert_eq!((explained.rerun, explained.parts.len()), (Rerun::Same, 1));
    assert_eq!(explained.parts[0].plan_name, "Flat");

    field.pass(2);
    let round = field.service.charge_all().await.expect("a round");
    // Two hours of the first and three of the second: below zero, and both are cut.
    assert_eq!((round.charged, round.amount.minor(), round.cut), (2, 624 + 936, 2));
    assert_eq!(field.balance(id).await, 1_000 - 312 - 1_560);
    assert!(!field.is_closed(0) && !field.is_closed(1));
    let meter = field.service.meter(field.meters[0]).await.expect("a meter");
    assert_eq!(meter.supply, SupplyState::Disconnected);
    field.pass(5);
    let idle = field.service.charge_all().await.expect("a round");
    // A new day has begun, and nothing was used in it.
    assert_eq!((idle.amount.minor(), idle.cut), (0, 2));

    // Not enough, then enough.
    field.pay(2, id, 100).await;
    let open = field.service.tend_supply(id).await.expect("tended");
    assert_eq!(open.iter().map(|cut| cut.state.as_str()).collect::<Vec<_>>(), ["cut", "cut"]);
    field.pay(3, id, 1_000).await;
    assert_eq!(field.service.tend_supply(id).await.expect("tended"), []);
    assert!(field.is_closed(0) && field.is_closed(1));
    let cuts = field.service.supply_cuts(id).await.expect("a list");
    assert_eq!(cuts.iter().map(|cut| cut.state.as_str()).collect::<Vec<_>>(), ["ended", "ended"]);
    let trail = field.service.audit_trail(None, &Page { limit: 200, ..Page::default() }).await;
    let acts: Vec<String> = trail.expect("the trail").into_iter().map(|it| it.act).collect();
    for act in ["purse-paid-into", "supply-cut-wanted", "supply-cut", "supply-restored"] {
        assert!(acts.iter().any(|it| it == act), "{act}: {acts:?}");
    }
    field.database.verify().await.expect("the chain holds");
}

#[tokio::test]
async fn one_reading_is_charged_once_however_often_it_is_asked() {
    let field = Arc::new(purse_field().await);
    let id = field.bound().await;
    field.pass(1);
    let reading = field.service.read_meter(field.meters[0], &Actor::System).await.expect("read");
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let (field, reading) = (field.clone(), reading.reading_id);
            tokio::spawn(async move { field.charge_reading(0, reading).await })
        })
        .collect();
    let mut charged = 0;
    for ask in asks {
        match ask.await.expect("no panic") {
            ChargeOutcome::Charged(_) => charged += 1,
            ChargeOutcome::Nothing(why) => assert_eq!(why, "this reading is charged already"),
            ChargeOutcome::Case(case) => panic!("{case:?}"),
        }
    }
    assert_eq!((charged, field.balance(id).await), (1, -312));
    // An older one, found later, is nothing either.
    let old = field.keep_reading(0, 0, "measured").await;
    field.pass(1);
    assert_eq!(field.charged(0).await, 312);
    let outcome = field.charge_reading(0, old).await;
    let nothing = ChargeOutcome::Nothing("a newer reading is charged already".to_owned());
    assert_eq!(outcome, nothing);
    for sql in ["delete from charge", "update charge set amount_minor = 1"] {
        assert!(tamper(&field.database, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_reading_that_nobody_believes_moves_no_money_and_waits_for_a_person() {
    let field = purse_field().await;
    let id = field.bound().await;
    field.pass(1);
    assert_eq!(field.charged(0).await, 312);
    let bad = [
        (599, "measured", CaseKind::WentBack, "the register went back from 6000 to 5990"),
        (700, "estimated", CaseKind::Estimated, "1.0.1.8.0.255 is estimated"),
        (700, "invalid", CaseKind::Invalid, "1.0.1.8.0.255 is not a number it can mean"),
        (700, "not-measured", CaseKind::NoRegister, "it told no 1.0.1.8.0.255"),
        (
            100_000_000,
            "measured",
            CaseKind::Implausible,
            "999994000 Wh in 0 minutes is more than a meter here can count",
        ),
    ];
    let mut newest = None;
    for (times, (hundredths, quality, kind, why)) in (1..).zip(bad) {
        let reading = field.keep_reading(0, hundredths, quality).await;
        let told = case(field.charge_reading(0, reading).await);
        assert_eq!((told.kind, told.detail.as_str(), told.times), (kind, why, times));
        // The same again is the same time.
        assert_eq!(case(field.charge_reading(0, reading).await).times, times);
        newest = Some(told);
    }
    assert_eq!(field.balance(id).await, -312);
    let open = field.service.open_cases(&Page::default()).await.expect("a list");
    assert_eq!(open.len(), 1);

    // A good reading is charged all the same.
    field.pass(1);
    assert_eq!(field.charged(0).await, 312);
    let (service, actor) = (&field.service, Actor::System);
    let case_id = newest.expect("a case").case_id;
    let empty = service.decide_case(case_id, CaseDecision::Dismiss, " ", &actor).await;
    assert!(matches!(empty, Err(ServiceError::Invalid { field: "reason", .. })));
    let decided = service.decide_case(case_id, CaseDecision::Dismiss, "a misread", &actor).await;
    assert_eq!(decided.expect("decided").decision.as_deref(), Some("dismissed"));
    let again = service.decide_case(case_id, CaseDecision::Charge, "no", &actor).await;
    assert!(matches!(again, Err(ServiceError::Conflict(_))), "{again:?}");
    assert_eq!(service.open_cases(&Page::default()).await.expect("a list"), []);
    assert_eq!(field.balance(id).await, -624);
}

#[tokio::test]
async fn a_person_charges_what_seems_too_much_and_begins_anew_after_a_roll_over() {
    let field = purse_field().await;
    let id = field.bound().await;
    let (service, actor) = (&field.service, Actor::System);
    field.pass(1);
    // 1000 kWh in an hour: a person says that it is so.
    let much =
        case(field.charge_reading(0, field.keep_reading(0, 100_000, "measured").await).await);
    assert_eq!(much.kind, CaseKind::Implausible);
    service
        .decide_case(much.case_id, CaseDecision::Charge, "a new oven", &actor)
        .await
        .expect("ok");
    assert_eq!(field.balance(id).await, -52_000);
    // Then the register is small again, and 3 kWh were used.
    let back = case(field.charge_reading(0, field.keep_reading(0, 12, "measured").await).await);
    assert_eq!(back.kind, CaseKind::WentBack);
    let no = service.decide_case(back.case_id, CaseDecision::Charge, "?", &actor).await;
    assert!(matches!(no, Err(ServiceError::Invalid { field: "decision", .. })), "{no:?}");
    let anew = CaseDecision::BeginAnew { used: 3_000 };
    service.decide_case(back.case_id, anew, "the board was changed", &actor).await.expect("ok");
    assert_eq!(field.balance(id).await, -52_156);
    let next = field.keep_reading(0, 112, "measured").await;
    let ChargeOutcome::Charged(charge) = field.charge_reading(0, next).await else { panic!() };
    assert_eq!((charge.used, charge.amount.minor(), charge.number), (1_000, 52, 4));
    for charge in service.charges(field.meters[0], &Page::default()).await.expect("a chain") {
        let explained = service.explain_charge(charge.charge_id).await.expect("kept");
        assert_eq!(explained.rerun, Rerun::Same, "{charge:?}");
    }
}

#[tokio::test]
async fn a_change_of_price_splits_what_was_used_at_midnight() {
    let field = purse_field().await;
    let id = field.bound().await;
    let (service, actor) = (&field.service, Actor::System);
    let flat = service.plans(&Page::default()).await.expect("plans").remove(0);
    let from: Date = "2026-03-03".parse().expect("a day");
    let new = NewVersion { from, definition: "unit kWh\nprice 1.00\nfee 31.00\n".to_owned() };
    service.add_version(flat.plan_id, new, &actor).await.expect("a fee is fine for a purse");
    // From 18:00 to 02:00: six hours at 0.52, two at 1.00, and no day of the fee yet.
    field.pass(8);
    assert_eq!(field.charged(0).await, 36 * 52 + 12 * 100);
    let charge = service.charges(field.meters[0], &Page::default()).await.expect("all").remove(0);
    let explained = service.explain_charge(charge.charge_id).await.expect("kept");
    let versions: Vec<_> = explained.parts.iter().map(|part| part.version_number).collect();
    assert_eq!((versions, explained.rerun), (vec![1, 2], Rerun::Same));
    // A day more: 24 hours and one day's fee.
    field.pass(24);
    assert_eq!(field.charged(0).await, 144 * 100 + 100);
    let books = service.trial_balance().await.expect("sums");
    let credits = |name: &str| {
        let line = books.lines.iter().find(|line| line.account == name);
        line.map_or(0, |line| line.credits_posted.minor())
    };
    assert_eq!(credits("fee/monthly"), 100);
    assert_eq!(credits("revenue/electricity"), 36 * 52 + 12 * 100 + 144 * 100);
    assert!(field.balance(id).await < 0);
}

#[tokio::test]
async fn nobody_is_cut_in_friendly_hours_within_the_overdraft_or_who_keeps_his_power() {
    let field = purse_field().await;
    let id = field.bound().await;
    let service = &field.service;
    let rules = |overdraft, hours: &[(u16, u16)]| PurseRules {
        overdraft: yuan(overdraft),
        friendly_hours: hours.to_vec(),
        ..PurseRules::new(Currency::CNY)
    };
    field.pass(1);
    field.charged(0).await;
    // 3.12 below zero at 19:00.
    service.keep_purse_rules(rules(312, &[]));
    assert_eq!(service.tend_supply(id).await.expect("tended"), []);
    service.keep_purse_rules(rules(311, &[(18 * 60, 6 * 60)]));
    assert_eq!(service.tend_supply(id).await.expect("tended"), []);
    service.keep_purse_rules(rules(311, &[]));
    service.keep_power(field.meters[0], true, "a ventilator", &Actor::System).await.expect("kept");
    let open = service.tend_supply(id).await.expect("tended");
    assert_eq!(open.iter().map(|cut| cut.meter_id).collect::<Vec<_>>(), [field.meters[1]]);
    assert!(field.is_closed(0) && !field.is_closed(1));
    // A meter that was cut and keeps its power from now on gets it back unpaid.
    service.keep_power(field.meters[1], true, "another", &Actor::System).await.expect("kept");
    assert_eq!(service.tend_supply(id).await.expect("tended"), []);
    assert!(field.is_closed(1));
    service.keep_power(field.meters[1], false, "gone", &Actor::System).await.expect("not kept");
    assert_eq!(service.tend_supply(id).await.expect("tended").len(), 1);
}

#[tokio::test]
async fn a_cut_that_failed_is_tried_again_and_one_that_was_undone_by_hand_is_repeated() {
    let field = purse_field().await;
    let id = field.bound().await;
    let service = &field.service;
    field.pass(1);
    field.charged(0).await;
    service.keep_power(field.meters[1], true, "not this one", &Actor::System).await.expect("kept");
    field.fault(0, On::Any, FaultKind::NoReply, 200);
    let open = service.tend_supply(id).await.expect("tended");
    assert_eq!((open[0].state.as_str(), open[0].tries), ("wanted", 1));
    field.simulator.clear_faults(METERS[0]).expect("a meter");
    // Too early, then not.
    assert_eq!(service.tend_supply(id).await.expect("tended")[0].tries, 1);
    field.clock.advance_ms(60_000);
    let open = service.tend_supply(id).await.expect("tended");
    assert_eq!(open[0].state, "cut");
    assert!(!field.is_closed(0));
    // Somebody closes it by command; it is still owed.
    let connect = service.control(field.meters[0], SupplyCommand::Connect, &Actor::System).await;
    assert_eq!(connect.expect("closed"), SupplyState::Connected);
    service.tend_supply(id).await.expect("tended");
    assert!(!field.is_closed(0));
    // Owed and paid before anything was sent: nothing is sent.
    field.pay(1, id, 10_000).await;
    service.tend_supply(id).await.expect("tended");
    assert!(field.is_closed(0));
}

#[tokio::test]
async fn a_payment_is_one_for_one_id_and_nothing_is_given_back_that_is_not_there() {
    let field = purse_field().await;
    let id = field.bound().await;
    let (service, actor) = (&field.service, Actor::System);
    let pays: Vec<_> = (0..50)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move {
                service.pay_purse(payment_id(7), payment(id, 5_000), &Actor::System).await
            })
        })
        .collect();
    for pay in pays {
        let paid = made(pay.await.expect("no panic").expect("paid"));
        assert_eq!(paid.balance_after, yuan(5_000));
    }
    assert_eq!(field.balance(id).await, 5_000);
    let other = service.pay_purse(payment_id(7), payment(id, 5_001), &actor).await;
    assert!(matches!(other, Err(ServiceError::Differs { .. })), "{other:?}");
    for minor in [0, -1, 100_000_001, i64::MAX] {
        let paid = service.pay_purse(payment_id(8), payment(id, minor), &actor).await;
        assert!(matches!(paid, Err(ServiceError::Invalid { field: "amount", .. })), "{minor}");
    }
    let nobody = CustomerId::new(Uuid::from_u128(1));
    let paid = service.pay_purse(payment_id(8), payment(nobody, 100), &actor).await;
    assert!(matches!(paid, Err(ServiceError::NotFound { .. })));
    let back = |minor, reason: &str| NewPayment {
        direction: Direction::Out,
        channel: Channel::Bank,
        reason: reason.to_owned(),
        ..payment(id, minor)
    };
    let much = service.pay_purse(payment_id(9), back(5_001, "moves away"), &actor).await;
    let why = "amount: 50.01 cannot be given back: the purse has 50.00";
    assert_eq!(much.expect_err("not there").to_string(), why);
    let why = service.pay_purse(payment_id(9), back(100, ""), &actor).await.expect_err("why");
    assert!(matches!(why, ServiceError::Invalid { field: "reason", .. }));
    assert_eq!(service.try_payment(back(100, "moves away")).await.expect("a try"), yuan(4_900));
    assert_eq!(field.balance(id).await, 5_000);
    service.pay_purse(payment_id(9), back(5_000, "moves away"), &actor).await.expect("given back");
    assert_eq!(field.balance(id).await, 0);
    let page = Page { limit: 1, ..Page::default() };
    let newest = service.purse_payments(id, &page).await.expect("a list").remove(0);
    let page = Page { after: Some(newest.payment_id.to_string()), ..page };
    let oldest = service.purse_payments(id, &page).await.expect("a list");
    assert_eq!((newest.direction.name(), oldest[0].direction.name()), ("out", "in"));
}

#[tokio::test]
async fn a_mode_is_held_to_what_the_driver_can_and_nothing_is_sold_into_a_purse_meter() {
    let field = purse_field().await;
    let id = field.bound().await;
    let service = &field.service;
    let error = service.quote(field.meters[0], yuan(100)).await.expect_err("no sale");
    let why = "meter_id: meter 000000000001 is platform-purse, and nothing is sold into it: pay \
               into the purse of its customer";
    assert_eq!(error.to_string(), why);
    let put =
        service.put_sale(crate::field::sale_id(1), field.request(0, 100), &Actor::System).await;
    assert_eq!(put.expect_err("no sale").to_string(), why);
    assert_eq!(field.truth(0).open_frames, 0, "the device was only read");
    // Bound to the same customer again is the same; to another it is not.
    let again = service.open_account(field.meters[0], id, &Actor::System).await.expect("the same");
    assert_eq!(
        (again.mode, service.charges(again.meter_id, &Page::default()).await.expect("all").len()),
        (BillingMode::PlatformPurse, 1)
    );
    let rival = customer(service, "22").await.customer_id;
    let error = service.open_account(field.meters[0], rival, &Actor::System).await;
    assert!(matches!(error, Err(ServiceError::Exists { .. })));
    let energy = polymeter_service::NewMeter {
        mode: Some(BillingMode::EnergyInMeter),
        ..crate::field::new_meter("000000000009", by_flat(service).await)
    };
    let error = service.add_meter(energy, &Actor::System).await.expect_err("it holds money");
    let why = "mode: energy-in-meter is not what devices of driver dlt645-2007 hold: they have \
               money-in-meter";
    assert_eq!(error.to_string(), why);

    let sold = crate::field::field().await;
    let charge = sold.service.charge_meter(sold.meters[0], &Actor::System).await;
    let why = "meter_id: meter 000000000001 is money-in-meter, not platform-purse";
    assert_eq!(charge.expect_err("sold to").to_string(), why);
}

async fn by_flat(service: &polymeter_service::Service) -> polymeter_service::Assignment {
    crate::bench::by(&plan(service, "Other", "unit kWh\nprice 0.50\n").await)
}

#[tokio::test]
async fn an_account_that_cannot_be_read_does_not_begin() {
    let field = purse_field().await;
    let id = customer(&field.service, "11").await.customer_id;
    field.fault(0, On::Any, FaultKind::NoReply, 200);
    let error = field.service.open_account(field.meters[0], id, &Actor::System).await;
    assert!(matches!(error, Err(ServiceError::Device { .. })), "{error:?}");
    let meter = field.service.meter(field.meters[0]).await.expect("a meter");
    assert_eq!(meter.customer, None);
}
