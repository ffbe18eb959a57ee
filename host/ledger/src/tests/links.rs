//! Linked transfers, transfers posted at once, and transfers that take one back: by the crate, by the
//! database itself when a person goes round the crate, and in the eyes of `verify`.

use super::books::check;
use super::tampering::unguarded;
use super::*;
use crate::chain::{Form, Row};
use crate::table::row_from;

#[tokio::test]
async fn a_link_is_posted_or_voided_as_a_whole() {
    check(
        "t1 pending cash meter 9.00 + t2 pending cash fee 1.00 + t3 pending cash tax 0.50
         t1 pending cash meter 9.00 + t2 pending cash fee 1.00 + t3 pending cash tax 0.50
         t1 pending cash meter 9.00 + t2 pending cash fee 1.00 => transfer t2 exists with other content
         t1 pending cash meter 9.00 => transfer t1 exists with other content
         t9 post t2 => transfer t2 is linked to one before it: post or void the first of its link
         t9 void t3 => transfer t3 is linked to one before it: post or void the first of its link
         t4 post t1
         t4 post t1
         t5 void t1 => transfer t1 was already posted",
        "cash  0.00 0.00 10.50 0.00
         fee   0.00 0.00  0.00 1.00
         meter 0.00 0.00  0.00 9.00
         tax   0.00 0.00  0.00 0.50",
    )
    .await;
    check(
        "t1 pending cash meter 9.00 + t2 pending cash fee 1.00
         t3 pending cash fee 4.00
         t4 void t1
         t5 post t1 => transfer t1 was already voided",
        "cash  4.00 0.00 0.00 0.00
         fee   0.00 4.00 0.00 0.00
         meter 0.00 0.00 0.00 0.00",
    )
    .await;
}

/// A job that fails in the middle of its link leaves nothing of it.
#[tokio::test]
async fn a_link_that_cannot_be_written_whole_is_not_written() {
    check(
        "t1 book cash meter 1.00
         t2 book cash fee 2.00 + t3 book cash cash 1.00 => transfer t3: debit and credit are the same account
         t2 pending cash fee 2.00 + t1 pending cash meter 1.00 => transfer t1 exists with other content
         t2 book cash fee 2.00 + t2 book cash fee 2.00 => transfer t2 exists with other content",
        "cash  0.00 0.00 1.00 0.00
         meter 0.00 0.00 0.00 1.00",
    )
    .await;
}

#[tokio::test]
async fn a_posted_transfer_is_taken_back_once() {
    check(
        "t1 book cash fee 2.00
         t2 contra t1
         t2 contra t1
         t3 contra t1 => transfer t1 was already taken back by transfer t2
         t3 contra t2 => transfer t2 has not moved anything that could be taken back
         t4 pending cash meter 5.00
         t5 contra t4 => transfer t4 has not moved anything that could be taken back
         t6 post t4
         t7 contra t4
         t8 contra t6 => transfer t6 was already taken back by transfer t7
         t7 contra t6
         t7 contra t1 => transfer t7 exists with other content
         t9 pending cash meter 1.00
         t10 void t9
         t11 contra t9 => transfer t9 has not moved anything that could be taken back
         t11 contra t77 => transfer t77 has not moved anything that could be taken back",
        "cash  0.00 0.00 7.00 7.00
         fee   0.00 0.00 2.00 2.00
         meter 0.00 0.00 5.00 5.00",
    )
    .await;
    // A correction: what was wrong is taken back and what is right is booked, both or neither.
    check(
        "t1 book cash fee 2.00
         t2 contra t1 + t3 book cash fee 3.00
         t4 contra t1 + t5 book cash fee 4.00 => transfer t1 was already taken back by transfer t2",
        "cash 0.00 0.00 5.00 2.00
         fee  0.00 0.00 2.00 5.00",
    )
    .await;
}

#[tokio::test]
async fn a_link_has_one_reference_and_a_bounded_number_of_rows() {
    let books = books().await;
    let of = |count: u128, references: u128| -> Vec<NewTransfer> {
        let new = |number| NewTransfer {
            transfer_id: transfer_id(number),
            debit: crate::book::account_id("a", "CNY"),
            credit: crate::book::account_id("b", "CNY"),
            amount: Money::new(1, FEN),
            reference: Uuid::from_u128(number % references),
            at_ms: 1,
        };
        (1..=count).map(new).collect()
    };
    for (link, why) in [
        (of(0, 1), "these transfers cannot be linked: it has 1 to 1000 transfers"),
        (of(1001, 1), "these transfers cannot be linked: it has 1 to 1000 transfers"),
        (of(2, 2), "these transfers cannot be linked: its transfers have one reference"),
    ] {
        let job = books.database.write(move |tx| {
            Box::pin(async move {
                account(tx, "a", FEN, 1).await?;
                account(tx, "b", FEN, 1).await?;
                pending_linked(tx, &link).await
            })
        });
        let error: LedgerError = job.await.expect_err(why);
        assert_eq!(error.to_string(), why);
    }
    let longest = of(1000, 1);
    let reserve = books.database.write(move |tx| {
        Box::pin(async move {
            account(tx, "a", FEN, 1).await?;
            account(tx, "b", FEN, 1).await?;
            pending_linked(tx, &longest).await?;
            post(tx, transfer_id(2000), transfer_id(1), 2).await
        })
    });
    let done: Result<(), LedgerError> = reserve.await;
    done.expect("a long link");
    assert_eq!(books.database.verify().await.expect("whole").transfers, 2000);
}

/// The next row of the books, as somebody with a database tool would chain it.
async fn next_row(books: &Books, of: i64, change: impl FnOnce(Row) -> Row) -> String {
    let reader = books.database.reader();
    let stored = sqlx::query("select * from transfer where sequence = $1").bind(of);
    let row = row_from(&stored.fetch_one(reader).await.expect("a row")).expect("a good row");
    let verified = books.database.verify().await.expect("whole");
    let sequence = i64::try_from(verified.transfers).expect("few") + 1;
    let transfer_id = transfer_id(90);
    let row = change(Row { form: Form::Second, sequence, transfer_id, next: None, ..row });
    let or_null = |id: Option<TransferId>| id.map_or("null".to_owned(), |id| format!("'{id}'"));
    format!(
        "insert into transfer values ({sequence}, '{}', '{}', '{}', '{}', {}, 'CNY', {}, '{}', 9, \
         '{}', 2, {}, {})",
        row.transfer_id,
        row.kind.name(),
        row.debit,
        row.credit,
        row.amount.minor(),
        or_null(row.pending),
        row.reference,
        Row { at_ms: 9, ..row.clone() }.chain_hash(&verified.head),
        or_null(row.contra),
        or_null(row.next),
    )
}

/// What the database says to a row, and what `verify` says to it where the database was made silent.
async fn check_row(
    ledger: &[&str],
    of: i64,
    change: impl Fn(Row) -> Row,
    refused: &str,
    found: &str,
) {
    for by_force in [false, true] {
        let books = books().await;
        for line in ledger {
            book(&books.database, line).await.expect(line);
        }
        let sql = next_row(&books, of, &change).await;
        if !by_force {
            let error = books.by_hand(&sql).await.expect_err(refused).to_string();
            assert!(error.contains(refused), "{refused}: {error}");
            continue;
        }
        books.by_hand(&unguarded(&sql)).await.expect("without triggers");
        let error = books.database.verify().await.expect_err(found).to_string();
        assert!(short(&error).contains(found), "{found}: {}", short(&error));
    }
}

#[tokio::test]
async fn the_database_and_verify_refuse_a_part_of_a_link() {
    use crate::TransferKind::{Book, Contra, Post};
    let linked = ["t1 pending cash meter 9.00 + t2 pending cash fee 1.00"];
    let whole = "the pending rows of one link are posted or voided together";
    let part = "(id t90): ends a part of a link";
    let post_of = |row: Row, of| Row { kind: Post, pending: Some(transfer_id(of)), ..row };
    check_row(&linked, 1, |row| post_of(row, 1), whole, part).await;
    check_row(&linked, 2, |row| post_of(row, 2), whole, part).await;

    let reversed = |row: Row, of| Row {
        kind: Contra,
        debit: row.credit,
        credit: row.debit,
        pending: None,
        contra: Some(transfer_id(of)),
        ..row
    };
    let takes_back = "a contra row takes back a whole posted row, accounts reversed";
    let booked = ["t1 book cash meter 9.00", "t2 contra t1"];
    let none = "no earlier posted row has the id that it takes back";
    check_row(&linked, 1, |row| reversed(row, 1), takes_back, none).await;
    check_row(&booked, 2, |row| reversed(row, 2), takes_back, none).await;
    let not_all = |row: Row| Row { amount: Money::new(899, FEN), ..reversed(row, 1) };
    let not_reverse = "is not the reverse of the row that it takes back";
    check_row(&booked[..1], 1, not_all, takes_back, not_reverse).await;
    let same_way = |row: Row| Row { kind: Contra, contra: Some(transfer_id(1)), ..row };
    check_row(&booked[..1], 1, same_way, takes_back, not_reverse).await;

    // Taken back a second time: no trigger, but a unique key.
    let books = books().await;
    for line in booked {
        book(&books.database, line).await.expect(line);
    }
    let sql = next_row(&books, 1, |row| reversed(row, 1)).await;
    let booked = |row: Row| Row { kind: Book, ..reversed(row, 1) };
    let as_book = next_row(&books, 1, booked).await;
    let error = books.by_hand(&unguarded(&sql)).await.expect_err("twice").to_string();
    let unique = by_engine("transfer.contra_id", "transfer_is_taken_back_once");
    assert!(error.contains(unique), "{error}");
    let error = books.by_hand(&as_book).await.expect_err("a book row").to_string();
    assert!(error.contains("transfer_contra_id_by_kind"), "{error}");
}

/// A job that goes round the crate and leaves its link open: the COMMIT itself is refused.
#[tokio::test]
async fn a_link_that_is_not_whole_is_not_committed() {
    let books = books().await;
    book(&books.database, "t1 book cash meter 9.00").await.expect("booked");
    let open = next_row(&books, 1, |row| Row { next: Some(transfer_id(91)), ..row }).await;
    let done: Result<(), LedgerError> = books
        .database
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query(sqlx::AssertSqlSafe(open))
                    .execute(tx.connection())
                    .await
                    .map(|_| ())
                    .map_err(LedgerError::storage("booking by hand"))
            })
        })
        .await;
    let error = done.expect_err("half a link");
    let refused = by_engine(
        matches!(error, LedgerError::NotCommitted(_)),
        matches!(error, LedgerError::NotStored(_)),
    );
    assert!(refused, "{error:?}");
    assert_eq!(books.database.verify().await.expect("whole").transfers, 1);

    // Cut off in the midst of a link by somebody who may do everything.
    book(&books.database, "t2 book cash a 1.00 + t3 book cash b 1.00").await.expect("booked");
    let cut = by_engine(
        "pragma foreign_keys = off; delete from transfer where sequence = 3",
        "delete from transfer where sequence = 3",
    );
    books.by_hand(&unguarded(cut)).await.expect("cut");
    let error = books.database.verify().await.expect_err("cut").to_string();
    let found = "broken at transfer sequence 3: is missing; row 2 is linked to it (id t3)";
    assert_eq!(short(&error), found);
}

/// Another row after the first of a link than the one it names.
#[tokio::test]
async fn what_a_row_is_linked_to_follows_at_once() {
    let books = books().await;
    book(&books.database, "t1 book cash meter 9.00").await.expect("booked");
    let first = next_row(&books, 1, |row| Row { next: Some(transfer_id(92)), ..row }).await;
    let second = "insert into transfer select 3, '00000000-0000-0000-0000-00000000005b', kind,
        debit_account_id, credit_account_id, amount_minor, currency, null, reference, at_ms,
        chain_hash, 2, null, null from transfer where sequence = 1";
    let error = books.by_hand(&format!("begin; {first}; {second}; commit")).await;
    let error = error.expect_err("another row").to_string();
    assert!(error.contains("a link is written whole"), "{error}");
}
