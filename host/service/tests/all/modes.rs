//! Swap, ownership and closing of meters whose money is not in the device: what is owed or held arrives once,
//! and what was used until the end is charged to whoever used it.

use crate::bench::customer;
use crate::counter::{cny, operator};
use crate::field::{Field, METERS, post_paid_field, purse_field};
use crate::life::{closing, closing_id, dead, swap, swap_id, why};
use meter_sim::{FaultKind, On};
use polymeter_domain::{BillPaymentId, Channel, CustomerId, TakeoverId};
use polymeter_service::{
    AccountState, Actor, BillState, ChargeOutcome, ClosingState, FileOf, Keyed, NewBillPayment,
    Page, ServiceError, SwapRequest, TakeoverRequest,
};
use uuid::Uuid;

/// 6 kW for ten hours at 0.52: 60 kWh.
const TEN_HOURS: i64 = 3_120;

async fn open(field: &Field, meter: usize, number: &str) -> CustomerId {
    let id = customer(&field.service, number).await.customer_id;
    let opened = field.service.open_account(field.meters[meter], id, &Actor::System).await;
    assert_eq!(opened.expect("bound").account, AccountState::Open);
    id
}

/// What a running clock adds while a test runs is less than this.
fn about(minor: i64, expected: i64) {
    assert!((expected..expected + 10).contains(&minor), "{minor}, not {expected}");
}

#[tokio::test]
async fn a_swap_takes_the_last_use_out_of_the_purse_and_begins_anew() {
    let field = purse_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let owner = open(&field, 0, "11").await;
    field.pay(1, owner, 20_000).await;
    field.pass(10);
    about(field.charged(0).await, TEN_HOURS);
    field.pass(10);
    let held = field.truth(0).money_fen;
    service.put_swap(swap_id(1), swap(&field), &actor).await.expect("swapped");
    let done = service.swap(swap_id(1)).await.expect("it");
    assert!(done.is_done() && done.sale.is_none(), "{done:?}");
    assert_eq!((done.remaining, field.truth(0).money_fen), (cny(0), held), "nothing was carried");
    let left = field.balance(owner).await;
    about(20_000 - left, 2 * TEN_HOURS);
    let installed = service.installations_of_customer(owner).await.expect("a list");
    let ended: Vec<_> = installed.iter().map(|it| it.to.is_some()).collect();
    assert_eq!(ended, [false, true]);
    // The new meter's register is another one, and only what it counts from now on is charged.
    field.pass(10);
    about(field.charged(1).await, TEN_HOURS);
    about(left - field.balance(owner).await, TEN_HOURS);
    let old = service.charge_meter(field.meters[0], &actor).await;
    assert!(matches!(old, Err(ServiceError::NotOpened { .. })), "{old:?}");
    let kept = service.file_changes(FileOf::Customer(owner), &Page::default()).await.expect("it");
    assert!(kept.iter().any(|it| it.old == METERS[0] && it.new == METERS[1]), "{kept:?}");
}

#[tokio::test]
async fn a_dead_meter_is_swapped_by_the_reading_on_its_display() {
    let field = purse_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let owner = open(&field, 0, "11").await;
    field.pay(1, owner, 20_000).await;
    let first = service.installations_of_customer(owner).await.expect("a list")[0].first_reading;
    field.pass(10);
    field.fault(0, On::Any, FaultKind::NoReply, 10_000);
    let request = SwapRequest { keyed: Keyed::default(), ..swap(&field) };
    let silent = service.put_swap(swap_id(1), request, &actor).await;
    assert!(matches!(silent, Err(ServiceError::Device { .. } | ServiceError::Line(_))));
    let with_money = SwapRequest { keyed: dead(0, 100), ..swap(&field) };
    let error = service.put_swap(swap_id(2), with_money, &actor).await.expect_err("no purse");
    assert!(error.to_string().contains("no money is left in it"), "{error}");
    let shown = Some(first.expect("it was read") + 60_000);
    let request = SwapRequest { keyed: Keyed { reading: shown, credit: None }, ..swap(&field) };
    service.put_swap(swap_id(3), request, &actor).await.expect("swapped");
    assert_eq!(field.balance(owner).await, 20_000 - TEN_HOURS);
}

#[tokio::test]
async fn meters_that_are_paid_for_differently_are_not_swapped() {
    let field = purse_field().await;
    let (service, actor) = (&field.service, Actor::System);
    open(&field, 0, "11").await;
    let plan = service.meter(field.meters[0]).await.expect("it").tariff.expect("a tariff");
    let assigned =
        polymeter_service::Assignment { plan_id: plan.plan_id, terms: plan.terms, from: None };
    let new = crate::field::new_meter("000000000003", assigned);
    let third = service.add_meter(new, &actor).await.expect("a meter with a purse").meter_id;
    let request = SwapRequest { new: third, ..swap(&field) };
    let error = service.put_swap(swap_id(1), request, &actor).await.expect_err("other mode");
    assert!(error.to_string().contains("paid for in the same way"), "{error}");
}

#[tokio::test]
async fn closing_pays_out_the_purse_less_the_last_use() {
    let field = purse_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let owner = open(&field, 0, "11").await;
    field.pass(10);
    let owing = service.put_closing(closing_id(1), closing(owner), &actor).await;
    let owing = owing.expect_err("below zero").to_string();
    assert!(owing.contains("have that paid in first"), "{owing}");
    assert!(service.closing(closing_id(1)).await.is_err(), "nothing was begun");
    field.pay(1, owner, 20_000).await;
    field.pass(10);
    let held = field.truth(0).money_fen;
    let done = service.put_closing(closing_id(2), closing(owner), &actor).await.expect("closed");
    assert_eq!(done.state, ClosingState::Settled);
    let out = done.refunded.expect("paid out").minor();
    about(20_000 - out, 2 * TEN_HOURS);
    assert_eq!(field.balance(owner).await, 0);
    assert_eq!(field.truth(0).money_fen, held, "no device was emptied");
    assert_eq!(crate::life::balance(&field, "cash").await, out - 20_000);
    // An archived customer gets no meter; the next one begins where the register stands.
    let archived = service.open_account(field.meters[0], owner, &actor).await.expect_err("closed");
    assert!(archived.to_string().contains("archive"), "{archived}");
    field.pass(10);
    let next = open(&field, 0, "22").await;
    field.pass(10);
    about(field.charged(0).await, TEN_HOURS);
    about(-field.balance(next).await, TEN_HOURS);
}

#[tokio::test]
async fn a_takeover_splits_the_use_at_the_hand_over() {
    let field = purse_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let from = open(&field, 0, "11").await;
    let to = customer(service, "22").await.customer_id;
    field.pay(1, from, 10_000).await;
    field.pass(10);
    let request = TakeoverRequest {
        from,
        to,
        meters: vec![(field.meters[0], Some(0))],
        takes_arrears_over: false,
        why: why("flat sold"),
    };
    let id = |number| TakeoverId::new(Uuid::from_u128(number));
    let typed = service.put_takeover(id(1), request.clone(), &actor).await.expect_err("typed");
    assert!(typed.to_string().contains("leave the typed reading out"), "{typed}");
    let request = TakeoverRequest { meters: Vec::new(), ..request };
    service.put_takeover(id(2), request, &actor).await.expect("handed over");
    about(10_000 - field.balance(from).await, TEN_HOURS);
    field.pass(10);
    about(field.charged(0).await, TEN_HOURS);
    about(-field.balance(to).await, TEN_HOURS);
    about(10_000 - field.balance(from).await, TEN_HOURS);
}

fn pay_bill(bill: &polymeter_service::Bill) -> NewBillPayment {
    NewBillPayment { bill_id: bill.bill_id, channel: Channel::Bank, amount: bill.open() }
}

#[tokio::test]
async fn a_post_paid_meter_leaves_by_a_final_bill() {
    let field = post_paid_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let owner = open(&field, 0, "11").await;
    let bills = async || service.bills(Some(owner), false, &Page::default()).await.expect("bills");
    field.pass(10);
    service.put_swap(swap_id(1), swap(&field), &actor).await.expect("swapped");
    let made = bills().await;
    assert_eq!(made.len(), 1);
    about(made[0].total.minor(), TEN_HOURS);
    assert_eq!(made[0].state, BillState::Open);
    // The old debts first, then a final bill, then the end.
    let early = service.put_closing(closing_id(1), closing(owner), &actor).await;
    assert!(early.expect_err("open").to_string().contains("bills of"), "the swap's bill is open");
    let paid = |number| BillPaymentId::new(Uuid::from_u128(number));
    service.pay_bill(paid(1), pay_bill(&made[0]), &actor).await.expect("paid");
    field.pass(10);
    service.suspend(field.meters[1], why("moves away"), &actor).await.expect("suspended");
    let due = service.put_closing(closing_id(2), closing(owner), &actor).await;
    let due = due.expect_err("a final bill").to_string();
    assert!(due.contains("final bill 2 of 31.2"), "{due}");
    let made = bills().await;
    let last = made.iter().find(|it| it.number == 2).expect("it was made");
    service.pay_bill(paid(2), pay_bill(last), &actor).await.expect("paid");
    let done = service.put_closing(closing_id(3), closing(owner), &actor).await.expect("closed");
    assert_eq!((done.state, done.refunded), (ClosingState::Settled, Some(cny(0))));
    assert_eq!(bills().await.len(), 2);
    let receivable = format!("receivable/{owner}");
    assert_eq!(crate::life::balance(&field, &receivable).await, 0);
}

#[tokio::test]
async fn what_is_overdrawn_is_resumed_without_supply_until_it_is_paid() {
    let field = purse_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let owner = open(&field, 0, "11").await;
    let meter = field.meters[0];
    field.pass(10);
    service.suspend(meter, why("away"), &actor).await.expect("suspended").supply.expect("off");
    about(field.charged(0).await, TEN_HOURS);
    let held = service.resume_supply(meter, why("back"), &actor).await.expect("resumed");
    let unpaid = held.supply.expect_err("it is owed").to_string();
    assert!(unpaid.contains("so it stays disconnected"), "{unpaid}");
    assert!(!field.is_closed(0));
    let cuts = service.supply_cuts(owner).await.expect("a list");
    assert_eq!(cuts.iter().map(|it| it.state.as_str()).collect::<Vec<_>>(), ["cut"]);
    field.pay(1, owner, 20_000).await;
    service.tend_supply(owner).await.expect("tended");
    assert!(field.is_closed(0), "paid, it is connected");
    // In credit, resuming asks the device.
    service.suspend(meter, why("away"), &actor).await.expect("suspended").supply.expect("off");
    let held = service.resume_supply(meter, why("back"), &actor).await.expect("resumed");
    held.supply.expect("allowed");
}

#[tokio::test]
async fn an_overdraft_allowance_is_a_customers_own() {
    let field = purse_field().await;
    let service = &field.service;
    let (_, actor) = operator(1);
    let owner = open(&field, 0, "11").await;
    for minor in [-1, i64::MIN, i64::MAX] {
        let set = service.set_overdraft(owner, Some(cny(minor)), why("wishes"), &actor).await;
        assert!(matches!(set, Err(ServiceError::Invalid { field: "overdraft", .. })), "{minor}");
    }
    assert!(service.set_overdraft(owner, Some(cny(1)), why(" "), &actor).await.is_err());
    let own = service.set_overdraft(owner, Some(cny(5_000)), why("a shop"), &actor).await;
    assert_eq!(own.expect("set"), cny(5_000));
    field.pass(10);
    assert!(matches!(field.charge(0).await, ChargeOutcome::Charged(_)));
    assert_eq!(service.tend_supply(owner).await.expect("tended"), [], "within the allowance");
    let site = service.set_overdraft(owner, None, why("closed the shop"), &actor).await;
    assert_eq!(site.expect("set"), cny(0));
    service.tend_supply(owner).await.expect("tended");
    assert!(!field.is_closed(0), "the site allows nothing");
    let trail = service.audit_trail(None, &Page::default()).await.expect("the trail");
    let told: Vec<_> = trail
        .iter()
        .filter(|it| it.act == "overdraft-changed")
        .map(|it| (it.detail.as_str(), it.actor == actor))
        .collect();
    let (back, set) = ("50.00 to as the site: closed the shop", "as the site to 50.00: a shop");
    assert_eq!(told, [(back, true), (set, true)]);
    let kept = service.file_changes(FileOf::Customer(owner), &Page::default()).await.expect("it");
    assert_eq!(kept.iter().filter(|it| it.field == "overdraft").count(), 2);
}
