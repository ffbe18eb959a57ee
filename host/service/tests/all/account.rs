//! The life of a customer's account: the file and its history, applications, installations, holds.

use crate::bench::{customer, new_customer, office, tamper};
use crate::field::{Field, METERS, field, sale_id, unopened_field};
use meter_sim::{FaultKind, On};
use polymeter_domain::{ApplicationId, SupplyCommand, SupplyState};
use polymeter_service::{
    AccountState, Actor, Applicant, Application, ApplicationKind, ApplicationState, CustomerEdit,
    FileOf, MeterEdit, NewApplication, Page, RatioChange, ServiceError, Used, Why, typed_reading,
};
use uuid::Uuid;

fn why(reason: &str) -> Why {
    Why { reason: reason.to_owned(), application: None }
}

fn application_id(number: u128) -> ApplicationId {
    ApplicationId::new(Uuid::from_u128(number))
}

#[tokio::test]
async fn every_change_of_a_file_is_kept_with_who_why_old_and_new() {
    let office = office().await;
    let service = &office.service;
    let id = customer(service, "11").await.customer_id;
    let new = NewApplication {
        kind: ApplicationKind::Change,
        applicant: Applicant::Customer(id),
        wish: "new phone".to_owned(),
    };
    let asked = service.put_application(application_id(1), new, &Actor::System).await.expect("in");
    let edit = CustomerEdit {
        name: Some("Somebody".to_owned()),
        phone: Some("139".to_owned()),
        equipment: Some("oven 3 kW".to_owned()),
        ..CustomerEdit::default()
    };
    let because =
        Why { reason: "came in person".to_owned(), application: Some(asked.application_id) };
    let changed =
        service.edit_customer(id, edit.clone(), because.clone(), &Actor::System).await.expect("ok");
    assert_eq!((changed.phone.as_str(), changed.equipment.as_str()), ("139", "oven 3 kW"));
    for of in [FileOf::Customer(id), FileOf::Application(asked.application_id)] {
        let kept = service.file_changes(of, &Page::default()).await.expect("a history");
        let fields: Vec<_> =
            kept.iter().map(|it| (it.field.as_str(), it.old.as_str(), it.new.as_str())).collect();
        // The name stayed as it was, so it has no line.
        assert_eq!(fields, [("equipment", "", "oven 3 kW"), ("phone", "", "139")]);
        assert!(kept.iter().all(|it| it.reason == "came in person" && it.actor == Actor::System));
    }
    let asked = service.application(asked.application_id).await.expect("it");
    assert_eq!(asked.state, ApplicationState::Done);

    let again = service.edit_customer(id, edit.clone(), because, &Actor::System).await;
    assert!(matches!(again, Err(ServiceError::Blocked { .. })), "done already: {again:?}");
    let silent = service.edit_customer(id, edit, why(" "), &Actor::System).await;
    assert!(matches!(silent, Err(ServiceError::Invalid { field: "reason", .. })));
    for sql in ["update file_change set old_value = 'x'", "delete from file_change"] {
        assert!(tamper(&office.database, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_meters_file_is_edited_and_never_under_a_sale() {
    let field = field().await;
    let (service, meter) = (&field.service, field.meters[0]);
    let edit = MeterEdit { serial_number: Some("A-7".to_owned()), ..MeterEdit::default() };
    let changed = service.edit_meter(meter, edit.clone(), why("typing error"), &Actor::System);
    assert_eq!(changed.await.expect("edited").serial_number, "A-7");
    let kept = service.file_changes(FileOf::Meter(meter), &Page::default()).await.expect("kept");
    assert_eq!((kept[0].old.as_str(), kept[0].new.as_str()), (METERS[0], "A-7"));
    let error = service.edit_meter(field.meters[1], edit, why("x"), &Actor::System).await;
    assert!(matches!(error, Err(ServiceError::Exists { what: "meter", .. })), "{error:?}");

    field.fault(0, On::Any, FaultKind::NoReply, 40);
    field.sell(sale_id(1), 0, 100).await;
    let edit = MeterEdit { serial_number: Some("A-8".to_owned()), ..MeterEdit::default() };
    let error = service.edit_meter(meter, edit, why("x"), &Actor::System).await;
    assert!(matches!(error, Err(ServiceError::Unsettled { .. })), "{error:?}");
}

async fn applied(field: &Field, number: u128, customer: &str) -> Application {
    let new = NewApplication {
        kind: ApplicationKind::Supply,
        applicant: Applicant::New(new_customer(customer, "Shop")),
        wish: "two meters in the new hall".to_owned(),
    };
    let asked = field.service.put_application(application_id(number), new, &Actor::System).await;
    asked.expect("taken in")
}

#[tokio::test]
async fn an_application_is_prepared_and_opens_its_meters_with_one_click() {
    let field = unopened_field().await;
    let (service, actor) = (&field.service, Actor::System);
    let asked = applied(&field, 1, "11").await;
    assert_eq!((asked.number, asked.state), (1, ApplicationState::Received));
    assert_eq!(applied(&field, 1, "11").await, asked, "a double click is one");
    let error = service.open_application(asked.application_id, &actor).await.expect_err("none");
    assert_eq!(error.to_string(), "application 1: no meter was prepared for it yet");

    let both = field.meters.clone();
    let ready = service.prepare_application(asked.application_id, both.clone(), &actor).await;
    assert_eq!(ready.expect("prepared").state, ApplicationState::Prepared);
    let rival = applied(&field, 2, "22").await;
    let error = service.prepare_application(rival.application_id, both, &actor).await;
    let error = error.expect_err("taken").to_string();
    assert!(error.contains("application 1 is to open it already"), "{error}");

    // One meter is silent: the other is opened, and the next click goes on.
    field.fault(1, On::Any, FaultKind::NoReply, 400);
    let ids = vec![rival.application_id, asked.application_id];
    let ended = service.open_applications(ids.clone(), &actor).await;
    assert!(ended.iter().all(|(_, result)| result.is_err()), "{ended:?}");
    let half = service.application(asked.application_id).await.expect("it");
    let opened: Vec<_> = half.meters.iter().map(|meter| meter.opened_at.is_some()).collect();
    assert_eq!(opened, [true, false]);
    field.simulator.clear_faults(METERS[1]).expect("a meter");
    let ended = service.open_applications(ids, &actor).await;
    assert!(ended[0].1.is_err() && ended[1].1.is_ok(), "{ended:?}");
    let done = service.open_application(asked.application_id, &actor).await.expect("again");
    assert_eq!(done.state, ApplicationState::Done);
    for meter in &field.meters {
        let meter = service.meter(*meter).await.expect("a meter");
        assert_eq!(meter.account, AccountState::Open);
        let installed = service.installations_of_meter(meter.meter_id).await.expect("a list");
        assert_eq!((installed.len(), installed[0].customer_id), (1, asked.customer_id));
        assert!(meter.last_reading.is_some(), "where consumption begins");
    }
    let of = FileOf::Application(asked.application_id);
    let kept = service.file_changes(of, &Page::default()).await.expect("a history");
    assert_eq!(
        kept.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(),
        ["meter", "meter", "file"]
    );
}

/// C15: a register that is another one, or set back, gives a sentence and no huge number.
#[tokio::test]
async fn consumption_is_counted_within_an_installation_and_never_across() {
    let field = field().await;
    let (service, meter, actor) = (&field.service, field.meters[0], Actor::System);
    let ratio = |ct, reading: &str| RatioChange {
        ct,
        pt: 1,
        reading: Some(typed_reading(reading).expect("a reading")),
    };
    service.change_ratio(meter, ratio(20, "100"), why("transformers"), &actor).await.expect("ok");
    service.change_ratio(meter, ratio(30, "150"), why("larger"), &actor).await.expect("ok");
    let error = service.change_ratio(meter, ratio(0, "151"), why("x"), &actor).await;
    assert!(matches!(error, Err(ServiceError::Invalid { field: "ratio", .. })), "{error:?}");
    let error = service.change_ratio(meter, ratio(40, "149.999"), why("x"), &actor).await;
    let error = error.expect_err("backwards").to_string();
    assert!(error.contains("149.999 kWh is below the 150.000 kWh that meter"), "{error}");
    let error = service.change_ratio(meter, ratio(30, "151"), why("x"), &actor).await;
    assert!(error.expect_err("the same").to_string().contains("already"));

    let installed = service.installations_of_meter(meter).await.expect("a list");
    let ratios: Vec<_> = installed.iter().map(|it| it.ct).collect();
    let counted = async |nth: usize| {
        service.consumption(installed[nth].installation_id).await.expect("it").used
    };
    assert_eq!(ratios.len(), 3);
    let middle = installed.iter().position(|it| it.ct == 20).expect("the middle one");
    assert_eq!(counted(middle).await, Used::Known(1_000_000), "50 kWh through 20");
    let last = installed.iter().position(|it| it.ct == 30).expect("the last one");
    assert_eq!(counted(last).await, Used::NotRead);
    // The device itself stands at 0: below where this installation begins.
    service.read_meter(meter, &actor).await.expect("a reading");
    assert_eq!(counted(last).await, Used::Backwards);
    let tampered = tamper(&field.database, "update installation set ended = 'x'").await;
    assert!(tampered.is_err());
}

#[tokio::test]
async fn a_suspended_meter_is_not_sold_to_and_a_bypassed_switch_not_switched() {
    let field = field().await;
    let (service, meter, actor) = (&field.service, field.meters[0], Actor::System);
    let held = service.suspend(meter, why("moved away"), &actor).await.expect("suspended");
    assert_eq!(held.supply.expect("switched"), SupplyState::Disconnected);
    let again = service.suspend(meter, why("twice"), &actor).await.expect_err("already");
    assert!(again.to_string().contains("it is suspended already (moved away)"), "{again}");
    let request = field.request(0, 100);
    let error = service.put_sale(sale_id(1), request, &actor).await.expect_err("suspended");
    let told = "meter 000000000001: it is suspended (moved away); resume it first";
    assert_eq!(error.to_string(), told);
    assert_eq!(field.truth(0).sell_frames, 0);

    let connect = service.control(meter, SupplyCommand::AllowConnection, &actor).await;
    assert_eq!(connect.expect_err("suspended").to_string(), told);
    let cut = service.control(meter, SupplyCommand::Disconnect, &actor).await;
    assert_eq!(cut.expect("cutting is never refused"), SupplyState::Disconnected);
    service.resume_supply(meter, why("back"), &actor).await.expect("resumed");
    assert!(service.resume_supply(meter, why("twice"), &actor).await.is_err());
    assert_eq!(field.sell(sale_id(2), 0, 100).await.state.name(), "confirmed");

    service.bypass(meter, why("relay burnt"), &actor).await.expect("bypassed");
    let error = service.control(meter, SupplyCommand::Disconnect, &actor).await.expect_err("no");
    assert!(error.to_string().contains("its switch is bypassed (relay burnt)"), "{error}");
    service.end_bypass(meter, why("replaced"), &actor).await.expect("back");
    service.control(meter, SupplyCommand::Disconnect, &actor).await.expect("it switches");
    let holds = service.holds(meter).await.expect("a list");
    assert!(holds.len() == 2 && holds.iter().all(|hold| hold.to.is_some()), "{holds:?}");
    field.check_money().await;
}
