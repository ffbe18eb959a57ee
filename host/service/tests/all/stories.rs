//! A meter's story that is not ours, the hoarding cap, and many requests for one thing.

use crate::bench::tamper;
use crate::counter::{cny, operator, posted};
use crate::field::{Field, METERS, field, sale_id};
use meter_sim::{Fault, FaultKind, On};
use polymeter_domain::{Currency, Money, Story};
use polymeter_service::{Actor, Discrepancy, Page, Rules, SaleRequest, ServiceError};

async fn open(field: &Field) -> Vec<Discrepancy> {
    let found = field.service.discrepancies(None, true, &Page::default()).await;
    found.expect("a list")
}

/// The open stories: which, and the counts.
async fn stories(field: &Field) -> Vec<(Story, Option<u32>, u32)> {
    open(field).await.iter().map(|it| (it.story, it.known_count, it.device_count)).collect()
}

fn becomes(field: &Field, count: u32, last_fen: u32) {
    field.simulator.become_another(METERS[0], count, last_fen).expect("a meter");
}

#[tokio::test]
async fn r10_a_device_that_moved_on_is_a_discrepancy_and_no_refusal() {
    let field = field().await;
    field.sell(sale_id(1), 0, 500).await;
    assert_eq!(stories(&field).await, []);
    becomes(&field, 4, 999);
    let sale = field.sell(sale_id(2), 0, 100).await;
    assert_eq!(sale.state.name(), "confirmed");
    assert_eq!(stories(&field).await, [(Story::CountAhead, Some(1), 4)]);
    let seen = open(&field).await;
    assert_eq!((seen[0].seen_by.as_str(), seen[0].times), (&*format!("sale/{}", sale_id(2)), 1));
    // The device's count rules from the sale on.
    field.sell(sale_id(3), 0, 100).await;
    assert_eq!(open(&field).await.len(), 1);
}

#[tokio::test]
async fn r10_an_older_counter_or_another_device_is_a_discrepancy() {
    let field = field().await;
    for number in 1..=3 {
        field.sell(sale_id(number), 0, 500).await;
    }
    becomes(&field, 1, 500);
    field.service.read_meter(field.meters[0], &Actor::System).await.expect("a reading");
    field.service.read_meter(field.meters[0], &Actor::System).await.expect("a reading");
    assert_eq!(stories(&field).await, [(Story::CountBehind, Some(3), 1)]);
    let seen = open(&field).await.remove(0);
    assert_eq!(seen.times, 2, "one record for one story");

    // Closed with a reason, the device's count is taken as known and the story does not come back.
    let (_, actor) = operator(1);
    let id = seen.discrepancy_id;
    assert!(field.service.close_discrepancy(id, " ", &actor).await.is_err());
    let closed = field.service.close_discrepancy(id, "meter was exchanged", &actor).await;
    assert_eq!(closed.expect("closed").closed.expect("closed").by, actor);
    let again = field.service.close_discrepancy(id, "another reason", &actor).await;
    assert!(matches!(again, Err(ServiceError::WrongState { .. })));
    field.service.read_meter(field.meters[0], &Actor::System).await.expect("a reading");
    assert_eq!(stories(&field).await, []);
    for sql in ["update discrepancy set reason = 'x'", "delete from discrepancy"] {
        assert!(tamper(&field.database, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn r10_a_purchase_applied_in_part_is_never_called_done() {
    let field = field().await;
    field.fault(0, On::Sell, FaultKind::NoReply, 1);
    let silent = Fault::new(On::Check, FaultKind::NoReply).times(40).skip(1);
    field.simulator.fault(METERS[0], silent).expect("a fault");
    let sale = field.sell(sale_id(1), 0, 1000).await;
    assert_eq!(sale.state.name(), "unresolved", "{:#?}", sale.history);
    field.simulator.clear_faults(METERS[0]).expect("a meter");
    becomes(&field, 1, 600);
    let (_, actor) = operator(1);
    for times in 1..=2 {
        let sale = field.service.reconcile_sale(sale_id(1), &actor).await.expect("it answers");
        assert_eq!(sale.state.name(), "unresolved");
        let seen = open(&field).await;
        assert_eq!(stories(&field).await, [(Story::OtherAmount, Some(1), 1)]);
        let amounts = seen[0].known.zip(seen[0].device);
        assert_eq!(amounts.map(|(ours, its)| (ours.amount, its.amount)), Some((1000, 600)));
        assert_eq!(seen[0].times, times);
    }
    assert_eq!(posted(&field, "cash").await, (0, 0));
}

#[tokio::test]
async fn r10_another_last_amount_under_the_same_count_is_seen_at_the_next_sale() {
    let field = field().await;
    field.sell(sale_id(1), 0, 500).await;
    becomes(&field, 1, 499);
    field.sell(sale_id(2), 0, 100).await;
    assert_eq!(stories(&field).await, [(Story::OtherAmount, Some(1), 1)]);
}

#[tokio::test]
async fn a_sale_above_the_hoarding_cap_is_refused_before_money_moves() {
    let mut field = field().await;
    field.rule(Rules { max_credit: Some(cny(10_000)), ..Rules::default() }).await;
    let service = &field.service;
    let (meter, (_, actor)) = (field.meters[0], operator(1));
    let refused = async |number, minor| {
        let put = service.put_sale(sale_id(number), field.request(0, minor), &actor).await;
        put.expect_err("refused").to_string()
    };
    assert_eq!(
        refused(1, 10_001).await,
        "100.01 cannot be sold: meter 000000000001 may hold at most 100.00 (hoarding cap) and held \
         an unknown amount when last heard of"
    );
    assert_eq!(field.sell(sale_id(2), 0, 6_000).await.state.name(), "confirmed");
    let told = "may hold at most 100.00 (hoarding cap) and held 60.00 when last heard of";
    assert!(refused(3, 4_001).await.ends_with(told));
    // A reading tells better.
    field.advance_ms(1000);
    service.read_meter(meter, &actor).await.expect("a reading");
    assert!(refused(3, 4_001).await.ends_with(told));
    assert_eq!(field.sell(sale_id(4), 0, 4_000).await.state.name(), "confirmed");
    // The meter's own cap counts before the configuration's.
    service.set_max_credit(meter, Some(cny(20_000)), &actor).await.expect("set");
    assert_eq!(service.max_credit(meter).await.expect("it"), Some(cny(20_000)));
    assert_eq!(field.sell(sale_id(5), 0, 10_000).await.state.name(), "confirmed");
    service.set_max_credit(meter, None, &actor).await.expect("set");
    assert!(refused(6, 1).await.contains("hoarding cap"));
    for minor in [0, -1, i64::MAX, i64::MIN] {
        let set = service.set_max_credit(meter, Some(cny(minor)), &actor).await;
        assert!(matches!(set, Err(ServiceError::Invalid { field: "max_credit", .. })), "{minor}");
    }
    assert_eq!(field.truth(0).credits, 3);
    field.check_money().await;
}

#[tokio::test]
async fn r8_equal_requests_at_once_are_one_sale_each_also_after_a_restart() {
    let mut field = field().await;
    for key in 1..=20_u128 {
        let minor = i64::try_from(key).expect("small") * 100;
        let puts: Vec<_> = (0..100)
            .map(|nth| {
                let service = field.service.clone();
                // Every tenth asks for something else under the same key.
                let minor = if nth % 10 == 9 { minor + 1 } else { minor };
                let request = field.request(0, minor);
                let put = async move {
                    (minor, service.put_sale(sale_id(key), request, &Actor::System).await)
                };
                tokio::spawn(put)
            })
            .collect();
        let mut taken = Vec::new();
        for put in puts {
            let (asked, put) = put.await.expect("no panic");
            match put {
                Ok(sale) => taken.push((asked, sale.paid.minor())),
                Err(ServiceError::SaleDiffers { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        // Whichever was first is the sale; all that asked for it got it, and nobody else.
        assert!(taken.iter().all(|(asked, paid)| asked == paid && *paid == taken[0].0));
        assert_eq!(field.wait(sale_id(key)).await.state.name(), "confirmed");
    }
    assert_eq!(field.truth(0).credits, 20);
    field.restart().await;
    for key in 1..=20_u128 {
        let sale = field.service.sale(sale_id(key)).await.expect("a sale");
        let request = SaleRequest::new(sale.meter_id, sale.paid);
        let again = field.service.put_sale(sale_id(key), request, &Actor::System).await;
        assert_eq!(again.expect("the same"), sale);
        let other = SaleRequest::new(field.meters[1], sale.paid);
        let other = field.service.put_sale(sale_id(key), other, &Actor::System).await;
        assert!(matches!(other, Err(ServiceError::SaleDiffers { .. })));
    }
    assert_eq!(field.truth(0).credits, 20);
    field.check_money().await;
}

#[tokio::test]
async fn r8_ten_thousand_equal_requests_are_one_sale() {
    let field = field().await;
    let clerks: Vec<_> = (0..50)
        .map(|_| {
            let (service, request) = (field.service.clone(), field.request(0, 5000));
            tokio::spawn(async move {
                for _ in 0..200 {
                    let put = service.put_sale(sale_id(1), request.clone(), &Actor::System).await;
                    assert_eq!(put.expect("the same sale").paid.minor(), 5000);
                }
            })
        })
        .collect();
    for clerk in clerks {
        clerk.await.expect("no panic");
    }
    assert_eq!(field.wait(sale_id(1)).await.receipt, Some(1));
    let truth = field.truth(0);
    assert_eq!((truth.credits, truth.sell_frames), (1, 1));
    field.check_money().await;
}

#[tokio::test]
async fn two_operators_on_one_meter_in_the_same_instant_make_one_sale() {
    let field = field().await;
    for round in 0..10_u128 {
        let puts: Vec<_> = [1, 2]
            .map(|who| {
                let (service, request) = (field.service.clone(), field.request(0, 100));
                let id = sale_id(round * 2 + who);
                tokio::spawn(async move {
                    service.put_sale(id, request, &operator(who).1).await.map(|sale| sale.sale_id)
                })
            })
            .into();
        let mut made = Vec::new();
        for put in puts {
            match put.await.expect("no panic") {
                Ok(id) => made.push(id),
                Err(ServiceError::Unsettled { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(!made.is_empty());
        for id in made {
            assert_eq!(field.wait(id).await.state.name(), "confirmed");
        }
    }
    field.check_money().await;
}

#[tokio::test]
async fn no_amount_at_the_edge_of_the_integers_is_sold() {
    let field = field().await;
    for minor in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let paid = Money::new(minor, Currency::CNY);
        let request = SaleRequest::new(field.meters[0], paid);
        let put = field.service.put_sale(sale_id(1), request, &Actor::System).await;
        assert!(matches!(put, Err(ServiceError::BadAmount { .. })), "{minor}");
        let quote = field.service.quote(field.meters[0], paid).await;
        assert!(minor == 0 || quote.is_err(), "{minor}");
    }
    assert_eq!(field.service.trial_balance().await.expect("sums").lines, []);
}
