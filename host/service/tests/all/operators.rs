//! Operators: rights, passwords, and who is let in.

use crate::bench::{PASSWORD, office_with_owner};
use polymeter_service::{Actor, Page, Right, Rights, ServiceError};

#[tokio::test]
async fn the_first_operator_may_do_everything_and_others_what_they_are_given() {
    let (office, owner) = office_with_owner().await;
    let (service, actor) = (&office.service, Actor::Operator(owner.operator_id));
    assert_eq!(owner.rights, Rights::from(Right::ALL));
    let clerk = service.add_operator(" lin ", PASSWORD, [Right::Sell].into(), &actor).await;
    let clerk = clerk.expect("a clerk");
    assert_eq!(clerk.name, "lin");
    let (found, token) = service.log_in("lin", PASSWORD).await.expect("the clerk");
    assert_eq!(found, clerk);
    assert!(found.may(Right::Sell) && !found.may(Right::Refund));

    let both = Rights::from([Right::Sell, Right::Refund]);
    service.set_rights(clerk.operator_id, both.clone(), &actor).await.expect("given");
    let live = service.session(&token).await.expect("asked").expect("still logged in");
    assert_eq!(live.rights, both, "a right counts for the next request");

    let names: Vec<String> =
        service.operators().await.expect("all").into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["lin", "owner"]);
    let twice = service.add_operator("lin", PASSWORD, Rights::new(), &actor).await;
    assert!(matches!(twice, Err(ServiceError::Exists { what: "operator", .. })), "{twice:?}");
    let short = service.add_operator("mo", "short", Rights::new(), &actor).await;
    assert!(matches!(short, Err(ServiceError::Invalid { .. })), "{short:?}");

    let page = Page { query: Some("rights".to_owned()), ..Page::default() };
    let trail = service.audit_trail(Some(owner.operator_id), &page).await.expect("the trail");
    let details: Vec<&str> = trail.iter().map(|entry| entry.detail.as_str()).collect();
    assert_eq!(details, ["from sell to sell, refund"]);
    let by_clerk = service.audit_trail(Some(clerk.operator_id), &Page::default()).await;
    assert_eq!(by_clerk.expect("the trail").len(), 1, "the clerk only logged in");
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_comes_back_when_enabled() {
    let (office, owner) = office_with_owner().await;
    let (service, actor) = (&office.service, Actor::Operator(owner.operator_id));
    let clerk = service.add_operator("lin", PASSWORD, Rights::new(), &actor).await.expect("made");
    let (_, token) = service.log_in("lin", PASSWORD).await.expect("the clerk");
    service.set_disabled(clerk.operator_id, true, &actor).await.expect("disabled");
    assert_eq!(service.session(&token).await.expect("asked"), None);
    let refused = service.log_in("lin", PASSWORD).await;
    assert!(matches!(refused, Err(ServiceError::BadLogin)), "{refused:?}");
    service.set_disabled(clerk.operator_id, false, &actor).await.expect("enabled");
    assert_eq!(service.session(&token).await.expect("asked"), None, "the old session is over");
    service.log_in("lin", PASSWORD).await.expect("and in again");
}

#[tokio::test]
async fn somebody_is_always_left_who_may_change_operators() {
    let (office, owner) = office_with_owner().await;
    let (service, actor) = (&office.service, Actor::Operator(owner.operator_id));
    let only = "rights: nobody would be left who may change operators; give that right first";
    let refused = |end: polymeter_service::Result<()>| end.expect_err("refused").to_string();
    let id = owner.operator_id;
    assert_eq!(refused(service.set_rights(id, Rights::new(), &actor).await), only);
    assert_eq!(refused(service.set_disabled(id, true, &actor).await), only);
    assert_eq!(service.operator(id).await.expect("still there"), owner);

    let other = service.add_operator("mo", PASSWORD, [Right::Operators].into(), &actor).await;
    other.expect("a second one");
    service.set_disabled(id, true, &actor).await.expect("now another is left");
}

#[tokio::test]
async fn a_password_is_changed_by_its_owner_or_set_by_another() {
    let (office, owner) = office_with_owner().await;
    let (service, actor) = (&office.service, Actor::Operator(owner.operator_id));
    let (_, here) = service.log_in("owner", PASSWORD).await.expect("the owner");
    let (_, elsewhere) = service.log_in("owner", PASSWORD).await.expect("the owner again");
    let wrong = service.change_password(&owner, "a guess", "another one!", &here).await;
    assert_eq!(wrong.expect_err("refused").to_string(), "old: not the present password");
    service.change_password(&owner, PASSWORD, "another one!", &here).await.expect("changed");
    assert!(service.session(&here).await.expect("asked").is_some(), "the present session stays");
    assert_eq!(service.session(&elsewhere).await.expect("asked"), None);
    let old = service.log_in("owner", PASSWORD).await;
    assert!(matches!(old, Err(ServiceError::BadLogin)), "{old:?}");

    service.reset_password(owner.operator_id, "a third one!", &actor).await.expect("set");
    assert_eq!(service.session(&here).await.expect("asked"), None, "set by another: out");
    service.log_in("owner", "a third one!").await.expect("the newest password");
}
