//! Credit that a meter holds and gives back (退电), and what an act at the counter took back (冲正).

use crate::acts::{act_id, of_customer, of_sale, put, states};
use crate::bench::{customer, office};
use crate::counter::{cny, operator, posted};
use crate::field::{Field, field, sale_id};
use meter_sim::{Fault, FaultKind, On};
use polymeter_domain::ActState;
use polymeter_service::{ActKind, ActRequest, Page, ServiceError, Subject};

fn out_of_meter(field: &Field, minor: i64) -> ActRequest {
    let subject = Subject::Meter(field.meters[0], cny(minor));
    ActRequest { kind: ActKind::Refund, subject, channel: None, reason: "moves out".to_owned() }
}

/// What is asked before anything is taken: the purse's status, and count and amount of its last record.
const QUESTIONS: u32 = 3;

/// What the ledger has in meters is what they took and did not give back.
async fn check(field: &Field, in_meter: i64) {
    let truth = field.truth(0);
    let taken = truth.credited_fen - truth.taken_back_fen;
    assert_eq!((i64::try_from(taken).expect("small"), truth.money_fen), (in_meter, in_meter));
    let balance = field.service.trial_balance().await.expect("sums");
    assert_eq!(balance.difference.minor(), 0);
    let (debits, credits) = posted(field, &format!("meter-credit/{}", field.meters[0])).await;
    assert_eq!(credits - debits, in_meter, "the ledger's share");
    let (cash_in, cash_out) = posted(field, "cash").await;
    assert_eq!(cash_in - cash_out, in_meter, "the till");
}

async fn discrepancies(field: &Field) -> usize {
    field.service.discrepancies(None, true, &Page::default()).await.expect("a list").len()
}

#[tokio::test]
async fn a_meter_gives_a_wrong_sale_back_and_can_be_sold_to_again() {
    let field = field().await;
    let (service, (_, actor)) = (&field.service, operator(1));
    field.sell(sale_id(1), 0, 5000).await;
    let act = put(service, 1, of_sale(ActKind::Reversal, 1), &actor).await.expect("taken back");
    assert_eq!(states(&act), ["waiting", "reserved", "dispatched", "confirmed"], "{act:#?}");
    assert_eq!(act.history[3].detail, "the device gave 50.00 CNY back as purchase 2");
    let kinds: Vec<_> = act.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!((kinds, act.receipt.is_some()), (vec!["contra"], true));
    check(&field, 0).await;
    let again = put(service, 1, of_sale(ActKind::Reversal, 1), &actor).await.expect("the same");
    assert_eq!(again, act);
    // The count that the refund made is known: the next sale finds nothing strange.
    assert_eq!(field.sell(sale_id(2), 0, 700).await.state.name(), "confirmed");
    check(&field, 700).await;
    assert_eq!((field.truth(0).count, discrepancies(&field).await), (3, 0));
}

#[tokio::test]
async fn part_of_what_a_meter_holds_is_paid_out() {
    let field = field().await;
    let (service, (_, actor)) = (&field.service, operator(1));
    let unopened = Subject::Meter(field.meters[1], cny(1));
    let unopened = ActRequest { subject: unopened, ..out_of_meter(&field, 1) };
    let error = put(service, 9, unopened, &actor).await;
    assert!(error.is_err_and(|error| matches!(error, ServiceError::Invalid { .. })));
    field.sell(sale_id(1), 0, 5000).await;
    let preview = service.preview_act(out_of_meter(&field, 1234), &actor).await.expect("a preview");
    let meter = format!("meter-credit/{}", field.meters[0]);
    assert_eq!((preview.debit, preview.credit.as_str()), (meter, "cash"));
    let act = put(service, 1, out_of_meter(&field, 1234), &actor).await.expect("paid out");
    assert_eq!(states(&act), ["waiting", "reserved", "dispatched", "confirmed"], "{act:#?}");
    check(&field, 3766).await;
    let error = put(service, 2, out_of_meter(&field, 3767), &actor).await.expect_err("too much");
    assert_eq!(error.to_string(), "amount: 37.66 CNY was sold into it");
    let error = put(service, 1, out_of_meter(&field, 1), &actor).await.expect_err("another body");
    assert!(matches!(error, ServiceError::Differs { .. }), "{error}");
    let deposit = ActRequest { kind: ActKind::Deposit, ..out_of_meter(&field, 1) };
    let error = put(service, 3, deposit, &actor).await.expect_err("a deposit is a customer's");
    assert_eq!(error.to_string(), "kind: a deposit names a customer and an amount");
}

/// The meter has done it and nobody heard so: its record says it, at once or after a restart.
#[tokio::test]
async fn a_lost_answer_is_settled_by_the_meters_record_and_never_told_twice() {
    let mut field = field().await;
    let (_, actor) = operator(1);
    field.sell(sale_id(1), 0, 5000).await;
    field.fault(0, On::Refund, FaultKind::LostAfterApply, 1);
    let act = put(&field.service, 1, out_of_meter(&field, 1000), &actor).await.expect("proved");
    let all = ["waiting", "reserved", "dispatched", "unresolved", "confirmed"];
    assert_eq!(states(&act), all, "{act:#?}");
    check(&field, 4000).await;

    // Silent afterwards as well.
    for (number, on_wire, state, in_meter) in [
        (2, FaultKind::LostAfterApply, ActState::Confirmed, 3000),
        (3, FaultKind::NoReply, ActState::Refused, 3000),
    ] {
        field.fault(0, On::Refund, on_wire, 1);
        let asked = field.truth(0).requests;
        let silent = Fault::new(On::Check, FaultKind::NoReply).times(40).skip(QUESTIONS);
        field.simulator.fault("000000000001", silent).expect("a fault");
        let act = put(&field.service, number, out_of_meter(&field, 1000), &actor).await;
        let act = act.expect("unresolved");
        assert_eq!(act.state, ActState::Unresolved, "{:#?}", act.history);
        assert!(field.truth(0).requests > asked);
        let error = field.service.withdraw_act(act_id(number), &actor).await;
        assert!(error.is_err(), "it may have been done");
        let error = field.service.put_sale(sale_id(7), field.request(0, 100), &actor).await;
        assert!(error.is_err_and(|error| matches!(error, ServiceError::UnsettledAct { .. })));
        field.simulator.clear_faults("000000000001").expect("a meter");
        field.restart().await;
        let act = field.service.prove_act(act_id(number), &actor).await.expect("asked");
        assert_eq!(act.state, state, "{:#?}", act.history);
        check(&field, in_meter).await;
    }
    assert_eq!(field.truth(0).taken_back_fen, 2000);
    assert_eq!(discrepancies(&field).await, 0);
}

#[tokio::test]
async fn nothing_is_taken_where_somebody_else_was_at_the_meter_or_it_holds_less() {
    let field = field().await;
    let (service, (_, actor)) = (&field.service, operator(1));
    field.sell(sale_id(1), 0, 5000).await;
    // Used meanwhile: the meter says what it holds.
    let used = Fault::new(On::Refund, FaultKind::Refuse { word: 0x0001 });
    field.simulator.fault("000000000001", used).expect("a fault");
    let act = put(service, 1, out_of_meter(&field, 5000), &actor).await.expect("asked");
    assert_eq!(act.state, ActState::Refused, "{:#?}", act.history);
    check(&field, 5000).await;
    field.simulator.become_another("000000000001", 4, 999).expect("a meter");
    let act = put(service, 2, out_of_meter(&field, 100), &actor).await.expect("asked");
    assert_eq!(act.state, ActState::Unresolved, "{:#?}", act.history);
    assert_eq!((field.truth(0).taken_back_fen, discrepancies(&field).await), (0, 1));
    let decided = service.decide_act(act_id(2), true, "seen at the meter", &actor).await;
    assert_eq!(decided.expect("decided").state, ActState::Refused);
    assert_eq!(posted(&field, "cash").await, (5000, 0));
}

#[tokio::test]
async fn an_act_is_reversed_once_on_its_day_and_with_the_contrary_effect() {
    let office = office().await;
    let (service, (_, actor)) = (&office.service, operator(1));
    let who = customer(service, "1").await.customer_id;
    let reverse = |number| ActRequest {
        kind: ActKind::Reversal,
        subject: Subject::Act(act_id(number)),
        channel: None,
        reason: "the wrong customer".to_owned(),
    };
    let sums = async || {
        let standing = service.standing(who).await.expect("sums");
        (standing.arrears.minor(), standing.deposit.minor())
    };
    for (number, kind, minor, during, after) in
        [(1, ActKind::Deposit, 900, (0, 900), (0, 0)), (2, ActKind::Arrears, 700, (700, 0), (0, 0))]
    {
        put(service, number, of_customer(kind, who, minor), &actor).await.expect("done");
        assert_eq!(sums().await, during);
        let act = put(service, 10 + number, reverse(number), &actor).await.expect("taken back");
        assert_eq!(states(&act), ["waiting", "reserved", "confirmed"]);
        assert_eq!((sums().await, act.of_act_id), (after, Some(act_id(number))));
        assert_eq!(act.receipt.is_some(), kind == ActKind::Deposit);
        let error = put(service, 20, reverse(number), &actor).await.expect_err("once");
        assert!(matches!(error, ServiceError::Exists { .. }), "{error}");
    }
    // What was used meanwhile cannot be taken back.
    put(service, 3, of_customer(ActKind::Deposit, who, 900), &actor).await.expect("taken");
    put(service, 4, of_customer(ActKind::DepositRefund, who, 100), &actor).await.expect("back");
    let error = put(service, 13, reverse(3), &actor).await.expect_err("returned in part");
    assert_eq!(error.to_string(), "amount: 8.00 CNY of it is still deposited");
    put(service, 14, reverse(4), &actor).await.expect("the return was wrong");
    assert_eq!(sums().await, (0, 900));
    put(service, 13, reverse(3), &actor).await.expect("now it is all there");
    let error = put(service, 15, reverse(14), &actor).await.expect_err("a reversal");
    let sentence = "act_id: a reversal is not reversed: sell again what the device shall hold";
    assert_eq!(error.to_string(), sentence);
    let balance = service.trial_balance().await.expect("sums");
    assert_eq!(balance.difference.minor(), 0);
}
