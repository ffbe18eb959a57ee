//! Charges of a customer's own, bills for a period of post-paid meters, their payments and contra
//! bills: once for each due day and each period, and nothing but what the books say.

use crate::bench::customer;
use crate::field::{Field, METERS, post_paid_field, purse_field};
use meter_sim::{FaultKind, On};
use polymeter_domain::tariff::Date;
use polymeter_domain::{
    BillPaymentId, Channel, Currency, CustomerId, Money, PursePaymentId, Recurrence,
};
use polymeter_service::{
    Actor, AllocationBasis, ArrearsEnd, Basis, BillState, ChargeItem, ClosingRequest, Direction,
    Member, NewAllocation, NewBillPayment, NewItem, NewPayment, Page, PaidFrom, Service,
    ServiceError, Why, purse_account,
};
use uuid::Uuid;

fn yuan(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

fn day(text: &str) -> Date {
    text.parse().expect("a day")
}

async fn item(
    service: &Service,
    name: &str,
    basis: Basis,
    minor: i64,
    from: PaidFrom,
) -> ChargeItem {
    let new = NewItem {
        name: name.to_owned(),
        basis,
        amount: yuan(minor),
        every: Recurrence::Monthly,
        paid_from: from,
        cuts_supply: from == PaidFrom::Purse,
    };
    service.add_item(new, &Actor::System).await.expect("an item")
}

async fn pay_in(service: &Service, number: u128, customer_id: CustomerId, minor: i64) {
    let new = NewPayment {
        customer_id,
        direction: Direction::In,
        channel: Channel::Cash,
        amount: yuan(minor),
        reason: String::new(),
    };
    let id = PursePaymentId::new(Uuid::from_u128(number));
    service.pay_purse(id, new, &Actor::System).await.expect("paid");
}

/// What an account has by the books: credits less debits.
async fn booked(service: &Service, account: &str) -> i64 {
    let books = service.trial_balance().await.expect("sums");
    assert_eq!(books.difference.minor(), 0);
    let line = books.lines.iter().find(|line| line.account == account);
    line.map_or(0, |line| line.credits_posted.minor() - line.debits_posted.minor())
}

fn pass(field: &Field, hours: u32) {
    field.clock.advance_ms(i64::from(hours) * 3_600_000);
    field.simulator.advance(hours * 3_600);
}

#[tokio::test]
async fn a_due_day_is_booked_once_and_what_the_purse_lacks_is_owed_until_it_is_paid() {
    let field = purse_field().await;
    let service = &field.service;
    let id = customer(service, "11").await.customer_id;
    let rent = item(service, "Rent", Basis::Fixed, 10_000, PaidFrom::Purse).await;
    let same = NewItem {
        name: "Rent".to_owned(),
        basis: Basis::Fixed,
        amount: yuan(1),
        every: Recurrence::Once,
        paid_from: PaidFrom::Bill,
        cuts_supply: false,
    };
    let same = service.add_item(same, &Actor::System).await;
    assert!(matches!(same, Err(ServiceError::Exists { .. })), "{same:?}");
    let again = service.assign_item(id, rent.item_id, None, &Actor::System).await.expect("given");
    assert_eq!((again.len(), again[0].from), (1, day("2026-03-02")));
    let twice = service.assign_item(id, rent.item_id, None, &Actor::System).await;
    assert!(matches!(twice, Err(ServiceError::Exists { .. })), "{twice:?}");
    pay_in(service, 1, id, 15_000).await;

    let books = (0..10).map(|_| {
        let service = service.clone();
        tokio::spawn(
            async move { service.book_claims(&Actor::System).await.expect("booked").claims },
        )
    });
    let mut claims = 0;
    for book in books.collect::<Vec<_>>() {
        claims += book.await.expect("no panic");
    }
    assert_eq!((claims, service.purse(id).await.expect("a purse").balance), (1, yuan(5_000)));
    // The second of April, and of May: the first half there, the second owed whole.
    field.clock.advance_ms(61 * 24 * 3_600_000);
    let booked_now = service.book_claims(&Actor::System).await.expect("booked");
    assert_eq!((booked_now.claims, booked_now.amount), (2, yuan(20_000)));
    let (purse, arrears) = (purse_account(id), format!("receivable/{id}"));
    assert_eq!((booked(service, &purse).await, booked(service, &arrears).await), (0, -15_000));
    assert_eq!(booked(service, "revenue/Rent").await, 30_000);

    pay_in(service, 2, id, 7_000).await;
    let open: Vec<_> = service.claims(id, &Page::default()).await.expect("claims");
    let open: Vec<_> = open.iter().map(|it| (it.due.to_string(), it.open.minor())).collect();
    let expected = [("2026-05-02", 8_000), ("2026-04-02", 0), ("2026-03-02", 0)];
    assert_eq!(open, expected.map(|(due, open)| (due.to_owned(), open)));
    assert_eq!((booked(service, &purse).await, booked(service, &arrears).await), (0, -8_000));
    let closing = ClosingRequest {
        customer: id,
        keyed: Vec::new(),
        without_clearing: false,
        arrears: ArrearsEnd::None,
        why: Why { reason: "moved away".to_owned(), application: None },
    };
    let early = service.preview_closing(&closing, &Actor::System).await.expect_err("it is owed");
    assert!(early.to_string().ends_with("bills of 80.00 are open; settle them first"), "{early}");
    pay_in(service, 3, id, 10_000).await;
    assert_eq!((booked(service, &purse).await, booked(service, &arrears).await), (2_000, 0));
    assert_eq!(service.purse(id).await.expect("a purse").balance, yuan(2_000));

    let assignment = again[0].assignment_id;
    service.end_assignment(assignment, day("2026-06-02"), &Actor::System).await.expect("ended");
    field.clock.advance_ms(90 * 24 * 3_600_000);
    assert_eq!(service.book_claims(&Actor::System).await.expect("booked").claims, 0);
}

#[tokio::test]
async fn rent_that_is_owed_cuts_the_supply_and_paying_it_restores_it() {
    let field = purse_field().await;
    let service = &field.service;
    let id = customer(service, "11").await.customer_id;
    service.open_account(field.meters[0], id, &Actor::System).await.expect("bound");
    let rent = item(service, "Rent", Basis::Fixed, 5_000, PaidFrom::Purse).await;
    service.assign_item(id, rent.item_id, None, &Actor::System).await.expect("given");
    service.book_claims(&Actor::System).await.expect("booked");
    // The purse itself is at zero.
    assert_eq!(service.tend_supply(id).await.expect("tended").len(), 1);
    assert!(!field.truth(0).relay_closed);
    pay_in(service, 1, id, 4_999).await;
    assert_eq!(service.tend_supply(id).await.expect("tended")[0].state, "cut");
    pay_in(service, 2, id, 1).await;
    assert_eq!(service.tend_supply(id).await.expect("tended"), []);
    assert!(field.truth(0).relay_closed);
}

#[tokio::test]
async fn a_fee_by_area_waits_for_the_area_and_gets_a_bill_that_is_paid_in_parts() {
    let field = purse_field().await;
    let service = &field.service;
    let id = customer(service, "11").await.customer_id;
    let fee = item(service, "Property fee", Basis::Area, 250, PaidFrom::Bill).await;
    service.assign_item(id, fee.item_id, None, &Actor::System).await.expect("given");
    let waits = service.book_claims(&Actor::System).await.expect("booked");
    assert_eq!(waits.waiting, [format!("Property fee of customer/{id} waits for the area")]);
    for wrong in [0, -1, 100_000_001] {
        assert!(service.set_area(id, wrong, &Actor::System).await.is_err());
    }
    service.set_area(id, 8_550, &Actor::System).await.expect("kept");
    assert_eq!(service.book_claims(&Actor::System).await.expect("booked").claims, 1);
    let bill = service.bills(Some(id), true, &Page::default()).await.expect("bills").remove(0);
    assert_eq!((bill.number, bill.total, bill.due), (1, yuan(21_375), day("2026-03-17")));
    let lines = service.bill_lines(bill.bill_id).await.expect("lines");
    assert_eq!(lines[0].arithmetic, "85.50 m² × 2.50 = 213.75, half up");

    let pay = async |number: u128, minor| {
        let (bill_id, channel) = (bill.bill_id, Channel::Bank);
        let new = NewBillPayment { bill_id, channel, amount: yuan(minor) };
        let id = BillPaymentId::new(Uuid::from_u128(number));
        service.pay_bill(id, new, &Actor::System).await.map(|paid| paid.amount.minor())
    };
    assert_eq!(pay(1, 10_000).await.expect("a part"), 10_000);
    assert_eq!(pay(1, 10_000).await.expect("the same"), 10_000);
    assert!(matches!(pay(1, 10_001).await, Err(ServiceError::Differs { .. })));
    let much = pay(2, 11_376).await.expect_err("too much");
    assert_eq!(much.to_string(), "amount: 113.76 is more than the 113.75 open of bill 1");
    assert!(pay(2, 0).await.is_err());
    field.clock.advance_ms(16 * 24 * 3_600_000);
    assert_eq!(service.bill(bill.bill_id).await.expect("a bill").state, BillState::Overdue);
    pay(3, 11_375).await.expect("the rest");
    let paid = service.bill(bill.bill_id).await.expect("a bill");
    assert_eq!((paid.state, paid.open()), (BillState::Paid, yuan(0)));
    assert_eq!(booked(service, &format!("receivable/{id}")).await, 0);
    assert_eq!(booked(service, "channel/bank").await, -21_375);
    assert!(service.bills(Some(id), true, &Page::default()).await.expect("none").is_empty());
}

#[tokio::test]
async fn a_period_is_looked_at_confirmed_billed_once_and_taken_back_by_a_contra_bill() {
    let field = post_paid_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let mut ids = Vec::new();
    for (meter, number) in field.meters.iter().zip(["11", "22"]) {
        let id = customer(service, number).await.customer_id;
        service.open_account(*meter, id, &actor).await.expect("bound");
        ids.push(id);
    }
    // The second meter is silent to the end of the period: its last reading is its first.
    pass(&field, 9 * 24);
    service.read_meter(field.meters[0], &actor).await.expect("read");
    field.fault(1, On::Any, FaultKind::NoReply, 10);
    assert!(service.read_meter(field.meters[1], &actor).await.is_err());
    field.simulator.clear_faults(METERS[1]).expect("a meter");
    pass(&field, 24);
    let (from, to) = (day("2026-03-02"), day("2026-03-12"));
    for (from, to) in [(to, from), (from, from), (from, day("2026-03-13"))] {
        let no = service.draft_period(from, to).await;
        assert!(matches!(no, Err(ServiceError::Invalid { field: "to", .. })), "{no:?}");
    }
    let draft = service.draft_period(from, to).await.expect("a draft");
    // Nine days of 6 kW at 0.52.
    assert_eq!((draft.drafts.len(), draft.total), (1, yuan(9 * 24 * 312)));
    let stale = service.bill_period(from, to, yuan(1), &actor).await;
    assert!(matches!(stale, Err(ServiceError::Conflict(_))), "{stale:?}");
    assert!(service.bills(None, false, &Page::default()).await.expect("none").is_empty());

    // Two operators at once: one bill.
    let both = [0, 1].map(|_| {
        let (service, total) = (service.clone(), draft.total);
        tokio::spawn(async move { service.bill_period(from, to, total, &Actor::System).await })
    });
    let mut made = 0;
    for one in both {
        match one.await.expect("no panic") {
            Ok(run) => made += run.bills.len(),
            Err(error) => assert!(matches!(error, ServiceError::Conflict(_)), "{error}"),
        }
    }
    assert_eq!(made, 1);
    let bill = service.bills(Some(ids[0]), true, &Page::default()).await.expect("bills").remove(0);
    assert_eq!((bill.number, bill.period, bill.total), (1, Some((from, to)), draft.total));
    let again = service.draft_period(from, to).await.expect("a draft");
    assert_eq!((again.drafts.len(), again.total), (0, yuan(0)));
    let overlap = service.draft_period(day("2026-03-11"), to).await;
    let why =
        "2026-03-11 to 2026-03-12 overlaps the period 2026-03-02 to 2026-03-12, which was billed";
    assert_eq!(overlap.expect_err("overlaps").to_string(), why);
    let charge = service.bill_lines(bill.bill_id).await.expect("lines")[0].charge_id.expect("one");
    let explained = service.explain_charge(charge).await.expect("kept");
    assert_eq!(explained.rerun, polymeter_service::Rerun::Same);

    // Half paid, then taken back: the half goes into the purse.
    let (bill_id, channel) = (bill.bill_id, Channel::Cash);
    let new = NewBillPayment { bill_id, channel, amount: yuan(10_000) };
    service.pay_bill(BillPaymentId::new(Uuid::from_u128(5)), new, &actor).await.expect("paid");
    let contra = service.take_bill_back(bill_id, "wrong plan", &actor).await.expect("taken back");
    assert_eq!(
        (contra.number, contra.state, contra.total.minor()),
        (2, BillState::Contra, -bill.total.minor())
    );
    let state = service.bill(bill_id).await.expect("a bill").state;
    assert_eq!(state, BillState::TakenBack);
    let again = service.take_bill_back(bill_id, "again", &actor).await;
    assert!(matches!(again, Err(ServiceError::Conflict(_))), "{again:?}");
    assert_eq!(booked(service, &format!("receivable/{}", ids[0])).await, 0);
    assert_eq!(booked(service, "revenue/electricity").await, 0);
    assert_eq!(service.purse(ids[0]).await.expect("a purse").balance, yuan(10_000));

    // What it charged is on the next bill: all ten days, and both meters now.
    for meter in &field.meters {
        service.read_meter(*meter, &actor).await.expect("read");
    }
    pass(&field, 24);
    let (from, to) = (day("2026-03-12"), day("2026-03-13"));
    let draft = service.draft_period(from, to).await.expect("a draft");
    assert_eq!((draft.drafts.len(), draft.total), (2, yuan(2 * 10 * 24 * 312)));
    service.bill_period(from, to, draft.total, &actor).await.expect("billed");
    let numbers = service.bills(None, false, &Page::default()).await.expect("bills");
    assert_eq!(numbers.iter().map(|it| it.number).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!(booked(service, "revenue/electricity").await, draft.total.minor());
    field.database.verify().await.expect("the chain holds");
}

#[tokio::test]
async fn a_meter_that_was_never_read_in_the_period_is_told() {
    let field = post_paid_field().await;
    let service = &field.service;
    let id = customer(service, "11").await.customer_id;
    pass(&field, 24);
    service.open_account(field.meters[0], id, &Actor::System).await.expect("bound");
    let run = service.draft_period(day("2026-03-01"), day("2026-03-02")).await.expect("a draft");
    assert_eq!(run.problems, ["meter 000000000001 has no reading before 2026-03-02: read it"]);
    assert!(run.drafts.is_empty());
}

#[tokio::test]
async fn a_master_meters_charge_is_shared_out_to_the_last_fen_posted_once_and_undone() {
    let field = post_paid_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let landlord = customer(service, "1").await.customer_id;
    let meter = field.meters[0];
    service.open_account(meter, landlord, &actor).await.expect("bound");
    let mut members = Vec::new();
    for (number, weight) in [("11", 1), ("22", 1), ("33", 1)] {
        let customer_id = customer(service, number).await.customer_id;
        members.push(Member { customer_id, meter_id: None, weight: Some(weight) });
    }
    let new = NewAllocation {
        name: "Stairs".to_owned(),
        master: meter,
        basis: AllocationBasis::Ratio,
        paid_from: PaidFrom::Purse,
        members: members.clone(),
    };
    for bad in [
        NewAllocation { members: Vec::new(), ..new.clone() },
        NewAllocation { basis: AllocationBasis::Use, ..new.clone() },
        NewAllocation { members: vec![members[0].clone(), members[0].clone()], ..new.clone() },
        NewAllocation { master: field.meters[1], ..new.clone() },
    ] {
        assert!(service.add_allocation(bad.clone(), &actor).await.is_err(), "{bad:?}");
    }
    let stairs = service.add_allocation(new.clone(), &actor).await.expect("an allocation");
    let twice = service.add_allocation(new, &actor).await;
    assert!(matches!(twice, Err(ServiceError::Exists { .. })), "{twice:?}");
    let id = stairs.allocation_id;
    let nothing = service.preview_allocation(id).await.expect_err("nothing yet");
    assert_eq!(nothing.to_string(), "master_meter_id: this reading is charged already");

    // Five hours of 6 kW at 0.52.
    pass(&field, 5);
    service.read_meter(meter, &actor).await.expect("read");
    let preview = service.preview_allocation(id).await.expect("a preview");
    assert_eq!(preview.amount, yuan(1_560));
    let stale = service.post_allocation(id, yuan(1_559), &actor).await;
    assert!(matches!(stale, Err(ServiceError::Conflict(_))), "{stale:?}");
    let both = [0, 1].map(|_| {
        let service = service.clone();
        tokio::spawn(async move { service.post_allocation(id, yuan(1_560), &Actor::System).await })
    });
    let mut posted = Vec::new();
    for one in both {
        posted.extend(one.await.expect("no panic").ok());
    }
    assert_eq!(posted.len(), 1, "two operators, one run");
    let run = posted.remove(0);
    let parts: Vec<i64> = run.parts.iter().map(|part| part.amount.minor()).collect();
    assert_eq!((parts.iter().sum::<i64>(), parts), (1_560, vec![520, 520, 520]));
    for part in &run.parts {
        let purse = service.purse(part.customer_id).await.expect("a purse").balance;
        assert_eq!(
            (purse, booked(service, &purse_account(part.customer_id)).await),
            (yuan(-520), -520)
        );
    }
    assert_eq!(booked(service, "revenue/electricity").await, 1_560);

    let run_id = run.run_id.expect("posted");
    service.undo_allocation(run_id, "wrong members", &actor).await.expect("undone");
    let again = service.undo_allocation(run_id, "again", &actor).await;
    assert!(matches!(again, Err(ServiceError::Conflict(_))), "{again:?}");
    assert_eq!(booked(service, "revenue/electricity").await, 0);
    for part in &run.parts {
        assert_eq!(service.purse(part.customer_id).await.expect("a purse").balance, yuan(0));
    }
    // What was counted is in the next run.
    pass(&field, 1);
    service.read_meter(meter, &actor).await.expect("read");
    assert_eq!(service.preview_allocation(id).await.expect("a preview").amount, yuan(1_872));
    let runs = service.allocation_runs(id).await.expect("runs");
    assert_eq!((runs.len(), runs[0].is_undone), (1, true));
    field.database.verify().await.expect("the chain holds");
}

#[tokio::test]
async fn a_master_meter_is_shared_out_by_use_and_by_area_into_bills() {
    let field = post_paid_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let (landlord, tenant) =
        (customer(service, "1").await.customer_id, customer(service, "11").await.customer_id);
    let [master, sub] = [field.meters[0], field.meters[1]];
    service.open_account(master, landlord, &actor).await.expect("bound");
    service.open_account(sub, tenant, &actor).await.expect("bound");
    let member = Member { customer_id: tenant, meter_id: Some(sub), weight: None };
    let new = NewAllocation {
        name: "Pump".to_owned(),
        master,
        basis: AllocationBasis::Use,
        paid_from: PaidFrom::Bill,
        members: vec![member],
    };
    let pump = service.add_allocation(new, &actor).await.expect("an allocation").allocation_id;
    pass(&field, 5);
    for meter in [sub, master] {
        service.read_meter(meter, &actor).await.expect("read");
    }
    let preview = service.preview_allocation(pump).await.expect("a preview");
    assert_eq!((preview.amount, preview.parts[0].weight), (yuan(1_560), 30_000));
    let run = service.post_allocation(pump, preview.amount, &actor).await.expect("posted");
    let bill = run.parts[0].bill_id.expect("a bill");
    assert_eq!(service.bill(bill).await.expect("a bill").total, yuan(1_560));
    assert_eq!(booked(service, &format!("receivable/{tenant}")).await, -1_560);
    service.undo_allocation(run.run_id.expect("posted"), "wrong", &actor).await.expect("undone");
    assert_eq!(service.bill(bill).await.expect("a bill").state, BillState::TakenBack);
    assert_eq!(booked(service, &format!("receivable/{tenant}")).await, 0);
}
