//! Sales end to end: what is refused before money moves, and what every fault on the line makes of a
//! sale. After each one, debits equal credits and the ledger has what the meter took.

use crate::bench::customer;
use crate::field::{field, sale_id, states, unopened_field};
use meter_sim::{FaultKind, On};
use polymeter_domain::Sale;
use polymeter_domain::sale::Decision;
use polymeter_service::{Actor, Page, ServiceError};

#[tokio::test]
async fn a_sale_is_confirmed_and_posted_once_for_one_id() {
    let field = field().await;
    let id = sale_id(1);
    let puts: Vec<_> = (0..20)
        .map(|_| {
            let (service, request) = (field.service.clone(), field.request(0, 5000));
            tokio::spawn(async move { service.put_sale(id, request, &Actor::System).await })
        })
        .collect();
    for put in puts {
        put.await.expect("no panic").expect("the same sale");
    }
    let sale = field.wait(id).await;
    assert_eq!(states(&sale), ["quoted", "reserved", "dispatched", "confirmed"]);
    assert_eq!((sale.bought, sale.settled_at.is_some()), (96_153, true));
    let kinds: Vec<_> = sale.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, ["pending", "post"]);
    let truth = field.truth(0);
    assert_eq!((truth.credits, truth.credited_fen, truth.sell_frames), (1, 5000, 1));
    field.check_money().await;

    let again = field.sell(id, 0, 5000).await;
    assert_eq!(again, sale);
    for (meter, minor) in [(0, 5001), (1, 5000)] {
        let request = field.request(meter, minor);
        let error = field.service.put_sale(id, request, &Actor::System).await.expect_err("other");
        assert!(matches!(error, ServiceError::SaleDiffers { .. }), "{error}");
    }
    let second = field.sell(sale_id(2), 0, 100).await;
    assert_eq!(second.state.name(), "confirmed");
    let page = Page { limit: 1, ..Page::default() };
    let newest = field.service.sales(field.meters[0], &page).await.expect("a list");
    let page = Page { after: Some(newest[0].sale_id.to_string()), ..Page::default() };
    let oldest = field.service.sales(field.meters[0], &page).await.expect("a list");
    assert_eq!((newest[0].sale_id, oldest.len()), (sale_id(2), 1));
    field.check_money().await;
}

#[tokio::test]
async fn what_cannot_be_sold_is_refused_before_money_moves() {
    let field = unopened_field().await;
    let put = async |meter, minor| {
        let request = field.request(meter, minor);
        let put = field.service.put_sale(sale_id(1), request, &Actor::System).await;
        put.expect_err("refused").to_string()
    };
    assert_eq!(put(0, 0).await, "0.00 cannot be sold: it must be above zero");
    assert_eq!(put(0, -1).await, "-0.01 cannot be sold: it must be above zero");
    let most = "1000000.01 cannot be sold: one sale is at most 1000000.00";
    assert_eq!(put(0, 100_000_001).await, most);
    assert_eq!(put(0, 100).await, "meter 000000000001 has no open account");
    let balance = field.service.trial_balance().await.expect("sums");
    assert_eq!(balance.lines, []);
    assert_eq!(field.truth(0).requests, 0);
}

#[tokio::test]
async fn every_fault_ends_as_the_meters_own_record_says() {
    use FaultKind::{CutRequest, LostAfterApply, NoReply, Refuse};
    let field = field().await;
    let mut number = 10;
    let mut check = async |on, kind: FaultKind, times, history: &[&str], credits| {
        number += 1;
        let before = field.truth(0).credits;
        field.fault(0, on, kind.clone(), times);
        let sale = field.sell(sale_id(number), 0, 100).await;
        assert_eq!(states(&sale)[2..], *history, "{kind:?}: {:#?}", sale.history);
        assert_eq!(field.truth(0).credits - before, credits, "{kind:?}");
        field.simulator.clear_faults("000000000001").expect("a meter");
        field.check_money().await;
        sale
    };
    // Applied, and the reply lost: proved by the record, never sent again.
    let proved = ["dispatched", "unresolved", "confirmed"];
    check(On::Sell, LostAfterApply, 1, &proved, 1).await;
    // Never arrived: the record says so, and the second attempt lands.
    let twice = ["dispatched", "unresolved", "reserved", "dispatched", "confirmed"];
    check(On::Sell, CutRequest { keep_bytes: 20 }, 1, &twice, 1).await;
    // The meter says no.
    check(On::Sell, Refuse { word: 0x0004 }, 1, &["dispatched", "refused"], 0).await;
    // Silent before anything was dispatched: it stays reserved, with the reason.
    let sale = check(On::Any, NoReply, 40, &["reserved"], 0).await;
    assert_eq!(sale.state, Sale::Reserved);
    field.service.cancel_sale(sale.sale_id, &Actor::System).await.expect("nothing under way");
    field.check_money().await;
}

#[tokio::test]
async fn a_meter_that_falls_silent_leaves_the_sale_unresolved_for_a_person() {
    let field = field().await;
    let (id, actor) = (sale_id(1), Actor::System);
    field.fault(0, On::Sell, FaultKind::NoReply, 1);
    // Two checks pass: one before the sale and, in the same call, the driver's own.
    let silent = meter_sim::Fault::new(On::Check, FaultKind::NoReply).times(40).skip(1);
    field.simulator.fault("000000000001", silent).expect("a fault");
    let sale = field.sell(id, 0, 100).await;
    assert_eq!(sale.state.name(), "unresolved", "{:#?}", sale.history);

    let request = field.request(0, 100);
    let error = field.service.put_sale(sale_id(2), request, &actor).await.expect_err("unsettled");
    assert!(matches!(error, ServiceError::Unsettled { sale_id, .. } if sale_id == id), "{error}");
    let error = field.service.cancel_sale(id, &actor).await.expect_err("it may be in the meter");
    assert_eq!(error.to_string(), format!("sale {id} is unresolved and cannot be cancelled"));
    let error = field.service.reconcile_sale(id, &actor).await.expect_err("silent");
    assert!(matches!(error, ServiceError::Device { .. }), "{error}");
    let decided = field.service.decide_sale(id, Decision::NotApplied, " ", &actor).await;
    assert!(matches!(decided, Err(ServiceError::Invalid { field: "reason", .. })));

    field.simulator.clear_faults("000000000001").expect("a meter");
    let sale = field.service.reconcile_sale(id, &actor).await.expect("the meter answers");
    assert_eq!(sale.state, Sale::Reserved);
    field.service.deliver_sale(id, &actor).await.expect("reserved");
    assert_eq!(field.wait(id).await.state.name(), "confirmed");
    assert_eq!(field.truth(0).credits, 1);
    field.check_money().await;
}

#[tokio::test]
async fn an_operators_decision_is_kept_with_its_reason() {
    let field = field().await;
    let (id, actor) = (sale_id(1), Actor::System);
    field.fault(0, On::Sell, FaultKind::NoReply, 1);
    let silent = meter_sim::Fault::new(On::Check, FaultKind::NoReply).times(40).skip(1);
    field.simulator.fault("000000000001", silent).expect("a fault");
    field.sell(id, 0, 100).await;
    let decision = Decision::NotApplied;
    let sale = field.service.decide_sale(id, decision, "display shows 0", &actor).await;
    let sale = sale.expect("unresolved");
    assert_eq!(sale.state.name(), "refused");
    assert_eq!(sale.entries.last().map(|entry| entry.kind), Some("void"));
    let again = field.service.decide_sale(id, decision, "again", &actor).await;
    assert!(matches!(again, Err(ServiceError::OutOfOrder { .. })));
    let trail = field.service.audit_trail(None, &Page::default()).await.expect("the trail");
    assert!(trail.iter().any(|entry| entry.act == "sale-decided"
        && entry.detail == "decided as not applied: display shows 0"));
    field.check_money().await;
}

#[tokio::test]
async fn an_account_belongs_to_one_customer() {
    let field = field().await;
    let meter = field.service.meter(field.meters[0]).await.expect("a meter");
    let owner = meter.customer.expect("bound").customer_id;
    let opened = field.truth(0).open_frames;
    field.service.open_account(field.meters[0], owner, &Actor::System).await.expect("the same");
    assert_eq!(field.truth(0).open_frames, opened, "nothing more is sent");
    let rival = customer(&field.service, "33").await.customer_id;
    let error = field.service.open_account(field.meters[0], rival, &Actor::System).await;
    assert!(matches!(error, Err(ServiceError::Exists { .. })));
}

#[tokio::test]
async fn a_reading_is_kept_whole() {
    let field = field().await;
    let reading = field.service.read_meter(field.meters[0], &Actor::System).await.expect("a read");
    assert!(!reading.snapshot.measurements.is_empty());
    let stored = field.service.readings(field.meters[0], &Page::default()).await.expect("a list");
    assert_eq!(stored, std::slice::from_ref(&reading));
    let meter = field.service.meter(field.meters[0]).await.expect("a meter");
    assert_eq!(meter.supply, reading.snapshot.supply);
    assert_eq!(meter.last_reading, Some(reading));
}

#[tokio::test]
async fn resuming_settles_what_was_cut_off() {
    let mut field = field().await;
    for (number, meter) in [(1, 0), (2, 1)] {
        field.fault(meter, On::Any, FaultKind::NoReply, 40);
        let sale = field.sell(sale_id(number), meter, 100).await;
        assert_eq!(sale.state, Sale::Reserved);
    }
    // As if the process had died right after this was stored, before a byte left.
    field
        .database
        .write(|tx| {
            Box::pin(async move {
                sqlx::query(
                    "update sale set state = 'dispatched', purchase_count = 1 where sale_id = $1",
                )
                .bind(sale_id(1).to_string())
                .execute(tx.connection())
                .await
                .expect("a column");
                Ok::<_, polymeter_ledger::LedgerError>(())
            })
        })
        .await
        .expect("stored");
    for meter in crate::field::METERS {
        field.simulator.clear_faults(meter).expect("a meter");
    }
    field.restart().await;
    let resumed = field.service.resume().await.expect("resumed");
    let resumed: Vec<_> = resumed.iter().map(states).collect();
    let cut_off = ["unresolved", "reserved", "dispatched", "confirmed"];
    assert_eq!(resumed[0][3..], cut_off, "{resumed:?}");
    assert_eq!(resumed[1][3..], ["dispatched", "confirmed"], "{resumed:?}");
    assert_eq!((field.truth(0).credits, field.truth(1).credits), (1, 1));
    field.check_money().await;
}

#[tokio::test]
async fn what_was_sold_cannot_be_rewritten() {
    let field = field().await;
    field.sell(sale_id(1), 0, 100).await;
    for sql in [
        "update sale set state = 'cancelled'",
        "delete from sale",
        "update sale_event set detail = 'x'",
        "delete from sale_event",
        "delete from customer",
    ] {
        let refused = crate::bench::tamper(&field.database, sql).await;
        assert!(refused.is_err(), "{sql}");
    }
}
