//! What of a payment buys nothing, and what is given on top: linked transfers of one sale, shown in its
//! arithmetic, taken back with it.

use crate::bench::{by, plan};
use crate::counter::{cny, operator, posted};
use crate::field::{Field, field, sale_id};
use meter_sim::{FaultKind, On};
use polymeter_domain::{CounterActId, Money};
use polymeter_service::{
    ActKind, ActRequest, Actor, Rerun, Rules, SaleRequest, SaleView, ServiceError, Subject,
};
use uuid::Uuid;

/// The customer of the first meter owes this much from before.
async fn owing(field: &Field, minor: i64) {
    let subject = Subject::Customer(field.owner(0).await, cny(minor));
    let reason = "old book".to_owned();
    let request = ActRequest { kind: ActKind::Arrears, subject, channel: None, reason };
    let id = CounterActId::new(Uuid::from_u128(5000));
    field.service.put_act(id, request, &operator(1).1).await.expect("written down");
}

async fn owed(field: &Field) -> i64 {
    let standing = field.service.standing(field.owner(0).await).await.expect("sums");
    standing.arrears.minor()
}

async fn sell(field: &Field, number: u128, minor: i64, gift: Option<Money>) -> SaleView {
    let request = SaleRequest { gift, ..field.request(0, minor) };
    field.service.put_sale(sale_id(number), request, &operator(1).1).await.expect("a sale");
    field.wait(sale_id(number)).await
}

fn sharing(percent: u32) -> Rules {
    Rules { arrears_share_percent: percent, gift_max: Some(cny(1000)), ..Rules::default() }
}

#[tokio::test]
async fn arrears_are_recovered_as_a_share_of_each_sale() {
    let mut field = field().await;
    field.rule(sharing(30)).await;
    owing(&field, 2_000).await;
    let quoted = field.service.quote(field.meters[0], cny(5_000)).await.expect("a quote");
    assert_eq!((quoted.deductions.arrears, quoted.bought.paid), (cny(1_500), cny(3_500)));

    let sale = sell(&field, 1, 5_000, None).await;
    assert_eq!(sale.state.name(), "confirmed", "{:#?}", sale.history);
    assert_eq!((sale.paid, sale.deductions.arrears), (cny(5_000), cny(1_500)));
    assert_eq!(sale.bought, quoted.bought.billed);
    let kinds: Vec<_> = sale.entries.iter().map(|it| (it.kind, it.amount.minor())).collect();
    assert_eq!(kinds, [("pending", 3_500), ("pending", 1_500), ("post", 3_500), ("post", 1_500)]);
    assert_eq!((owed(&field).await, field.truth(0).credited_fen), (500, 3_500));
    assert_eq!(posted(&field, "cash").await, (5_000, 0));
    let account = format!("arrears/{}", field.owner(0).await);
    assert_eq!(posted(&field, &account).await, (2_000, 1_500));
    // The arithmetic comes out again.
    let explained = field.service.explain_sale(sale_id(1)).await.expect("kept");
    assert_eq!((explained.rerun, explained.bought.paid), (Rerun::Same, cny(3_500)));
    let receipt = field.service.receipt(1).await.expect("a receipt");
    assert!(receipt.lines.iter().any(|it| it.chinese == "补缴欠费" && it.text == "15.00 CNY"));

    // What is left of the debt, and then nothing more.
    assert_eq!(sell(&field, 2, 5_000, None).await.deductions.arrears, cny(500));
    assert_eq!(sell(&field, 3, 5_000, None).await.deductions.arrears, cny(0));
    assert_eq!(owed(&field).await, 0);
    field.check_money().await;
}

#[tokio::test]
async fn a_debt_that_a_refused_sale_would_have_paid_is_owed_again() {
    let mut field = field().await;
    field.rule(sharing(50)).await;
    owing(&field, 2_000).await;
    field.fault(0, On::Sell, FaultKind::Refuse { word: 0x0004 }, 1);
    let sale = sell(&field, 1, 1_000, None).await;
    assert_eq!((sale.state.name(), owed(&field).await), ("refused", 2_000));
    let kinds: Vec<_> = sale.entries.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["pending", "pending", "void", "void"]);
    // While a sale is open, its share is nobody else's to pay.
    field.fault(0, On::Any, FaultKind::NoReply, 40);
    assert_eq!(sell(&field, 2, 3_000, None).await.state.name(), "reserved");
    assert_eq!(owed(&field).await, 500);
    field.service.cancel_sale(sale_id(2), &Actor::System).await.expect("cancelled");
    assert_eq!(owed(&field).await, 2_000);
    field.check_money().await;
}

#[tokio::test]
async fn a_monthly_fee_comes_with_the_first_sale_of_the_month() {
    let mut field = field().await;
    field.rule(sharing(0)).await;
    let (service, meter) = (&field.service, field.meters[0]);
    let fee = plan(service, "Fee", "unit kWh\nprice 0.50\nfee 10.00\ntax added 13%\n").await;
    service.assign_plan(meter, by(&fee), &Actor::System).await.expect("it can be sold");
    let put = service.put_sale(sale_id(1), field.request(0, 1_130), &Actor::System).await;
    let why = put.expect_err("nothing left").to_string();
    let left = "by Fee: 11.30 is the fee of this month: nothing is left to buy";
    assert!(why.ends_with(left), "{why}");
    // Charged by a sale that came to nothing: due again.
    field.fault(0, On::Sell, FaultKind::Refuse { word: 0x0004 }, 1);
    let refused = sell(&field, 1, 5_000, None).await;
    assert_eq!((refused.state.name(), refused.deductions.fee), ("refused", cny(1_130)));
    let first = sell(&field, 2, 5_000, None).await;
    assert_eq!((first.deductions.fee, first.state.name()), (cny(1_130), "confirmed"));
    assert_eq!(sell(&field, 3, 5_000, None).await.deductions.fee, cny(0));
    assert_eq!(posted(&field, "fee/monthly").await, (0, 1_130));
    assert_eq!(field.truth(0).credited_fen, 3_870 + 5_000);
    field.check_money().await;
}

#[tokio::test]
async fn a_gift_is_credit_that_nobody_paid() {
    let mut field = field().await;
    let service = field.service.clone();
    let gift = |minor| SaleRequest { gift: Some(cny(minor)), ..field.request(0, 1_000) };
    let put = async |request| {
        let put = service.put_sale(sale_id(1), request, &Actor::System).await;
        assert!(matches!(put, Err(ServiceError::Invalid { field: "gift", .. })), "{put:?}");
    };
    put(gift(1)).await;
    field.rule(sharing(0)).await;
    let service = field.service.clone();
    let refused = async |minor| {
        let request = SaleRequest { gift: Some(cny(minor)), ..field.request(0, 1_000) };
        let put = service.put_sale(sale_id(1), request, &Actor::System).await;
        assert!(matches!(put, Err(ServiceError::Invalid { field: "gift", .. })), "{minor}");
    };
    for minor in [0, -1, 1_001, i64::MAX, i64::MIN] {
        refused(minor).await;
    }
    let sale = sell(&field, 1, 1_000, Some(cny(200))).await;
    assert_eq!(sale.state.name(), "confirmed");
    assert_eq!((posted(&field, "gift").await, field.truth(0).credited_fen), ((200, 0), 1_200));
    let other = service.put_sale(sale_id(1), field.request(0, 1_000), &Actor::System).await;
    assert!(matches!(other, Err(ServiceError::SaleDiffers { .. })));
    field.check_money().await;
}

#[tokio::test]
async fn a_reversal_takes_back_all_parts_and_a_refund_only_the_credit() {
    for (kind, owed_after, cash) in
        [(ActKind::Reversal, 2_000, (1_000, 1_000)), (ActKind::Refund, 1_700, (1_000, 700))]
    {
        let mut field = field().await;
        field.rule(sharing(30)).await;
        owing(&field, 2_000).await;
        let (_, actor) = operator(1);
        let sale = sell(&field, 1, 1_000, Some(cny(100))).await;
        assert_eq!(sale.state.name(), "confirmed");
        // The meter is exchanged for one that stands right before the purchase.
        field.simulator.become_another("000000000001", 0, 0).expect("a meter");
        let subject = Subject::Sale(sale_id(1));
        let reason = "exchanged".to_owned();
        let request = ActRequest { kind, subject, channel: None, reason };
        let id = CounterActId::new(Uuid::from_u128(6000));
        let act = field.service.put_act(id, request, &actor).await.expect("asked");
        assert_eq!(act.state.name(), "confirmed", "{act:#?}");
        assert_eq!((owed(&field).await, posted(&field, "cash").await), (owed_after, cash));
        assert_eq!(posted(&field, "gift").await, (100, 100));
        let account = polymeter_service::meter_credit_account(field.meters[0]);
        assert_eq!(posted(&field, &account).await, (800, 800));
    }
}
