//! The counter: receipts without gaps, channels, shifts that close by a count.

use crate::bench::{office, tamper};
use crate::field::{Field, field, sale_id};
use meter_sim::{FaultKind, On};
use polymeter_domain::{Channel, Currency, Money, OperatorId, ShiftId};
use polymeter_service::{Actor, Page, Rules, Run, SaleRequest, ServiceError};
use uuid::Uuid;

pub fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub fn operator(number: u128) -> (OperatorId, Actor) {
    let id = OperatorId::new(Uuid::from_u128(number));
    (id, Actor::Operator(id))
}

fn shift_id(number: u128) -> ShiftId {
    ShiftId::new(Uuid::from_u128(number))
}

/// Both sides of an account, posted.
pub async fn posted(field: &Field, account: &str) -> (i64, i64) {
    let balance = field.service.trial_balance().await.expect("sums");
    assert_eq!(balance.difference.minor(), 0);
    let line = balance.lines.iter().find(|line| line.account == account);
    line.map_or((0, 0), |line| (line.debits_posted.minor(), line.credits_posted.minor()))
}

async fn sell(field: &Field, number: u128, channel: Channel, minor: i64, actor: &Actor) -> String {
    let request = SaleRequest { channel, ..field.request(0, minor) };
    field.service.put_sale(sale_id(number), request, actor).await.expect("a sale");
    field.wait(sale_id(number)).await.state.name().to_owned()
}

#[tokio::test]
async fn receipts_are_numbered_without_gaps() {
    let field = field().await;
    let (_, actor) = operator(1);
    assert_eq!(sell(&field, 1, Channel::Cash, 5000, &actor).await, "confirmed");
    // What came to nothing takes no number.
    field.fault(0, On::Sell, FaultKind::Refuse { word: 0x0004 }, 1);
    assert_eq!(sell(&field, 2, Channel::Cash, 100, &actor).await, "refused");
    assert_eq!(sell(&field, 3, Channel::Alipay, 700, &actor).await, "confirmed");

    let receipts = field.service.receipts(None, &Page::default()).await.expect("a list");
    let told: Vec<_> = receipts.iter().map(|it| (it.number, it.channel, it.amount)).collect();
    assert_eq!(told, [(2, Channel::Alipay, cny(700)), (1, Channel::Cash, cny(5000))]);
    let sale = field.service.sale(sale_id(3)).await.expect("a sale");
    assert_eq!((sale.receipt, sale.channel), (Some(2), Channel::Alipay));
    assert_eq!(posted(&field, "channel/alipay").await, (700, 0));
    assert_eq!(posted(&field, "cash").await, (5000, 0));
    let lines = &receipts[1].lines;
    let text = |label: &str| lines.iter().find(|it| it.label == label).map(|it| it.text.as_str());
    assert_eq!(text("Customer number"), Some("11"));
    assert_eq!((text("Paid"), text("Bought")), (Some("50.00 CNY"), Some("96.153 kWh")));
    assert_eq!(text("Purchase count"), Some("1"));

    // The database itself keeps the order.
    for sql in [
        "update receipt set amount_minor = 1 where number = 1",
        "delete from receipt where number = 2",
        "insert into receipt select 9, kind, 'x', null, null, null, channel, 1, currency, lines, 0
         from receipt where number = 1",
        "insert into receipt select 3, kind, reference, null, null, null, channel, 1, currency,
                lines, 0 from receipt where number = 1",
    ] {
        assert!(tamper(&field.database, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_second_print_is_a_copy_and_is_in_the_trail() {
    let field = field().await;
    let (_, actor) = operator(1);
    sell(&field, 1, Channel::Cash, 5000, &actor).await;
    for copy in [0, 1, 2] {
        assert_eq!(field.service.print_receipt(1, &actor).await.expect("printed"), copy);
    }
    assert_eq!(field.service.receipt(1).await.expect("a receipt").prints, 3);
    let trail = field.service.audit_trail(None, &Page::default()).await.expect("the trail");
    let prints: Vec<_> = trail
        .iter()
        .filter(|entry| entry.object == "receipt/1")
        .map(|entry| (entry.act.as_str(), entry.detail.as_str(), entry.actor == actor))
        .collect();
    let again = "receipt-reprinted";
    assert_eq!(
        prints,
        [(again, "copy 2", true), (again, "copy 1", true), ("receipt-printed", "", true)]
    );
    let error = field.service.print_receipt(2, &actor).await.expect_err("none");
    assert_eq!(error.to_string(), "no receipt 2");
    assert!(field.service.receipt(u64::MAX).await.is_err());
}

#[tokio::test]
async fn a_shift_closes_by_its_count() {
    let field = field().await;
    let (id, (who, actor)) = (shift_id(1), operator(1));
    let service = &field.service;
    let opened = service.open_shift(id, cny(20_000), &actor).await.expect("opened");
    assert_eq!(service.open_shift(id, cny(20_000), &actor).await.expect("the same"), opened);
    let other = service.open_shift(id, cny(1), &actor).await.expect_err("other content");
    assert!(matches!(other, ServiceError::Differs { .. }), "{other}");
    let second = service.open_shift(shift_id(2), cny(0), &actor).await.expect_err("one at a time");
    assert!(matches!(second, ServiceError::Exists { .. }), "{second}");

    sell(&field, 1, Channel::Cash, 5000, &actor).await;
    sell(&field, 2, Channel::Wechat, 900, &actor).await;
    sell(&field, 3, Channel::Cash, 333, &operator(2).1).await;
    field.fault(0, On::Sell, FaultKind::Refuse { word: 0x0004 }, 1);
    sell(&field, 4, Channel::Cash, 700, &actor).await;
    let shift = service.current_shift(who).await.expect("asked").expect("open");
    let told: Vec<_> = shift
        .channels
        .iter()
        .map(|it| (it.channel, it.takings, it.taken.minor(), it.given_back.minor()))
        .collect();
    assert_eq!(told, [(Channel::Cash, 2, 5700, 700), (Channel::Wechat, 1, 900, 0)]);
    assert_eq!(shift.expected, cny(25_000));
    let close_day = async || service.close_day(None, |_| Ok("signed".to_owned()), &actor).await;
    let early = close_day().await.expect_err("a shift is open").to_string();
    assert_eq!(early, format!("day {}: 1 of its shifts are open; close them first", shift.day));

    let dry = service.close_shift(id, cny(24_990), "", Run::Dry, &actor).await.expect("dry");
    assert_eq!(dry.closed.expect("as if").difference, cny(-10));
    assert_eq!(service.shift(id).await.expect("a shift"), shift, "nothing was stored");
    let closed = service.close_shift(id, cny(24_990), "a coin", Run::Real, &actor).await;
    let closed = closed.expect("closed");
    assert_eq!(closed.closed.as_ref().expect("closed").difference, cny(-10));
    assert_eq!(posted(&field, "shift-difference").await, (10, 0));
    let again = service.close_shift(id, cny(24_990), "a coin", Run::Real, &actor).await;
    assert_eq!(again.expect("the same"), closed);
    assert_eq!(posted(&field, "shift-difference").await, (10, 0), "booked once");
    let other = service.close_shift(id, cny(25_000), "", Run::Real, &actor).await;
    assert!(matches!(other, Err(ServiceError::WrongState { .. })));
    // More than expected goes the other way.
    service.open_shift(shift_id(3), cny(0), &actor).await.expect("the next");
    service.close_shift(shift_id(3), cny(3), "", Run::Real, &actor).await.expect("closed");
    assert_eq!(posted(&field, "shift-difference").await, (10, 3));
    close_day().await.expect("every shift is closed");
    for sql in ["update shift set note = 'x'", "delete from shift", "delete from shift_entry"] {
        assert!(tamper(&field.database, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn money_of_a_closed_shift_is_given_back_by_whoever_decides() {
    let field = field().await;
    let ((_, first), (_, second)) = (operator(1), operator(2));
    let service = &field.service;
    service.open_shift(shift_id(1), cny(0), &first).await.expect("opened");
    field.fault(0, On::Any, FaultKind::NoReply, 40);
    assert_eq!(sell(&field, 1, Channel::Cash, 500, &first).await, "reserved");
    field.simulator.clear_faults("000000000001").expect("a meter");
    service.close_shift(shift_id(1), cny(500), "", Run::Real, &first).await.expect("closed");
    service.open_shift(shift_id(2), cny(1000), &second).await.expect("opened");
    service.cancel_sale(sale_id(1), &second).await.expect("cancelled");
    assert_eq!(service.shift(shift_id(2)).await.expect("a shift").expected, cny(500));
    assert_eq!(service.shift(shift_id(1)).await.expect("a shift").expected, cny(500));
    assert_eq!(posted(&field, "cash").await, (0, 0));
}

#[tokio::test]
async fn a_site_can_want_a_shift_for_cash() {
    let mut field = field().await;
    field.rule(Rules { cash_needs_shift: true, ..Rules::default() }).await;
    let (_, actor) = operator(1);
    let put = field.service.put_sale(sale_id(1), field.request(0, 100), &actor).await;
    let error = put.expect_err("no shift");
    assert_eq!(error.to_string(), "cash is taken and given in a shift only: open one first");
    assert_eq!(sell(&field, 1, Channel::Bank, 100, &actor).await, "confirmed");
    field.service.open_shift(shift_id(1), cny(0), &actor).await.expect("opened");
    assert_eq!(sell(&field, 2, Channel::Cash, 100, &actor).await, "confirmed");
}

#[tokio::test]
async fn a_float_is_an_amount_of_this_system() {
    let office = office().await;
    let service = &office.service;
    let (_, actor) = operator(1);
    for minor in [-1, i64::MIN, i64::MAX] {
        let opened = service.open_shift(shift_id(1), cny(minor), &actor).await;
        assert!(matches!(opened, Err(ServiceError::Invalid { field: "float", .. })), "{minor}");
    }
    let nobody = service.open_shift(shift_id(1), cny(0), &Actor::System).await;
    assert!(matches!(nobody, Err(ServiceError::Invalid { field: "operator", .. })));
    assert!(matches!(service.shift(shift_id(1)).await, Err(ServiceError::NotFound { .. })));
}
