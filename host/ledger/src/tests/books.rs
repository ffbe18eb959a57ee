//! What may be booked, and what it comes to.

use super::*;
use crate::{Balance, TransferKind};

/// Each line of `ledger` succeeds, or fails with what stands after `=>`. `balances` has one line
/// per account: name, debits and credits pending, debits and credits posted.
pub(super) async fn check(ledger: &str, balances: &str) {
    let books = books().await;
    for line in ledger.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (line, expected) = line.split_once(" => ").unwrap_or((line, "ok"));
        let outcome = match book(&books.database, line).await {
            Ok(()) => "ok".to_owned(),
            Err(error) => short(&error.to_string()),
        };
        assert_eq!(outcome, expected, "{line}");
    }
    let found = books.database.trial_balance().await.expect("balances");
    let shown: Vec<String> = found.iter().map(shown).collect();
    let expected: Vec<String> = balances
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(shown, expected, "{ledger}");
    books.database.verify().await.expect("a whole ledger");
}

pub(super) fn shown(balance: &Balance) -> String {
    let Balance { name, debits_pending, credits_pending, debits_posted, credits_posted, .. } =
        balance;
    format!("{name} {debits_pending} {credits_pending} {debits_posted} {credits_posted}")
}

#[tokio::test]
async fn a_reservation_is_posted_or_voided_once() {
    check("", "").await;
    check(
        "t1 pending cash meter 50.00",
        "cash  50.00  0.00  0.00  0.00
         meter  0.00 50.00  0.00  0.00",
    )
    .await;
    check(
        "t1 pending cash meter 50.00
         t2 post t1
         t3 pending cash meter 20.00
         t4 void t3
         t5 pending meter cash 0.01",
        "cash   0.00  0.01 50.00  0.00
         meter  0.01  0.00  0.00 50.00",
    )
    .await;
    check(
        "t1 pending cash meter 50.00
         t2 post t1
         t3 void t1 => transfer t1 was already posted
         t3 post t1 => transfer t1 was already posted
         t4 pending cash meter 1.00
         t5 void t4
         t6 post t4 => transfer t4 was already voided
         t6 post t9 => no pending transfer t9
         t6 post t2 => no pending transfer t2",
        "cash  0.00 0.00 50.00  0.00
         meter 0.00 0.00  0.00 50.00",
    )
    .await;
}

#[tokio::test]
async fn asking_again_books_nothing_and_other_content_is_refused() {
    check(
        "t1 pending cash meter 50.00
         t1 pending cash meter 50.00
         t1 pending cash meter 50.01 => transfer t1 exists with other content
         t1 pending meter cash 50.00 => transfer t1 exists with other content
         t1 post t1 => transfer t1 exists with other content
         t2 post t1
         t2 post t1
         t2 void t1 => transfer t2 exists with other content
         t2 pending cash meter 50.00 => transfer t2 exists with other content
         t1 pending cash meter 50.00",
        "cash  0.00 0.00 50.00  0.00
         meter 0.00 0.00  0.00 50.00",
    )
    .await;
}

#[tokio::test]
async fn what_is_no_transfer_leaves_nothing_behind() {
    let long = "a".repeat(201);
    check(
        &format!(
            "t1 pending cash meter 0.00 => transfer t1: the amount must be positive, not 0
             t1 pending cash meter -1.00 => transfer t1: the amount must be positive, not -100
             t1 pending cash cash 1.00 => transfer t1: debit and credit are the same account
             t1 pending cash {long} 1.00 => `{long}` cannot name an account: 1 to 200 characters, \
             no control characters"
        ),
        "",
    )
    .await;
}

#[tokio::test]
async fn sums_beyond_64_bits_are_an_error_that_names_the_account() {
    let most = "92233720368547758.07";
    check(
        &format!("t1 pending cash meter {most}\nt2 post t1"),
        &format!("cash 0.00 0.00 {most} 0.00\nmeter 0.00 0.00 0.00 {most}"),
    )
    .await;
    let books = books().await;
    for line in [&format!("t1 pending cash a {most}"), "t2 pending cash b 0.01"] {
        book(&books.database, line).await.expect("booked");
    }
    let error = books.database.trial_balance().await.expect_err("too much");
    assert_eq!(error.to_string(), "the sum of account cash does not fit 64 bits of minor units");
}

#[tokio::test]
async fn entries_are_those_of_one_reference_in_order() {
    let books = books().await;
    for line in ["t1 pending cash meter 5.00", "t2 post t1"] {
        book(&books.database, line).await.expect("booked");
    }
    let entries = books.database.entries(Uuid::nil()).await.expect("entries");
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| (entry.kind, entry.debit.as_str(), entry.credit.as_str(), entry.at_ms))
        .collect();
    let expected =
        [(TransferKind::Pending, "cash", "meter", 1), (TransferKind::Post, "cash", "meter", 2)];
    assert_eq!(shown, expected);
    assert_eq!(books.database.entries(Uuid::max()).await.expect("entries"), []);
}

#[tokio::test]
async fn an_unknown_account_is_refused() {
    let books = books().await;
    let new = NewTransfer {
        transfer_id: transfer_id(1),
        debit: polymeter_domain::AccountId::new(Uuid::from_u128(2)),
        credit: polymeter_domain::AccountId::new(Uuid::from_u128(3)),
        amount: Money::new(1, FEN),
        reference: Uuid::nil(),
        at_ms: 1,
    };
    let error: LedgerError = books
        .database
        .write(move |tx| Box::pin(async move { pending(tx, &new).await }))
        .await
        .expect_err("no such account");
    assert_eq!(short(&error.to_string()), "no account t2");
}

/// Random walks over pending, post and void, right and wrong ones: the books stay whole, and come
/// to what a plain list of what was accepted comes to.
#[tokio::test]
async fn any_sequence_keeps_debits_equal_to_credits() {
    for seed in 1..=8_u64 {
        let books = books().await;
        let mut random = seed;
        // Knuth's MMIX constants; the high bits are the good ones.
        let mut below = |limit: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % limit
        };
        let mut reserved = vec![0; 40];
        let mut posted = 0;
        for _ in 0..60 {
            let (id, of) = (below(40), below(40));
            let minor = i64::try_from(below(9) + 1).expect("small");
            let slot = usize::try_from(of).expect("small");
            let verb = ["pending", "post", "void"][usize::try_from(below(3)).expect("small")];
            let line = match verb {
                "pending" => format!("t{of} pending cash meter 0.0{minor}"),
                _ => format!("t{} {verb} t{of}", 40 + id),
            };
            let before = books.database.verify().await.expect("whole").transfers;
            let accepted = book(&books.database, &line).await.is_ok();
            let after = books.database.verify().await.expect("whole").transfers;
            match (accepted && after > before, verb) {
                (true, "pending") => reserved[slot] = minor,
                (true, "post") => posted += std::mem::take(&mut reserved[slot]),
                (true, _) => reserved[slot] = 0,
                (false, _) => assert_eq!(after, before, "{line}"),
            }
        }
        let balances = books.database.trial_balance().await.expect("balances");
        let sum = |column: fn(&Balance) -> Money| -> i64 {
            balances.iter().map(|balance| column(balance).minor()).sum()
        };
        let reserved: i64 = reserved.iter().sum();
        assert_eq!(sum(|balance| balance.debits_pending), reserved, "seed {seed}");
        assert_eq!(sum(|balance| balance.credits_pending), reserved, "seed {seed}");
        assert_eq!(sum(|balance| balance.debits_posted), posted, "seed {seed}");
        assert_eq!(sum(|balance| balance.credits_posted), posted, "seed {seed}");
    }
}
