//! Swaps, ownership and closing on simulated meters: after each, every fen is on one account, and the
//! devices hold what the books say.

use crate::bench::customer;
use crate::field::{Field, METERS, field, sale_id, unopened_field};
use meter_sim::{FaultKind, On};
use polymeter_domain::{ClosingId, Currency, CustomerId, Money, SwapId, TakeoverId, TransferId};
use polymeter_ledger::{LedgerError, NewTransfer};
use polymeter_service::{
    Actor, ArrearsEnd, ClosingRequest, ClosingState, FileOf, Keyed, Page, ServiceError, Shelf,
    Swap, SwapRequest, SwapState, TakeoverRequest, Used, Why, meter_credit_account,
};
use uuid::Uuid;

pub fn why(reason: &str) -> Why {
    Why { reason: reason.to_owned(), application: None }
}

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub fn swap_id(number: u128) -> SwapId {
    SwapId::new(Uuid::from_u128(number))
}

pub fn swap(field: &Field) -> SwapRequest {
    SwapRequest {
        old: field.meters[0],
        new: field.meters[1],
        keyed: Keyed::default(),
        new_reading: None,
        accept_excess: false,
        why: why("display broken"),
    }
}

pub fn dead(reading: u64, credit: i64) -> Keyed {
    Keyed { reading: Some(reading), credit: Some(cny(credit)) }
}

/// One customer at the first meter, the second is free; 50.00 sold.
pub async fn one_sold() -> (Field, CustomerId) {
    let field = unopened_field().await;
    let owner = customer(&field.service, "11").await.customer_id;
    let opened = field.service.open_account(field.meters[0], owner, &Actor::System).await;
    opened.expect("the meter opens");
    assert_eq!(field.sell(sale_id(1), 0, 5000).await.state.name(), "confirmed");
    (field, owner)
}

/// Credits less debits of an account, all of it posted.
pub async fn balance(field: &Field, account: &str) -> i64 {
    let sums = field.service.trial_balance().await.expect("sums");
    assert_eq!(sums.difference.minor(), 0);
    let line = sums.lines.iter().find(|line| line.account == account);
    line.map_or(0, |line| {
        assert_eq!((line.debits_pending.minor(), line.credits_pending.minor()), (0, 0));
        line.credits_posted.minor() - line.debits_posted.minor()
    })
}

pub async fn credit(field: &Field, meter: usize) -> i64 {
    balance(field, &meter_credit_account(field.meters[meter])).await
}

pub async fn settled(field: &Field, id: SwapId) -> Swap {
    let swap = field.service.swap(id).await.expect("it");
    if let Some((sale, _)) = swap.sale {
        field.wait(sale).await;
    }
    field.service.swap(id).await.expect("it")
}

#[tokio::test]
async fn a_swap_carries_what_is_left_and_books_what_was_used() {
    let (field, owner) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    let first = service.installations_of_customer(owner).await.expect("a list").remove(0);
    let read = async |used| {
        let counted = service.consumption(first.installation_id).await.expect("it").used;
        assert_eq!(counted, used);
    };
    read(Used::NotRead).await;
    service.read_meter(field.meters[0], &actor).await.expect("a reading");
    read(Used::NotRead).await;
    field.later();
    field.simulator.set_load(METERS[0], 1000).expect("a meter");
    field.simulator.advance(2 * 3600);
    let left = field.truth(0).money_fen;
    assert!(left > 0 && left < 5000, "{left}");

    service.put_swap(swap_id(1), swap(&field), &actor).await.expect("swapped");
    let done = settled(&field, swap_id(1)).await;
    assert!(done.is_done() && done.is_old_cleared, "{done:?}");
    assert_eq!((done.remaining, done.consumed), (cny(left), Some(cny(5000 - left))));
    assert_eq!(field.truth(1).money_fen, left);
    assert_eq!(field.truth(0).money_fen, 0, "not spent twice");
    assert_eq!((credit(&field, 0).await, credit(&field, 1).await), (0, left));
    assert_eq!(balance(&field, "revenue/electricity").await, 5000 - left);
    assert_eq!(balance(&field, "cash").await, -5000);

    // Two installations: what the old one used is not the new one's.
    let installed = service.installations_of_customer(owner).await.expect("a list");
    assert_eq!(installed.len(), 2);
    for it in &installed {
        let used = service.consumption(it.installation_id).await.expect("it").used;
        let is_old = it.meter_id == field.meters[0];
        let expected = if is_old { Used::Known(2000) } else { Used::Known(0) };
        assert_eq!((it.to.is_some(), used), (is_old, expected), "{it:?}");
    }
    let kept = service.file_changes(FileOf::Customer(owner), &Page::default()).await.expect("it");
    assert!(kept.iter().any(|it| it.old == METERS[0] && it.new == METERS[1]), "{kept:?}");

    // The same again is the same; another content is not; the new meter is sold to.
    let again = service.put_swap(swap_id(1), swap(&field), &actor).await.expect("the same");
    assert_eq!(again, done);
    let other = SwapRequest { accept_excess: true, ..swap(&field) };
    let error = service.put_swap(swap_id(1), other, &actor).await;
    assert!(matches!(error, Err(ServiceError::Differs { .. })), "{error:?}");
    assert_eq!(field.sell(sale_id(2), 1, 100).await.state.name(), "confirmed");
    assert_eq!(field.truth(1).money_fen, left + 100);
    assert_eq!(field.truth(1).credits, 2);
}

#[tokio::test]
async fn two_operators_swap_a_meter_once() {
    let (field, _) = one_sold().await;
    let swaps: Vec<_> = (1..=8)
        .map(|number| {
            let (service, request) = (field.service.clone(), swap(&field));
            tokio::spawn(
                async move { service.put_swap(swap_id(number), request, &Actor::System).await },
            )
        })
        .collect();
    let mut done = 0;
    for swap in swaps {
        match swap.await.expect("no panic") {
            Ok(swap) => {
                done += 1;
                settled(&field, swap.swap_id).await;
            }
            Err(ServiceError::Blocked { .. } | ServiceError::NotOpened { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((done, field.truth(1).credits, field.truth(1).money_fen), (1, 1, 5000));
    assert_eq!((credit(&field, 0).await, credit(&field, 1).await), (0, 5000));
}

#[tokio::test]
async fn a_dead_meter_is_swapped_by_what_an_operator_read() {
    let (field, owner) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    let keyed = SwapRequest { keyed: dead(1000, 4000), ..swap(&field) };
    let error = service.put_swap(swap_id(1), keyed.clone(), &actor).await.expect_err("it lives");
    assert!(error.to_string().contains("it answers and holds 50.00 CNY, not 40.00"), "{error}");

    field.fault(0, On::Any, FaultKind::NoReply, 10_000);
    let error = service.put_swap(swap_id(2), swap(&field), &actor).await.expect_err("dead");
    assert!(matches!(error, ServiceError::Device { .. } | ServiceError::Line(_)), "{error:?}");
    let more = SwapRequest { keyed: dead(1000, 5001), ..swap(&field) };
    let error = service.put_swap(swap_id(3), more, &actor).await.expect_err("too much");
    assert!(error.to_string().contains("holds 50.01 CNY, and only 50.00 CNY"), "{error}");
    service.abandon_swap(swap_id(3), "a slip", &actor).await.expect("given up");
    assert_eq!(credit(&field, 0).await, 5000, "nothing was booked");
    // The new meter was opened on the way and stays the customer's: it is bound now.
    let error = service.put_swap(swap_id(4), keyed, &actor).await.expect_err("bound by now");
    assert!(error.to_string().contains("bound to a customer already"), "{error}");
    let _ = owner;
}

#[tokio::test]
async fn a_dead_meters_money_is_carried_and_its_purse_is_not_used_again() {
    let (field, owner) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    field.fault(0, On::Any, FaultKind::NoReply, 10_000);
    let keyed = SwapRequest { keyed: dead(1000, 4000), ..swap(&field) };
    service.put_swap(swap_id(1), keyed, &actor).await.expect("swapped");
    let done = settled(&field, swap_id(1)).await;
    assert!(done.is_done() && !done.is_old_cleared, "{done:?}");
    assert_eq!((credit(&field, 0).await, credit(&field, 1).await), (0, 4000));
    assert_eq!(field.truth(1).money_fen, 4000);
    let error = service.open_account(field.meters[0], owner, &actor).await.expect_err("full");
    assert!(error.to_string().contains("clear it first"), "{error}");
    field.simulator.clear_faults(METERS[0]).expect("a meter");
    service.clear_meter(field.meters[0], why("repaired"), &actor).await.expect("cleared");
    service.open_account(field.meters[0], owner, &actor).await.expect("free again");
    assert_eq!(field.truth(0).money_fen, 0);
}

#[tokio::test]
async fn what_cannot_be_swapped_is_refused_before_anything_changes() {
    let field = field().await;
    let (service, actor) = (&field.service, Actor::System);
    let error = service.put_swap(swap_id(1), swap(&field), &actor).await.expect_err("bound");
    let told = "meter 000000000002: it is bound to a customer already; choose a free one";
    assert_eq!(error.to_string(), told);
    let itself = SwapRequest { new: field.meters[0], ..swap(&field) };
    let error = service.put_swap(swap_id(2), itself, &actor).await;
    assert!(matches!(error, Err(ServiceError::Invalid { .. })));
    assert!(service.swap(swap_id(1)).await.is_err(), "nothing was begun");
}

/// What is on its way into a meter belongs to nobody's settlement yet.
#[tokio::test]
async fn an_unsettled_sale_stands_before_every_act() {
    let (field, owner) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    field.fault(0, On::Any, FaultKind::NoReply, 40);
    field.sell(sale_id(2), 0, 100).await;
    field.simulator.clear_faults(METERS[0]).expect("a meter");
    let error = service.put_swap(swap_id(3), swap(&field), &actor).await;
    assert!(matches!(error, Err(ServiceError::Unsettled { .. })), "{error:?}");
    let error = service.put_closing(closing_id(1), closing(owner), &actor).await;
    assert!(matches!(error, Err(ServiceError::Unsettled { .. })), "{error:?}");
    let to = customer(service, "22").await.customer_id;
    let request = TakeoverRequest {
        from: owner,
        to,
        meters: vec![(field.meters[0], Some(0))],
        takes_arrears_over: false,
        why: why("flat sold"),
    };
    let error = service.put_takeover(TakeoverId::new(Uuid::from_u128(1)), request, &actor).await;
    assert!(matches!(error, Err(ServiceError::Unsettled { .. })), "{error:?}");
}

#[tokio::test]
async fn money_that_the_new_meter_refused_is_carried_by_another_sale() {
    let (field, _) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    field.fault(1, On::Sell, FaultKind::Refuse { word: 0x0004 }, 1);
    service.put_swap(swap_id(1), swap(&field), &actor).await.expect("switched");
    let stuck = settled(&field, swap_id(1)).await;
    assert!(stuck.waits_for_money() && !stuck.is_done(), "{stuck:?}");
    assert_eq!((credit(&field, 0).await, credit(&field, 1).await), (5000, 0), "back");
    service.continue_swap(swap_id(1), &actor).await.expect("again");
    let done = settled(&field, swap_id(1)).await;
    assert!(done.is_done(), "{done:?}");
    service.continue_swap(swap_id(1), &actor).await.expect("nothing more");
    assert_eq!((credit(&field, 0).await, credit(&field, 1).await), (0, 5000));
    assert_eq!((field.truth(1).credits, field.truth(1).money_fen), (1, 5000));
}

#[tokio::test]
async fn a_swap_begun_blocks_sales_and_is_abandoned() {
    let (field, _) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    field.fault(1, On::Any, FaultKind::NoReply, 10_000);
    assert!(service.put_swap(swap_id(1), swap(&field), &actor).await.is_err(), "the new is silent");
    assert_eq!(service.swap(swap_id(1)).await.expect("begun").state, SwapState::Begun);
    let error = service.put_sale(sale_id(2), field.request(0, 100), &actor).await;
    assert!(error.expect_err("held").to_string().contains("it is being swapped"));
    service.abandon_swap(swap_id(1), "the new one is broken", &actor).await.expect("given up");
    assert_eq!(field.sell(sale_id(3), 0, 100).await.state.name(), "confirmed");
    assert!(service.continue_swap(swap_id(1), &actor).await.is_err());
    assert_eq!(credit(&field, 0).await, 5100);
}

#[tokio::test]
async fn money_of_another_system_is_brought_in_once() {
    let (field, _) = one_sold().await;
    let (service, actor, meter) = (&field.service, Actor::System, field.meters[0]);
    let sale = service.bring_in(sale_id(5), meter, cny(777), "old mechanical meter", &actor);
    assert_eq!(sale.await.expect("reserved").paid, cny(777));
    assert_eq!(field.wait(sale_id(5)).await.state.name(), "confirmed");
    service.bring_in(sale_id(5), meter, cny(777), "again", &actor).await.expect("the same");
    let error = service.bring_in(sale_id(6), meter, cny(1), "more", &actor).await;
    assert!(error.expect_err("once").to_string().contains("already"));
    assert_eq!(balance(&field, "brought-in").await, -777);
    assert_eq!((credit(&field, 0).await, field.truth(0).money_fen), (5777, 5777));
}

/// As counter and billing will do it: somebody owes.
pub async fn owes(field: &Field, customer: CustomerId, minor: i64) {
    field
        .database
        .write(move |tx| {
            Box::pin(async move {
                let debit = format!("arrears/{customer}");
                let debit = polymeter_ledger::account(tx, &debit, Currency::CNY, 0).await?;
                let credit = "revenue/electricity";
                let credit = polymeter_ledger::account(tx, credit, Currency::CNY, 0).await?;
                let new = NewTransfer {
                    transfer_id: TransferId::new(Uuid::from_u128(99)),
                    debit,
                    credit,
                    amount: cny(minor),
                    reference: Uuid::from_u128(98),
                    at_ms: 0,
                };
                polymeter_ledger::book(tx, &new).await?;
                sqlx::query(
                    "insert into customer_standing
                         (customer_id, arrears_minor, deposit_minor, currency)
                     values ($1, $2, 0, 'CNY')",
                )
                .bind(customer.to_string())
                .bind(minor)
                .execute(tx.connection())
                .await
                .expect("a row");
                Ok::<_, LedgerError>(())
            })
        })
        .await
        .expect("booked");
}

#[tokio::test]
async fn meters_go_to_another_customer_with_their_money_and_the_arrears() {
    let (field, from) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    let to = customer(service, "22").await.customer_id;
    owes(&field, from, 300).await;
    let request = TakeoverRequest {
        from,
        to,
        meters: Vec::new(),
        takes_arrears_over: false,
        why: why("flat sold"),
    };
    let id = TakeoverId::new(Uuid::from_u128(1));
    let error = service.put_takeover(id, request.clone(), &actor).await.expect_err("owed");
    assert!(error.to_string().contains("3.00 CNY are owed"), "{error}");
    let request = TakeoverRequest { takes_arrears_over: true, ..request };
    let done = service.put_takeover(id, request.clone(), &actor).await.expect("handed over");
    assert_eq!(done.arrears, cny(300));
    assert_eq!(service.put_takeover(id, request, &actor).await.expect("the same"), done);
    assert_eq!(balance(&field, &format!("arrears/{from}")).await, 0);
    assert_eq!(balance(&field, &format!("arrears/{to}")).await, -300);
    assert_eq!(credit(&field, 0).await, 5000, "the money went along");
    for of in [from, to] {
        let kept = service.file_changes(FileOf::Customer(of), &Page::default()).await.expect("it");
        assert!(kept.iter().any(|it| it.field == "owner" && it.reason == "flat sold"), "{kept:?}");
    }
    // This device keeps the number that it has, and is sold to by it.
    let installed = service.installations_of_meter(field.meters[0]).await.expect("a list");
    let lasting = installed.iter().find(|it| it.to.is_none()).expect("one lasts");
    assert_eq!((lasting.customer_id, lasting.number_in_device.as_str()), (to, "11"));
    let sale = field.sell(sale_id(7), 0, 100).await;
    assert_eq!((sale.state.name(), sale.customer_id), ("confirmed", to));
}

pub fn closing_id(number: u128) -> ClosingId {
    ClosingId::new(Uuid::from_u128(number))
}

pub fn closing(customer: CustomerId) -> ClosingRequest {
    ClosingRequest {
        customer,
        keyed: Vec::new(),
        without_clearing: false,
        arrears: ArrearsEnd::None,
        why: why("moves away"),
    }
}

#[tokio::test]
async fn closing_empties_every_meter_pays_out_and_archives() {
    let (field, owner) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    service.open_account(field.meters[1], owner, &actor).await.expect("a second meter");
    field.sell(sale_id(2), 1, 700).await;
    owes(&field, owner, 300).await;
    let preview = service.preview_closing(&closing(owner), &actor).await.expect("a dry run");
    assert_eq!((preview.refunded, preview.recovered), (cny(5400), cny(300)));
    assert_eq!(balance(&field, "cash").await, -5700, "nothing was booked");

    let id = closing_id(1);
    let done = service.put_closing(id, closing(owner), &actor).await.expect("closed");
    assert_eq!(done.state, ClosingState::Settled);
    assert_eq!((done.refunded, done.recovered), (Some(cny(5400)), Some(cny(300))));
    assert_eq!(service.put_closing(id, closing(owner), &actor).await.expect("the same"), done);
    assert_eq!((field.truth(0).money_fen, field.truth(1).money_fen), (0, 0));
    assert_eq!(balance(&field, "cash").await, -300);
    assert_eq!(balance(&field, &format!("arrears/{owner}")).await, 0);
    assert_eq!((credit(&field, 0).await, credit(&field, 1).await), (0, 0));

    let page = Page::default();
    assert!(service.customers(&page).await.expect("current").is_empty());
    let archived = service.customers_of(&page, Shelf::Archive).await.expect("the archive");
    assert!(archived.len() == 1 && archived[0].closed_at.is_some());
    assert_eq!(service.closings(&page).await.expect("closings"), [done]);
    let error = service.open_account(field.meters[0], owner, &actor).await.expect_err("closed");
    assert!(error.to_string().contains("its file is in the archive"), "{error}");
    let next = customer(service, "33").await.customer_id;
    service.open_account(field.meters[0], next, &actor).await.expect("an emptied meter is free");
}

#[tokio::test]
async fn closing_at_a_silent_meter_waits_and_pays_nothing() {
    let (field, owner) = one_sold().await;
    let (service, actor) = (&field.service, Actor::System);
    field.fault(0, On::Clear, FaultKind::Refuse { word: 0x0001 }, 1);
    let error = service.put_closing(closing_id(1), closing(owner), &actor).await;
    assert!(matches!(error, Err(ServiceError::Refused { .. })), "{error:?}");
    assert_eq!(balance(&field, "cash").await, -5000);
    let error = service.put_sale(sale_id(2), field.request(0, 100), &actor).await;
    assert!(error.expect_err("held").to_string().contains("is being closed"));
    let done = service.continue_closing(closing_id(1), &actor).await.expect("it says yes now");
    assert_eq!((done.state, done.refunded), (ClosingState::Settled, Some(cny(5000))));
    assert_eq!((balance(&field, "cash").await, field.truth(0).money_fen), (0, 0));
}

/// A new meter is no new household: the steps go on where the old meter was, and what was carried over is
/// not counted twice.
#[tokio::test]
async fn the_steps_of_a_tariff_go_on_over_a_swap() {
    let field = unopened_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let definition = "unit kWh\nsteps monthly\nprice to 100: 0.50\nprice beyond: 1.00\n";
    let steps = crate::bench::by(&crate::bench::plan(service, "Steps", definition).await);
    for meter in &field.meters {
        service.assign_plan(*meter, steps, &actor).await.expect("assigned");
    }
    let owner = customer(service, "11").await.customer_id;
    service.open_account(field.meters[0], owner, &actor).await.expect("the meter opens");
    // 80 kWh of the first step.
    assert_eq!(field.sell(sale_id(1), 0, 4000).await.state.name(), "confirmed");
    service.put_swap(swap_id(1), swap(&field), &actor).await.expect("swapped");
    assert!(settled(&field, swap_id(1)).await.is_done());
    // 20 kWh more of it, and 10 of the second.
    field.sell(sale_id(2), 1, 2000).await;
    let explained = service.explain_sale(sale_id(2)).await.expect("kept");
    assert_eq!((explained.bought.before, explained.bought.billed), (80_000, 30_000));
}
