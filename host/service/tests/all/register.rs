//! Customers and meters: what is refused, found and paged.

use crate::bench::{customer, flat, new_customer, office};
use polymeter_domain::{Currency, CustomerId, MeterAddress, MeterId, Money, SaleId, VendorCode};
use polymeter_service::{Actor, NewMeter, Page, SaleRequest, ServiceError};
use std::time::Duration;
use uuid::Uuid;

const NOBODY: Uuid = Uuid::from_u128(7);

#[tokio::test]
async fn a_customer_number_is_given_once_and_fields_are_checked() {
    let office = office().await;
    let made = customer(&office.service, "000000000001").await;
    assert_eq!(office.service.customer(made.customer_id).await.expect("just made"), made);

    let check = async |new, expected: &str| {
        let error = office.service.add_customer(new, &Actor::System).await.expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    check(new_customer("000000000001", "B"), "customer number 000000000001 already exists").await;
    check(new_customer("2", "  "), "name: empty").await;
    check(new_customer("2", "a\nb"), "name: control characters").await;
    check(new_customer("2", &"王".repeat(101)), "name: more than 100 characters").await;
    let mut long = new_customer("2", "B");
    long.phone = "1".repeat(33);
    check(long, "phone: more than 32 characters").await;
    assert_eq!(office.service.customers(&Page::default()).await.expect("a list"), [made]);
}

#[tokio::test]
async fn lists_are_searched_and_paged_in_order() {
    let office = office().await;
    for (number, name) in [("30", "王小明"), ("10", "Ann 100%"), ("20", "an_n")] {
        let new = new_customer(number, name);
        office.service.add_customer(new, &Actor::System).await.expect("a new customer");
    }
    let check = async |query: &str, numbers: &[&str]| {
        let page = Page { query: Some(query.to_owned()), ..Page::default() };
        let found = office.service.customers(&page).await.expect("a list");
        let found: Vec<_> = found.iter().map(|customer| customer.number.as_str()).collect();
        assert_eq!(found, numbers, "{query:?}");
    };
    check("", &["10", "20", "30"]).await;
    check("ann", &["10"]).await;
    check("小明", &["30"]).await;
    check("%", &["10"]).await;
    check("n_n", &["20"]).await;
    check("nobody", &[]).await;

    let mut page = Page { limit: 2, ..Page::default() };
    let mut pages = Vec::new();
    loop {
        let found = office.service.customers(&page).await.expect("a list");
        let Some(last) = found.last() else { break };
        page.after = Some(last.customer_id.to_string());
        pages.push(found.len());
    }
    assert_eq!(pages, [2, 1]);
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let office = office().await;
    let service = &office.service;
    let (meter, sale) = (MeterId::new(NOBODY), SaleId::new(NOBODY));
    let (page, actor) = (Page::default(), Actor::System);
    let request = SaleRequest::new(meter, Money::new(100, Currency::CNY));
    let check = |what: &str, error: Option<ServiceError>| {
        let error = error.unwrap_or_else(|| panic!("no {what} exists")).to_string();
        assert!(error.starts_with(&format!("no {what} ")), "{error}");
    };
    check("customer", service.customer(CustomerId::new(NOBODY)).await.err());
    check("meter", service.meter(meter).await.err());
    check("meter", service.meter_by_serial("x").await.err());
    check("meter", service.read_meter(meter, &actor).await.err());
    check("meter", service.readings(meter, &page).await.err());
    check("meter", service.sales(meter, &page).await.err());
    check("meter", service.put_sale(sale, request, &actor).await.err());
    check("sale", service.sale(sale).await.err());
    check("sale", service.cancel_sale(sale, &actor).await.err());
    check("sale", service.reconcile_sale(sale, &actor).await.err());
    check("sale", service.wait_for_sale(sale, Duration::ZERO).await.err());
    let made = customer(service, "1").await;
    check("meter", service.open_account(meter, made.customer_id, &actor).await.err());
    assert_eq!(service.unsettled_sales().await.expect("a list"), []);
    assert_eq!(service.resume().await.expect("nothing to do"), []);
    let balance = service.trial_balance().await.expect("sums");
    assert_eq!((balance.lines.len(), balance.difference.minor()), (0, 0));
}

#[tokio::test]
async fn a_meter_that_could_not_be_reached_is_not_taken() {
    let office = office().await;
    let new = NewMeter {
        serial_number: "1".to_owned(),
        vendor: VendorCode::new("ACREL").expect("a code"),
        line: "line-1".to_owned(),
        address: MeterAddress::new("1").expect("an address"),
        parameters: Vec::new(),
        mode: None,
        tariff: flat(&office.service).await,
    };
    let error = office.service.add_meter(new, &Actor::System).await.expect_err("no driver");
    assert_eq!(error.to_string(), "vendor ACREL has no enabled driver");
}
