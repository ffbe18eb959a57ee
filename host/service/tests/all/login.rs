//! The first operator, sessions, and how guessing is slowed down.

use crate::bench::{PASSWORD, office, office_with_owner};
use polymeter_service::{Page, ServiceError};

#[tokio::test]
async fn the_setup_link_works_once_and_only_the_newest() {
    let office = office().await;
    let service = &office.service;
    let old = service.setup_secret().await.expect("stored").expect("nobody yet");
    let secret = service.setup_secret().await.expect("stored").expect("nobody yet");
    assert_eq!((old.len(), old == secret), (64, false));

    let refused = async |secret: &str, password: &str| {
        service.set_up(secret, "owner", password).await.expect_err("refused").to_string()
    };
    let used_up = "this link is used up or was never valid";
    assert_eq!(refused(&old, PASSWORD).await, used_up);
    assert_eq!(refused("", PASSWORD).await, used_up);
    assert_eq!(refused(&secret, "too short").await, "password: fewer than 10 characters");
    assert_eq!(refused(&secret, &"x".repeat(257)).await, "password: more than 256 characters");

    // Two at once: one wins.
    let (one, two) = tokio::join!(
        service.set_up(&secret, "owner", PASSWORD),
        service.set_up(&secret, "rival", PASSWORD)
    );
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1, "{one:?} {two:?}");
    assert_eq!(refused(&secret, PASSWORD).await, used_up);
    assert_eq!(service.setup_secret().await.expect("asked"), None);
}

#[tokio::test]
async fn a_session_lasts_twelve_hours_or_until_logged_out() {
    let (office, _) = office_with_owner().await;
    let service = &office.service;
    let (operator, token) = service.log_in("owner", PASSWORD).await.expect("the right password");
    assert_eq!((operator.name.as_str(), token.len()), ("owner", 64));
    let session = async |token: &str| service.session(token).await.expect("asked");
    assert_eq!(session(&token).await.as_ref(), Some(&operator));
    assert_eq!(session("").await, None);

    office.clock.advance_ms(12 * 3_600_000 - 1);
    assert_eq!(session(&token).await.as_ref(), Some(&operator));
    office.clock.advance_ms(1);
    assert_eq!(session(&token).await, None);

    let (_, token) = service.log_in(" owner ", PASSWORD).await.expect("the right password");
    service.log_out(&token).await.expect("logged out");
    service.log_out(&token).await.expect("twice is no error");
    assert_eq!(session(&token).await, None);
}

#[tokio::test]
async fn ten_guesses_are_slowed_down_and_the_owner_gets_in() {
    let (office, _) = office_with_owner().await;
    let service = &office.service;
    for name in ["owner", "nobody"] {
        for guess in 0..10 {
            let error = service.log_in(name, "a wrong one").await.expect_err("wrong").to_string();
            let expected = match guess {
                0..5 => "wrong name or password",
                _ => "too many wrong passwords; try again in 1 s",
            };
            assert_eq!(error, expected, "{name} {guess}");
        }
    }
    // Even the right one waits, or a guesser would learn it from the answer.
    let error = service.log_in("owner", PASSWORD).await.expect_err("too early");
    assert!(matches!(error, ServiceError::TooManyLogins { retry_after_s: 1 }), "{error}");
    office.clock.advance_ms(1000);
    service.log_in("owner", PASSWORD).await.expect("after the wait");
    service.log_in("owner", PASSWORD).await.expect("and the count is forgiven");

    let trail = service.audit_trail(None, &Page::default()).await.expect("the trail");
    let failed = trail.iter().filter(|entry| entry.act == "login-failed");
    let unknown = failed.clone().filter(|entry| entry.object == "operator/unknown").count();
    assert_eq!((failed.count(), unknown), (10, 5));
    assert!(!format!("{trail:?}").contains("nobody"), "a typed name is not kept");
}
