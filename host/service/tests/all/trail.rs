//! The audit trail can be read and extended, and nothing else.

use crate::bench::{customer, office, tamper};
use polymeter_service::Page;

#[tokio::test]
async fn the_trail_cannot_be_changed() {
    let office = office().await;
    for number in ["1", "2", "3"] {
        customer(&office.service, number).await;
    }
    let trail = office.service.audit_trail(None, &Page::default()).await.expect("the trail");
    assert_eq!(trail.len(), 3);
    let (replace, again) = if databases::server().is_some() {
        ("truncate audit", "violates unique constraint \"audit_pk\"")
    } else {
        ("replace into audit values (1, 0, null, 'x', 'x', 'x', null)", "append-only")
    };
    for (sql, why) in [
        ("update audit set detail = 'x' where audit_id = 1", "append-only"),
        ("delete from audit", "append-only"),
        (replace, "append-only"),
        ("insert into audit values (1, 0, null, 'x', 'x', 'x', null)", again),
        (
            "insert into audit values (1, 0, null, 'x', 'x', 'x', null)
             on conflict (audit_id) do update set act = 'x'",
            "append-only",
        ),
    ] {
        let refused = tamper(&office.database, sql).await.expect_err(sql);
        assert!(refused.contains(why), "{sql}: {refused}");
    }
    assert_eq!(office.service.audit_trail(None, &Page::default()).await.expect("the trail"), trail);
}

#[tokio::test]
async fn the_trail_is_paged_newest_first() {
    let office = office().await;
    for number in ["1", "2", "3"] {
        customer(&office.service, number).await;
    }
    let mut page = Page { limit: 2, ..Page::default() };
    let newest = office.service.audit_trail(None, &page).await.expect("the trail");
    assert_eq!(newest.iter().map(|entry| entry.audit_id).collect::<Vec<_>>(), [3, 2]);
    page.after = Some("2".to_owned());
    let oldest = office.service.audit_trail(None, &page).await.expect("the trail");
    assert_eq!(oldest.iter().map(|entry| entry.audit_id).collect::<Vec<_>>(), [1]);
    page.after = Some("x".to_owned());
    assert!(office.service.audit_trail(None, &page).await.is_err());
}
