//! Counter acts: what gives money back, on which proof, and what takes two people.

use crate::bench::{customer, office, tamper};
use crate::counter::{cny, operator, posted};
use crate::field::{Field, field, sale_id};
use meter_sim::{Fault, FaultKind, On};
use polymeter_domain::sale::Decision;
use polymeter_domain::{ActState, Channel, CounterActId, CustomerId, Money};
use polymeter_service::{
    ActKind, ActRequest, Actor, ApprovalRules, ApprovalState, CounterAct, Page, Rules, Service,
    ServiceError, Subject, Verdict,
};
use uuid::Uuid;

pub fn act_id(number: u128) -> CounterActId {
    CounterActId::new(Uuid::from_u128(1000 + number))
}

pub fn of_sale(kind: ActKind, number: u128) -> ActRequest {
    let subject = Subject::Sale(sale_id(number));
    ActRequest { kind, subject, channel: None, reason: "typed wrongly".to_owned() }
}

pub fn of_customer(kind: ActKind, customer: CustomerId, minor: i64) -> ActRequest {
    let subject = Subject::Customer(customer, cny(minor));
    ActRequest { kind, subject, channel: None, reason: "as agreed".to_owned() }
}

/// A sale that an operator called applied although the meter never took it.
async fn wrongly_confirmed(field: &Field, number: u128, minor: i64) {
    field.fault(0, On::Sell, FaultKind::NoReply, 1);
    // Before the sale its count is asked for and, where it has sold before, its last purchase.
    let asked = if field.truth(0).credits > 0 { 3 } else { 1 };
    let silent = Fault::new(On::Check, FaultKind::NoReply).times(40).skip(asked);
    field.simulator.fault("000000000001", silent).expect("a fault");
    let sale = field.sell(sale_id(number), 0, minor).await;
    assert_eq!(sale.state.name(), "unresolved", "{:#?}", sale.history);
    field.simulator.clear_faults("000000000001").expect("a meter");
    let decided = field.service.decide_sale(
        sale_id(number),
        Decision::Applied,
        "misread the display",
        &Actor::System,
    );
    decided.await.expect("decided");
}

pub fn states(act: &CounterAct) -> Vec<&'static str> {
    act.history.iter().map(|it| it.state.name()).collect()
}

#[tokio::test]
async fn a_reversal_needs_the_meters_own_proof() {
    let field = field().await;
    let (_, actor) = operator(1);
    let service = &field.service;
    // The meter has it, and does not give it back: no money goes back.
    field.sell(sale_id(1), 0, 5000).await;
    field.fault(0, On::Refund, FaultKind::Refuse { word: 0x0001 }, 1);
    let held = service.put_act(act_id(1), of_sale(ActKind::Reversal, 1), &actor).await;
    let held = held.expect("asked");
    assert_eq!(states(&held), ["waiting", "reserved", "dispatched", "refused"], "{held:#?}");
    assert_eq!((held.receipt, held.entries.len()), (None, 0));
    assert_eq!(posted(&field, "cash").await, (5000, 0));

    // The meter proves that it has not: contra rows, a receipt, and the meter can be sold to.
    wrongly_confirmed(&field, 2, 700).await;
    let act = service.put_act(act_id(2), of_sale(ActKind::Reversal, 2), &actor).await;
    let act = act.expect("asked");
    assert_eq!(states(&act), ["waiting", "reserved", "confirmed"], "{act:#?}");
    assert_eq!((act.amount, act.channel), (cny(700), Some(Channel::Cash)));
    let kinds: Vec<_> = act.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, ["contra"]);
    assert_eq!(posted(&field, "cash").await, (5700, 700));
    let receipt = service.receipt(act.receipt.expect("a receipt")).await.expect("a receipt");
    assert_eq!((receipt.kind.as_str(), receipt.amount), ("reversal", cny(700)));
    let again = service.put_act(act_id(2), of_sale(ActKind::Reversal, 2), &actor).await;
    assert_eq!(again.expect("the same"), act);
    // Once, by whatever name.
    for (number, kind) in [(3, ActKind::Reversal), (4, ActKind::Refund)] {
        let error = service.put_act(act_id(number), of_sale(kind, 2), &actor).await;
        let error = error.expect_err("taken back already");
        assert!(matches!(error, ServiceError::Exists { .. }), "{error}");
    }
    let other = service.put_act(act_id(2), of_sale(ActKind::Refund, 2), &actor).await;
    assert!(matches!(other, Err(ServiceError::Differs { .. })));
    assert_eq!(field.sell(sale_id(9), 0, 100).await.state.name(), "confirmed");
    assert_eq!(field.truth(0).credits, 2);
}

#[tokio::test]
async fn what_the_meter_cannot_prove_a_person_decides() {
    let field = field().await;
    let (_, actor) = operator(1);
    let service = &field.service;
    wrongly_confirmed(&field, 1, 700).await;
    // Somebody else sells under the same count: the record has another amount.
    field.simulator.become_another("000000000001", 1, 999).expect("a meter");
    let act = service.put_act(act_id(1), of_sale(ActKind::Refund, 1), &actor).await;
    let act = act.expect("asked");
    assert_eq!(act.state, ActState::Unresolved, "{:#?}", act.history);
    // Nothing is sold while that is open.
    let request = field.request(0, 100);
    let error = service.put_sale(sale_id(2), request, &actor).await.expect_err("unsettled");
    assert!(matches!(error, ServiceError::UnsettledAct { .. }), "{error}");
    let error = service.withdraw_act(act_id(1), &actor).await.expect_err("it was asked");
    assert!(matches!(error, ServiceError::WrongState { .. }), "{error}");
    assert!(service.decide_act(act_id(1), false, " ", &actor).await.is_err());
    let act = service.decide_act(act_id(1), false, "the seal is whole", &actor).await;
    let act = act.expect("unresolved");
    assert_eq!(act.state, ActState::Confirmed);
    assert_eq!(posted(&field, "cash").await, (700, 700));
    let again = service.decide_act(act_id(1), true, "no", &actor).await;
    assert!(matches!(again, Err(ServiceError::WrongState { .. })));
}

#[tokio::test]
async fn an_act_whose_meter_is_silent_waits_and_is_resumed() {
    let mut field = field().await;
    let (_, actor) = operator(1);
    wrongly_confirmed(&field, 1, 700).await;
    field.fault(0, On::Any, FaultKind::NoReply, 40);
    let act = field.service.put_act(act_id(1), of_sale(ActKind::Refund, 1), &actor).await;
    assert_eq!(act.expect("reserved").state, ActState::Reserved);
    field.simulator.clear_faults("000000000001").expect("a meter");
    field.restart().await;
    field.service.resume().await.expect("resumed");
    let act = field.service.act(act_id(1)).await.expect("an act");
    assert_eq!(act.state, ActState::Confirmed, "{:#?}", act.history);
    field.service.resume().await.expect("nothing to do");
    assert_eq!(posted(&field, "cash").await, (700, 700));
}

#[tokio::test]
async fn only_a_confirmed_sale_is_taken_back_and_only_on_its_day() {
    let field = field().await;
    let (_, actor) = operator(1);
    field.fault(0, On::Any, FaultKind::NoReply, 40);
    field.sell(sale_id(1), 0, 100).await;
    let put = async |number, request| {
        let put = field.service.put_act(act_id(number), request, &actor).await;
        put.expect_err("refused").to_string()
    };
    assert_eq!(
        put(1, of_sale(ActKind::Refund, 1)).await,
        "sale_id: the sale is reserved; settle it first: what never reached the device goes back \
         by itself"
    );
    field.service.cancel_sale(sale_id(1), &actor).await.expect("cancelled");
    assert_eq!(
        put(1, of_sale(ActKind::Refund, 1)).await,
        "sale_id: the sale is cancelled; its money went back already"
    );
    assert_eq!(put(1, of_sale(ActKind::Refund, 77)).await, format!("no sale {}", sale_id(77)));
    field.simulator.clear_faults("000000000001").expect("a meter");
    field.sell(sale_id(2), 0, 100).await;
    let by_card = ActRequest { channel: Some(Channel::Card), ..of_sale(ActKind::Reversal, 2) };
    assert_eq!(put(1, by_card).await, "channel: a reversal goes back by cash");
    let deposit = of_sale(ActKind::Deposit, 2);
    assert_eq!(put(1, deposit).await, "kind: a deposit names a customer and an amount");
}

pub async fn put(
    service: &Service,
    number: u128,
    request: ActRequest,
    actor: &Actor,
) -> Result<CounterAct, ServiceError> {
    service.put_act(act_id(number), request, actor).await
}

#[tokio::test]
async fn deposits_and_arrears_never_go_below_zero() {
    let office = office().await;
    let (service, (_, actor)) = (&office.service, operator(1));
    let who = customer(service, "1").await.customer_id;
    let check = async |number, kind, minor, expected: Result<&str, &str>, sums: (i64, i64)| {
        match (put(service, number, of_customer(kind, who, minor), &actor).await, expected) {
            (Ok(act), Ok(state)) => assert_eq!(act.state.name(), state),
            (Err(error), Err(text)) => assert_eq!(error.to_string(), text),
            (other, _) => panic!("{kind:?} {minor}: {other:?}"),
        }
        let standing = service.standing(who).await.expect("sums");
        assert_eq!((standing.arrears.minor(), standing.deposit.minor()), sums, "{kind:?}");
    };
    let done = Ok("confirmed");
    check(1, ActKind::Deposit, 30_000, done, (0, 30_000)).await;
    check(1, ActKind::Deposit, 30_000, done, (0, 30_000)).await;
    let most = "amount: 300.00 CNY was deposited";
    check(2, ActKind::DepositRefund, 30_001, Err(most), (0, 30_000)).await;
    check(3, ActKind::DepositRefund, 10_000, done, (0, 20_000)).await;
    let most = "amount: 0.00 CNY is owed";
    check(4, ActKind::ArrearsPayment, 1, Err(most), (0, 20_000)).await;
    check(5, ActKind::Arrears, 5_000, done, (5_000, 20_000)).await;
    check(6, ActKind::ArrearsPayment, 2_000, done, (3_000, 20_000)).await;
    check(7, ActKind::WriteOff, 3_000, done, (0, 20_000)).await;
    let range = "amount: above zero and at most 1000000.00";
    for minor in [0, -1, i64::MIN, i64::MAX, 100_000_001] {
        check(8, ActKind::Deposit, minor, Err(range), (0, 20_000)).await;
    }
    let balance = service.trial_balance().await.expect("sums");
    assert_eq!(balance.difference.minor(), 0);
    let of = |name: &str| -> Vec<(i64, i64)> {
        let lines = balance.lines.iter().filter(|line| line.account.starts_with(name));
        lines.map(|it| (it.debits_posted.minor(), it.credits_posted.minor())).collect()
    };
    assert_eq!(of("deposit/"), [(10_000, 30_000)]);
    assert_eq!(of("arrears/"), [(5_000, 5_000)]);
    assert_eq!(of("write-off"), [(3_000, 0)]);
    assert_eq!(of("brought-in"), [(0, 5_000)]);
    // No paper for what moves no money over the counter.
    assert_eq!(service.receipts(Some(who), &Page::default()).await.expect("a list").len(), 3);
    for sql in ["delete from counter_act", "update counter_act set amount_minor = 1"] {
        assert!(tamper(&office.database, sql).await.is_err(), "{sql}");
    }
}

fn two_people() -> Rules {
    let limit = |minor| Some(Money::new(minor, polymeter_domain::Currency::CNY));
    let approval =
        ApprovalRules { refund: limit(10_000), write_off: limit(0), ..Default::default() };
    Rules { approval, ..Rules::default() }
}

#[tokio::test]
async fn an_act_above_the_limit_takes_two_people_and_is_done_once() {
    let mut field = field().await;
    field.rule(two_people()).await;
    let service = &field.service;
    let ((first, one), (second, two)) = (operator(1), operator(2));
    assert_ne!(first, second);
    let who = field.owner(0).await;
    put(service, 1, of_customer(ActKind::Deposit, who, 50_000), &one).await.expect("taken");
    let small = put(service, 2, of_customer(ActKind::DepositRefund, who, 10_000), &one).await;
    assert_eq!(small.expect("within the limit").state, ActState::Confirmed);
    let large = of_customer(ActKind::DepositRefund, who, 10_001);
    let preview = service.preview_act(large.clone(), &one).await.expect("a preview");
    assert!(preview.needs_second_person);
    let act = put(service, 3, large, &one).await.expect("it waits");
    assert_eq!((act.state, act.entries.len()), (ActState::Waiting, 0));

    let waiting = service.approvals(true, &Page::default()).await.expect("a list");
    let [approval] = waiting.as_slice() else { panic!("one waits: {waiting:?}") };
    assert_eq!((approval.amount, &approval.asked_by), (cny(10_001), &one));
    let id = approval.approval_id;
    let own = service.decide_approval(id, Verdict::Approve, "it is mine", &one).await;
    assert!(matches!(own, Err(ServiceError::SamePerson)));
    let system = service.decide_approval(id, Verdict::Approve, "x", &Actor::System).await;
    assert!(matches!(system, Err(ServiceError::SamePerson)));
    assert!(service.decide_approval(id, Verdict::Approve, " ", &two).await.is_err());

    let both: Vec<_> = (0..20)
        .map(|_| {
            let (service, two) = (service.clone(), two.clone());
            tokio::spawn(async move {
                service.decide_approval(id, Verdict::Approve, "seen", &two).await
            })
        })
        .collect();
    for decided in both {
        let decided = decided.await.expect("no panic").expect("the same decision");
        assert_eq!((decided.state, decided.decided_by), (ApprovalState::Approved, Some(second)));
    }
    let late = service.decide_approval(id, Verdict::Reject, "no", &two).await;
    assert!(matches!(late, Err(ServiceError::WrongState { .. })));
    let act = service.act(act_id(3)).await.expect("an act");
    assert_eq!(act.state, ActState::Confirmed);
    assert_eq!(posted(&field, &format!("deposit/{who}")).await, (20_001, 50_000));
    let trail = service.audit_trail(None, &Page::default()).await.expect("the trail");
    let acts: Vec<_> = trail
        .iter()
        .filter(|it| it.object == format!("approval/{id}"))
        .map(|it| it.act.as_str())
        .collect();
    assert_eq!(acts, ["approval-given", "approval-asked"]);
    assert!(tamper(&field.database, "update approval set state = 'waiting'").await.is_err());
}

#[tokio::test]
async fn what_is_rejected_expired_or_taken_back_moves_no_money() {
    let mut field = field().await;
    field.rule(two_people()).await;
    let ((_, one), (_, two)) = (operator(1), operator(2));
    let who = field.owner(0).await;
    let service = &field.service;
    put(service, 1, of_customer(ActKind::Arrears, who, 900), &one).await.expect("written down");
    let mut number = 1;
    let mut wait = async || {
        number += 1;
        put(service, number, of_customer(ActKind::WriteOff, who, 900), &one).await.expect("waits");
        let waiting = service.approvals(true, &Page::default()).await.expect("a list");
        (act_id(number), waiting[0].approval_id)
    };
    let (act, id) = wait().await;
    service.decide_approval(id, Verdict::Reject, "they will pay", &two).await.expect("rejected");
    assert_eq!(service.act(act).await.expect("an act").state, ActState::Cancelled);
    let (act, id) = wait().await;
    service.withdraw_act(act, &one).await.expect("taken back");
    assert_eq!(service.approval(id).await.expect("it").state, ApprovalState::Withdrawn);
    let (act, id) = wait().await;
    field.advance_ms(25 * 3_600_000);
    let late = service.decide_approval(id, Verdict::Approve, "seen", &two).await;
    assert_eq!(
        late.expect_err("too late").to_string(),
        format!("approval {id} is expired and cannot be approved")
    );
    assert_eq!(service.approvals(true, &Page::default()).await.expect("a list"), []);
    service.resume().await.expect("resumed");
    assert_eq!(service.approval(id).await.expect("it").state, ApprovalState::Expired);
    assert_eq!(service.act(act).await.expect("an act").state, ActState::Cancelled);
    assert_eq!(service.standing(who).await.expect("sums").arrears, cny(900));
    assert_eq!(posted(&field, "write-off").await, (0, 0));
}

#[tokio::test]
async fn a_refund_of_two_people_asks_the_meter_after_the_second() {
    let mut field = field().await;
    let rules = two_people();
    let approval = ApprovalRules { refund: Some(cny(0)), ..rules.approval };
    field.rule(Rules { approval, ..Rules::default() }).await;
    let ((_, one), (_, two)) = (operator(1), operator(2));
    wrongly_confirmed(&field, 1, 700).await;
    let asked = field.truth(0).requests;
    let service = &field.service;
    let act = put(service, 1, of_sale(ActKind::Refund, 1), &one).await.expect("it waits");
    assert_eq!((act.state, field.truth(0).requests), (ActState::Waiting, asked));
    let waiting = service.approvals(true, &Page::default()).await.expect("a list");
    let id = waiting[0].approval_id;
    service.decide_approval(id, Verdict::Approve, "seen", &two).await.expect("approved");
    let act = service.act(act_id(1)).await.expect("an act");
    assert_eq!(states(&act), ["waiting", "reserved", "confirmed"], "{act:#?}");
    assert_eq!(posted(&field, "cash").await, (700, 700));
}
