//! What takes a second person beside counter acts: closings, clearings of free meters, money given back out
//! of a purse. Each is done once, in the decision's own transaction or driven on from it.

use crate::bench::customer;
use crate::counter::{cny, operator};
use crate::field::{Field, METERS, purse_field};
use crate::life::{
    balance, closing, closing_id, dead, one_sold, owes, settled, swap, swap_id, why,
};
use meter_sim::{FaultKind, On};
use polymeter_domain::{ApprovalId, Channel, CustomerId, PursePaymentId};
use polymeter_service::{
    Actor, Approvable, ApprovalRules, ApprovalState, ArrearsEnd, Clearing, ClosingRequest,
    ClosingState, Direction, MeterClearingState, NewPayment, Page, Payment, RefundState, Rules,
    ServiceError, SwapRequest, Verdict,
};
use uuid::Uuid;

const DAY_MS: i64 = 24 * 3_600_000;

/// Two people from one fen on for what is cleared or given back, from 2.00 on for what is written off.
fn two_people() -> Rules {
    let (clear, refund, write_off) = (Some(cny(0)), Some(cny(1_000)), Some(cny(200)));
    let approval = ApprovalRules { clear, refund, write_off, ..Default::default() };
    Rules { approval, ..Rules::default() }
}

/// One customer with 50.00 in one meter, under rules for two people.
async fn watched() -> (Field, CustomerId) {
    let (mut field, owner) = one_sold().await;
    field.rule(two_people()).await;
    (field, owner)
}

async fn only_waiting(field: &Field) -> ApprovalId {
    let waiting = field.service.approvals(true, &Page::default()).await.expect("a list");
    let [approval] = waiting.as_slice() else { panic!("one waits: {waiting:?}") };
    approval.approval_id
}

async fn decide(field: &Field, id: ApprovalId, verdict: Verdict, by: u128) -> ApprovalState {
    let (_, actor) = operator(by);
    let decided = field.service.decide_approval(id, verdict, "looked at", &actor).await;
    decided.expect("decided").state
}

#[tokio::test]
async fn a_closing_above_the_limit_pays_out_after_the_second_person() {
    let (field, owner) = watched().await;
    let (service, (_, one)) = (&field.service, operator(1));
    let preview = service.preview_closing(&closing(owner), &one).await.expect("a dry run");
    assert!(service.closing_takes_two(ArrearsEnd::None, &preview));
    let id = closing_id(1);
    let waits = service.put_closing(id, closing(owner), &one).await.expect("it waits");
    assert_eq!((waits.state, waits.refunded), (ClosingState::Begun, None));
    let approval = only_waiting(&field).await;
    assert_eq!(waits.approval, Some(approval));
    let asked = service.approval(approval).await.expect("it");
    assert_eq!((asked.act.as_str(), asked.amount, &asked.asked_by), ("closing", cny(5_000), &one));
    assert_eq!(asked.object, Approvable::Closing(id).to_string());
    // Nobody goes on alone, by whatever way; nothing is sold meanwhile.
    let again = service.put_closing(id, closing(owner), &one).await.expect("the same");
    assert_eq!(again, waits);
    let again = service.continue_closing(id, &operator(2).1).await.expect("the same");
    assert_eq!(again, waits);
    let own = service.decide_approval(approval, Verdict::Approve, "mine", &one).await;
    assert!(matches!(own, Err(ServiceError::SamePerson)));
    assert_eq!((field.truth(0).money_fen, balance(&field, "cash").await), (5_000, -5_000));
    let sold = service.put_sale(crate::field::sale_id(2), field.request(0, 100), &one).await;
    assert!(sold.expect_err("held").to_string().contains("is being closed"));

    // The meter goes on while it waits: what is paid out is what is left then.
    field.simulator.set_load(METERS[0], 1_000).expect("a meter");
    field.simulator.advance(2 * 3_600);
    let left = field.truth(0).money_fen;
    assert!(left > 0 && left < 5_000, "{left}");
    assert_eq!(decide(&field, approval, Verdict::Approve, 2).await, ApprovalState::Approved);
    let done = service.closing(id).await.expect("it");
    assert_eq!((done.state, done.refunded), (ClosingState::Settled, Some(cny(left))));
    assert_eq!(done.meters[0].reading, waits.meters[0].reading + 2_000);
    assert_eq!(field.truth(0).money_fen, 0);
    assert_eq!(balance(&field, "cash").await, left - 5_000);
    assert_eq!(decide(&field, approval, Verdict::Approve, 2).await, ApprovalState::Approved);
    assert_eq!(balance(&field, "cash").await, left - 5_000, "once");
    let trail = service.audit_trail(None, &Page::default()).await.expect("the trail");
    let who = |act: &str| trail.iter().find(|it| it.act == act).map(|it| it.actor.clone());
    assert_eq!(who("approval-given"), Some(operator(2).1));
    assert_eq!(who("account-closed"), Some(one));
}

#[tokio::test]
async fn an_approved_closing_that_was_cut_off_goes_on_at_the_next_start() {
    let (mut field, owner) = watched().await;
    let (_, one) = operator(1);
    let id = closing_id(1);
    field.service.put_closing(id, closing(owner), &one).await.expect("it waits");
    let approval = only_waiting(&field).await;
    field.fault(0, On::Any, FaultKind::NoReply, 10_000);
    // The decision stands although the meter is silent.
    assert_eq!(decide(&field, approval, Verdict::Approve, 2).await, ApprovalState::Approved);
    let stopped = field.service.closing(id).await.expect("it");
    assert_eq!((stopped.state, stopped.approval), (ClosingState::Begun, None));
    assert_eq!(balance(&field, "cash").await, -5_000);
    field.simulator.clear_faults(METERS[0]).expect("a meter");
    field.restart().await;
    field.service.resume().await.expect("resumed");
    let done = field.service.closing(id).await.expect("it");
    assert_eq!((done.state, done.refunded), (ClosingState::Settled, Some(cny(5_000))));
    field.service.resume().await.expect("nothing to do");
    assert_eq!((balance(&field, "cash").await, field.truth(0).money_fen), (0, 0));
}

#[tokio::test]
async fn a_closing_that_nobody_agrees_to_is_abandoned() {
    let (field, owner) = watched().await;
    let (service, (_, one)) = (&field.service, operator(1));
    for (number, ending, state) in [
        (1, "rejected", ApprovalState::Rejected),
        (2, "taken back", ApprovalState::Withdrawn),
        (3, "given up", ApprovalState::Withdrawn),
        (4, "expired", ApprovalState::Expired),
    ] {
        let id = closing_id(number);
        service.put_closing(id, closing(owner), &one).await.expect("it waits");
        let approval = only_waiting(&field).await;
        match ending {
            "rejected" => {
                decide(&field, approval, Verdict::Reject, 2).await;
            }
            "taken back" => {
                let other = service.withdraw_approval(approval, &operator(2).1).await;
                assert!(matches!(other, Err(ServiceError::Blocked { .. })), "{other:?}");
                service.withdraw_approval(approval, &one).await.expect("taken back");
                service.withdraw_approval(approval, &one).await.expect("the same");
            }
            "given up" => {
                service.abandon_closing(id, "stays after all", &one).await.expect("given up");
            }
            _ => {
                field.advance_ms(DAY_MS + 1);
                let (_, two) = operator(2);
                let late = service.decide_approval(approval, Verdict::Approve, "x", &two).await;
                assert!(matches!(late, Err(ServiceError::WrongState { .. })));
                service.resume().await.expect("resumed");
            }
        }
        assert_eq!(service.approval(approval).await.expect("it").state, state, "{ending}");
        let it = service.closing(id).await.expect("it");
        assert_eq!((it.state, it.approval), (ClosingState::Abandoned, None), "{ending}");
    }
    assert_eq!((field.truth(0).money_fen, balance(&field, "cash").await), (5_000, -5_000));
    let sale = field.sell(crate::field::sale_id(9), 0, 100).await;
    assert_eq!(sale.state.name(), "confirmed", "the account is as it was");
}

#[tokio::test]
async fn arrears_are_not_written_off_by_a_closing_alone() {
    let (field, owner) = watched().await;
    let (service, (_, one)) = (&field.service, operator(1));
    owes(&field, owner, 5_201).await;
    let none = service.put_closing(closing_id(1), closing(owner), &one).await;
    let none = none.expect_err("owed").to_string();
    assert!(
        none.contains("2.01 CNY are still owed; say that they are paid or written off"),
        "{none}"
    );
    assert!(service.closing(closing_id(1)).await.is_err(), "nothing was begun");
    let request = ClosingRequest { arrears: ArrearsEnd::WrittenOff, ..closing(owner) };
    service.put_closing(closing_id(2), request, &one).await.expect("it waits");
    let approval = only_waiting(&field).await;
    assert_eq!(service.approval(approval).await.expect("it").amount, cny(201));
    decide(&field, approval, Verdict::Approve, 2).await;
    let done = service.closing(closing_id(2)).await.expect("it");
    assert_eq!((done.state, done.recovered), (ClosingState::Settled, Some(cny(5_000))));
    assert_eq!(balance(&field, "write-off").await, -201);
}

/// Meter 0 was taken off dead, with 40.00 in it, and lives again.
async fn full_and_free(field: &Field) {
    let (service, actor) = (&field.service, Actor::System);
    field.fault(0, On::Any, FaultKind::NoReply, 10_000);
    let request = SwapRequest { keyed: dead(1_000, 4_000), ..swap(field) };
    service.put_swap(swap_id(1), request, &actor).await.expect("swapped");
    assert!(settled(field, swap_id(1)).await.is_done());
    field.simulator.clear_faults(METERS[0]).expect("a meter");
}

#[tokio::test]
async fn a_free_meter_that_holds_money_is_cleared_by_two_people() {
    let (mut field, _) = watched().await;
    full_and_free(&field).await;
    let meter = field.meters[0];
    let (_, one) = operator(1);
    let wish = async |field: &Field| field.service.clear_meter(meter, why("repaired"), &one).await;
    let Clearing::Waits(first) = wish(&field).await.expect("it waits") else { panic!("alone") };
    let Clearing::Waits(same) = wish(&field).await.expect("it waits") else { panic!("alone") };
    assert_eq!((first, only_waiting(&field).await), (same, first));
    assert_eq!(field.truth(0).money_fen, 5_000);
    let asked = field.service.approval(first).await.expect("it");
    assert_eq!((asked.act.as_str(), asked.amount), ("clearing", cny(5_000)));
    let Some(Approvable::Clearing(id)) = Approvable::parse(&asked.object) else { panic!("no") };
    let state = async |field: &Field| field.service.meter_clearing(id).await.expect("it").state;

    decide(&field, first, Verdict::Reject, 2).await;
    assert_eq!(state(&field).await, MeterClearingState::Abandoned);
    // Asked for again, agreed to while the meter is silent, and done at the next start.
    let Clearing::Waits(second) = wish(&field).await.expect("it waits") else { panic!("alone") };
    assert_ne!(first, second);
    field.fault(0, On::Any, FaultKind::NoReply, 10_000);
    assert_eq!(decide(&field, second, Verdict::Approve, 2).await, ApprovalState::Approved);
    assert_eq!(field.truth(0).money_fen, 5_000);
    field.simulator.clear_faults(METERS[0]).expect("a meter");
    field.restart().await;
    field.service.resume().await.expect("resumed");
    assert_eq!(field.truth(0).money_fen, 0);
    let asked = field.service.approval(second).await.expect("it");
    let Some(Approvable::Clearing(id)) = Approvable::parse(&asked.object) else { panic!("no") };
    let it = field.service.meter_clearing(id).await.expect("it");
    assert_eq!(it.state, MeterClearingState::Cleared);
    // An empty one takes nobody else.
    assert_eq!(wish(&field).await.expect("empty"), Clearing::Done);
    assert_eq!(field.service.approvals(true, &Page::default()).await.expect("a list"), []);
}

fn payment_id(number: u128) -> PursePaymentId {
    PursePaymentId::new(Uuid::from_u128(number))
}

#[tokio::test]
async fn money_goes_out_of_a_purse_by_two_people_once() {
    let mut field = purse_field().await;
    field.rule(two_people()).await;
    let (service, (_, one)) = (&field.service, operator(1));
    let owner = customer(service, "11").await.customer_id;
    let new = |direction, minor| NewPayment {
        customer_id: owner,
        direction,
        channel: Channel::Cash,
        amount: cny(minor),
        reason: "moves away".to_owned(),
    };
    let pay = async |number, new| service.pay_purse(payment_id(number), new, &one).await;
    let back = |minor| new(Direction::Out, minor);
    let made = |payment| matches!(payment, Ok(Payment::Made(_)));
    assert!(made(pay(1, new(Direction::In, 9_000)).await), "money in takes one");
    assert!(made(pay(2, back(1_000)).await), "so does what is within the limit");
    assert!(service.payment_takes_two(&back(1_001)));
    let much = pay(3, back(8_001)).await.expect_err("not there").to_string();
    assert!(much.contains("the purse has 80.00"), "{much}");

    let asked = pay(3, back(5_000)).await.expect("it waits");
    assert_eq!(pay(3, back(5_000)).await.expect("the same"), asked);
    let other = pay(3, back(5_001)).await;
    assert!(matches!(other, Err(ServiceError::Differs { .. })), "{other:?}");
    let first = only_waiting(&field).await;
    assert_eq!(asked, Payment::Waits(first));
    assert_eq!(service.waiting_refunds(owner).await.expect("a list").len(), 1);
    assert_eq!(service.purse(owner).await.expect("a purse").balance, cny(8_000));
    decide(&field, first, Verdict::Reject, 2).await;
    let refund = service.purse_refund(payment_id(3)).await.expect("it");
    assert_eq!(refund.state, RefundState::Abandoned);
    let again = pay(3, back(5_000)).await;
    assert!(matches!(again, Err(ServiceError::WrongState { .. })), "{again:?}");

    pay(4, back(5_000)).await.expect("it waits");
    let second = only_waiting(&field).await;
    // Less is there by the time: it is not agreed to, and still waits.
    for number in [5, 6, 7, 8] {
        assert!(made(pay(number, back(1_000)).await));
    }
    let poor = service.decide_approval(second, Verdict::Approve, "seen", &operator(2).1).await;
    assert!(poor.expect_err("not there").to_string().contains("the purse has 40.00"));
    assert!(made(pay(9, new(Direction::In, 1_000)).await));
    assert_eq!(decide(&field, second, Verdict::Approve, 2).await, ApprovalState::Approved);
    assert_eq!(service.purse(owner).await.expect("a purse").balance, cny(0));
    assert!(made(pay(4, back(5_000)).await), "asked again, it is the payment that was made");
    assert_eq!(decide(&field, second, Verdict::Approve, 2).await, ApprovalState::Approved);
    assert_eq!(balance(&field, "cash").await, 0);
    let newest = service.purse_payments(owner, &Page::default()).await.expect("a list");
    let paid = newest.iter().find(|it| it.payment_id == payment_id(4)).expect("made");
    assert_eq!((paid.operator.clone(), paid.balance_after), (one.clone(), cny(0)));
}
