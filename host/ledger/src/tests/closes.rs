//! Day closes: in order, each once, each only its day; what they see of a changed or cut ledger and audit
//! trail (R26), and that no flipped bit of the file stays unseen (R7).

use super::books::shown;
use super::tampering::unguarded;
use super::*;
use crate::{Balance, Head, Moment, PreparedClose, TrailRow, audit, close_day};
use std::path::Path;

async fn prepared(books: &Books, day: &str) -> Result<PreparedClose, LedgerError> {
    books.database.prepare_close(day, 7).await
}

async fn close(books: &Books, day: &str) -> Result<Head, LedgerError> {
    let prepared = prepared(books, day).await?;
    books
        .database
        .write(move |tx| {
            Box::pin(async move {
                close_day(tx, &prepared, "signed").await?;
                note(tx, "day-closed").await?;
                Ok(prepared.head)
            })
        })
        .await
}

async fn note(tx: &mut Transaction, act: &'static str) -> Result<(), LedgerError> {
    let row = TrailRow {
        at_ms: 1,
        operator_id: None,
        act,
        object: "x",
        detail: "a reason\nof two lines",
    };
    audit(tx.connection(), row).await
}

/// Two closed days and an open one, with acts in the audit trail.
async fn three_days() -> (Books, Vec<Head>) {
    let books = books().await;
    let mut heads = Vec::new();
    for (day, lines) in [
        ("2026-03-01", vec!["t1 pending cash meter 50.00", "t2 post t1", "t3 book cash fee 1.00"]),
        (
            "2026-03-03",
            vec!["t4 pending cash meter 9.00 + t5 pending cash fee 1.00", "t6 contra t3"],
        ),
        ("", vec!["t7 void t4", "t8 book card meter 3.00"]),
    ] {
        for line in lines {
            book(&books.database, line).await.expect(line);
            let noted: Result<(), LedgerError> =
                books.database.write(|tx| Box::pin(note(tx, "booked"))).await;
            noted.expect("a row of the trail");
        }
        if !day.is_empty() {
            heads.push(close(&books, day).await.expect(day));
        }
    }
    (books, heads)
}

#[tokio::test]
async fn days_are_closed_in_order_and_once() {
    let (books, heads) = three_days().await;
    let shown: Vec<_> =
        heads.iter().map(|head| (head.number, head.sequence, head.audit_id)).collect();
    assert_eq!(shown, [(1, 3, 3), (2, 6, 6)]);
    for (day, last) in [("2026-03-03", "2026-03-03"), ("2026-03-02", "2026-03-03")] {
        let error = close(&books, day).await.expect_err(day).to_string();
        let why = format!(
            "day {day} cannot be closed: days are closed once and in order, and {last} is closed"
        );
        assert_eq!(error, why);
    }
    // Two at once: the one that comes second is told to ask again.
    let (first, second) =
        (prepared(&books, "2026-03-04").await, prepared(&books, "2026-03-05").await);
    let keep = async |prepared: Result<PreparedClose, LedgerError>| -> Result<(), LedgerError> {
        let prepared = prepared.expect("in order");
        books
            .database
            .write(move |tx| Box::pin(async move { close_day(tx, &prepared, "signed").await }))
            .await
    };
    keep(first).await.expect("the first");
    let error = keep(second).await.expect_err("the second").to_string();
    assert_eq!(error, "day 2026-03-05 was not closed: another close came in between; ask again");

    let verified = books.database.verify().await.expect("whole");
    assert_eq!((verified.closes.len(), verified.audit_rows), (3, 9));
    assert_eq!(verified.closes[1].head, heads[1]);
    let text = heads[1].text();
    assert_eq!(Head::parse(&text), Some(heads[1].clone()));
    for broken in [text.replace("day ", "day  "), text.replace("head-1", "head-2"), text + "\n"] {
        assert_eq!(Head::parse(&broken), None, "{broken}");
    }
}

/// From the last close on, and from the first row on: the same, at every moment.
#[tokio::test]
async fn kept_sums_are_what_the_rows_come_to() {
    let (books, _) = three_days().await;
    for sequence in 0..=10 {
        let moment = Moment::Sequence(sequence);
        let from_close = books.database.balances(moment).await.expect("sums");
        let from_start = Database::balances_at(&books.place, moment).await.expect("sums");
        assert_eq!(from_close, from_start, "{sequence}");
    }
    let moved = books.database.day_moved(2, |name| name != "meter").await.expect("sums");
    let moved: Vec<String> = moved
        .iter()
        .map(|it| format!("{} {} {}", it.name, it.debits_posted, it.credits_posted))
        .collect();
    assert_eq!(moved, ["cash 0.00 1.00", "fee 1.00 0.00"]);
}

/// `sql` done behind the database's back, and what is said to it then.
async fn check_found(sql: &str, named: &str) {
    let (books, _) = three_days().await;
    books.by_hand(&unguarded(sql)).await.expect(sql);
    let error = books.database.verify().await.expect_err(named).to_string();
    assert_eq!(short(&error), format!("broken at {named}"), "{sql}");
}

/// R26: edit, delete, reorder or cut any row of ledger, closes and audit trail, as one who may do
/// everything: all of it is seen.
#[tokio::test]
async fn r26_every_edit_deletion_reordering_and_cut_is_seen() {
    for (sql, named) in [
        (
            "update transfer set at_ms = 9 where sequence = 7",
            "transfer sequence 7 (id t7): hash does not follow from row 6 and its content",
        ),
        (
            "delete from transfer where sequence >= 6",
            "transfer sequence 6: is missing; the close of 2026-03-03 vouches for rows up to 6",
        ),
        (
            "update day_close set at_ms = 8, sums_digest = chain_hash where number = 2",
            "day close 2 of 2026-03-03: has other sums than the rows up to 6",
        ),
        (
            "update day_close set chain_hash = sums_digest where number = 1",
            "day close 1 of 2026-03-01: has another hash for transfer 3",
        ),
        (
            "delete from day_close_sum where number = 2 and debits_posted_minor = 100",
            "day close 2 of 2026-03-03: its kept sums are not those of its rows",
        ),
        (
            "update day_close_sum set credits_posted_minor = 1 where number = 1",
            "day close 1 of 2026-03-01: its kept sums are not those of its rows",
        ),
        (
            "delete from day_close_sum where number = 1; delete from day_close where number = 1",
            "day close 1: is missing; the next is 2",
        ),
        (
            "update audit set detail = 'another reason' where audit_id = 2",
            "audit row 2: hash does not follow from the row before and its content",
        ),
        (
            "update audit set operator_id = 'x' where audit_id = 8",
            "audit row 8: hash does not follow from the row before and its content",
        ),
        ("delete from audit where audit_id = 5", "audit row 5: is missing; the next is 6"),
        (
            "delete from audit where audit_id < 3",
            "audit row 3: hash does not follow from the row before and its content",
        ),
        (
            "update audit set audit_id = 99 where audit_id = 4;
             update audit set audit_id = 4 where audit_id = 5;
             update audit set audit_id = 5 where audit_id = 99",
            "audit row 4: hash does not follow from the row before and its content",
        ),
        (
            "update audit set chain_hash = null where audit_id = 3",
            "audit row 3: has no hash, and an earlier one has",
        ),
        (
            "update audit set chain_hash = null",
            "audit row 3: is not the row that the close of 2026-03-01 vouches for",
        ),
        (
            "delete from audit where audit_id > 5",
            "audit row 6: is missing; the close of 2026-03-03 vouches for it",
        ),
        ("delete from audit", "audit row 3: is missing; the close of 2026-03-01 vouches for it"),
    ] {
        check_found(sql, named).await;
    }
}

/// What a close cannot see, because it was cut off with the rows, a head kept elsewhere does.
#[tokio::test]
async fn a_head_kept_elsewhere_sees_closes_that_were_cut_off_with_their_rows() {
    let (books, heads) = three_days().await;
    let against = async |kept: &[Head]| -> Result<(), String> {
        let verified = Database::verify_against(&books.place, kept).await;
        verified.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(against(&heads).await, Ok(()));
    let other = Head { chain_hash: heads[0].sums_digest.clone(), ..heads[1].clone() };
    let why = "broken at day close 2 of 2026-03-03: has another hash for transfer 6";
    assert_eq!(against(&[other]).await, Err(why.to_owned()));
    let off = by_engine("pragma foreign_keys = off; ", "");
    let cut = format!(
        "{off}delete from day_close_sum where number = 2; delete from day_close where number = 2;
         delete from transfer where sequence > 3; delete from audit where audit_id > 4"
    );
    books.by_hand(&unguarded(&cut)).await.expect("cut");
    assert_eq!(against(&[]).await, Ok(()));
    let why = "broken at transfer sequence 4: is missing; the close of 2026-03-03 vouches for rows \
               up to 6";
    assert_eq!(against(&heads[1..]).await, Err(why.to_owned()));
}

#[tokio::test]
async fn the_database_refuses_to_change_a_close() {
    let (books, _) = three_days().await;
    let insert = |number: u8, day: &str| {
        format!(
            "insert into day_close select {number}, '{day}', sequence, chain_hash, sums_digest,
             audit_id, audit_hash, at_ms, signature from day_close where number = 2"
        )
    };
    for (sql, why) in [
        ("update day_close set day = '2026-03-09'".to_owned(), "a close is never changed"),
        ("delete from day_close".to_owned(), "a close is never deleted"),
        ("update day_close_sum set number = 1".to_owned(), "a close is never changed"),
        ("delete from day_close_sum".to_owned(), "a close is never deleted"),
        (insert(4, "2026-03-09"), "days are closed in order"),
        (insert(3, "2026-03-02"), "days are closed in order"),
    ] {
        let error = books.by_hand(&sql).await.expect_err(&sql).to_string();
        assert!(error.contains(why), "{sql}: {error}");
    }
}

/// Everything that the books say, as text; `None` where it cannot even be read.
async fn all_rows(path: &Path) -> Option<String> {
    use sqlx::{ConnectOptions, Connection};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.ok()?;
    let mut all = String::new();
    for columns in [
        "select quote(account_id) || quote(name) || quote(currency) || quote(created_at_ms)
         from account order by account_id",
        "select quote(sequence) || quote(transfer_id) || quote(kind) || quote(debit_account_id)
            || quote(credit_account_id) || quote(amount_minor) || quote(currency)
            || quote(pending_id) || quote(reference) || quote(at_ms) || quote(chain_hash)
            || quote(form) || quote(contra_id) || quote(next_id)
         from transfer order by sequence",
        "select quote(number) || quote(day) || quote(sequence) || quote(chain_hash)
            || quote(sums_digest) || quote(audit_id) || quote(audit_hash) from day_close",
        "select quote(account_id) || quote(number) || quote(debits_posted_minor)
            || quote(credits_posted_minor) from day_close_sum",
        "select quote(audit_id) || quote(at_ms) || quote(operator_id) || quote(act)
            || quote(object) || quote(detail) from audit order by audit_id",
    ] {
        let rows: Vec<String> =
            sqlx::query_scalar(columns).fetch_all(&mut connection).await.ok()?;
        all.extend(rows);
    }
    connection.close().await.ok()?;
    Some(all)
}

/// R7: random bits of the database's file are flipped, one at a time. Either `verify` sees it, or not a
/// row of ledger, closes and audit trail and no balance is any other than before.
#[tokio::test]
async fn r7_a_flipped_bit_is_seen_or_changes_nothing() {
    const FLIPS: u64 = 250;
    if databases::server().is_some() {
        return; // Its files are not ours to flip: see the next test.
    }
    let (books, _) = three_days().await;
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole.db");
    books.by_hand(&format!("vacuum into '{}'", whole.display())).await.expect("a copy");
    let bytes = std::fs::read(&whole).expect("a file");
    let rows = all_rows(&whole).await.expect("readable");
    let balances = async |path: &Path| -> Vec<Balance> {
        let place = Place::File(path.to_owned());
        Database::balances_at(&place, Moment::Now).await.expect("sums").balances
    };
    let before = balances(&whole).await;
    assert!(before.iter().map(shown).any(|it| it.starts_with("cash ")), "{before:?}");
    // Where the rows and their keys are, and anywhere.
    let places_of = |text: &'static [u8]| {
        bytes.windows(text.len()).enumerate().filter(move |(_, at)| *at == text).map(|(at, _)| at)
    };
    let rows_at: Vec<usize> =
        places_of(b"00000000-0000-0000-0000-0000000000").chain(places_of(b"a reason")).collect();
    assert!(rows_at.len() > 20, "{rows_at:?}");
    let (mut seen, mut harmless, mut random) = (0, 0, 7_u64);
    for flip in 0..FLIPS {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from(random >> 33).expect("64 bits");
        let at = match flip % 2 {
            0 => place % bytes.len(),
            _ => rows_at[place % rows_at.len()].saturating_sub(100) + (place >> 10) % 300,
        };
        let at = at.min(bytes.len() - 1);
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (random >> 61);
        let path = folder.path().join(format!("flipped-{flip}.db"));
        std::fs::write(&path, &flipped).expect("written");
        match Database::verify_at(&Place::File(path.clone())).await {
            Err(_) => seen += 1,
            Ok(_) => {
                assert_eq!(all_rows(&path).await.as_ref(), Some(&rows), "byte {at} of flip {flip}");
                assert_eq!(balances(&path).await, before, "byte {at} of flip {flip}");
                harmless += 1;
            }
        }
        std::fs::remove_file(&path).expect("removed");
    }
    println!("R7: {FLIPS} bits flipped: {seen} seen, {harmless} harmless, 0 wrong balances");
    assert!(seen > FLIPS / 4, "only {seen} were seen");
}

/// R7 on a server: every bit that a column holds may be another than was written, as its superuser sees
/// it; `verify` sees it too. One bit at a time, put back after.
#[tokio::test]
async fn r7_a_flipped_bit_of_a_column_is_seen_on_a_server() {
    use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
    const FLIPS: u64 = 400;
    let Some(_) = databases::server() else {
        return; // `cargo xtask test` passes it with PostgreSQL.
    };
    let (books, _) = three_days().await;
    let Keeper::Server(fresh) = &books.keeper else { panic!("on a server") };
    let mut hand = PgConnection::connect(&fresh.url()).await.expect("a superuser");
    hand.execute("set session_replication_role = replica").await.expect("no triggers");
    // Table, key, and what the chain, the closes and the accounts' own ids vouch for.
    let columns = [
        ("account", "account_id", "account_id name currency"),
        (
            "transfer",
            "sequence",
            "sequence transfer_id kind debit_account_id credit_account_id amount_minor currency \
             reference at_ms chain_hash form",
        ),
        ("day_close", "number", "number sequence chain_hash sums_digest audit_id audit_hash"),
        ("day_close_sum", "number || account_id", "debits_posted_minor credits_posted_minor"),
        ("audit", "audit_id", "audit_id at_ms act object detail chain_hash"),
    ];
    let (mut flipped, mut refused, mut random) = (0, 0, 11_u64);
    let mut draw = move |end: usize| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).expect("64 bits") % end
    };
    while flipped < FLIPS {
        let (table, key, names) = columns[draw(columns.len())];
        let names: Vec<&str> = names.split_whitespace().collect();
        let column = names[draw(names.len())];
        let keys =
            format!("select ({key})::text from {table} where {column} is not null order by 1");
        let keys: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(keys)).fetch_all(&mut hand).await.expect("keys");
        let at = &keys[draw(keys.len())];
        // A row is found by its place in the table, because its key may be what is flipped.
        let look = format!(
            "select ctid::text, {column}::text, pg_typeof({column})::text from {table}
             where ({key})::text = $1"
        );
        let row = sqlx::query(AssertSqlSafe(look)).bind(at).fetch_one(&mut hand).await.expect("it");
        let (place, was): (String, String) = (row.get(0), row.get(1));
        let is_text = row.get::<String, _>(2) == "text";
        let now = if is_text {
            let mut bytes = was.clone().into_bytes();
            let byte = draw(bytes.len().max(1));
            let Some(flip) = bytes.get_mut(byte) else { continue };
            // The bits that ASCII has: the server keeps no text that is none.
            *flip ^= 1 << draw(7);
            if *flip == 0 {
                continue;
            }
            String::from_utf8(bytes).expect("ASCII stays ASCII")
        } else {
            let number: i64 = was.parse().expect("a number");
            (number ^ (1 << draw(63))).to_string()
        };
        let kind = if is_text { "text" } else { "bigint" };
        let set = format!(
            "update {table} set {column} = $1::{kind} where ctid = $2::tid returning ctid::text"
        );
        let written = sqlx::query_scalar(AssertSqlSafe(set.clone())).bind(&now).bind(&place);
        let written: Result<String, _> = written.fetch_one(&mut hand).await;
        // A check of the table itself says no to it, as it would to whoever writes.
        let Ok(place) = written else {
            refused += 1;
            continue;
        };
        let verified = Database::verify_at(&books.place).await;
        assert!(verified.is_err(), "{table}.{column} was {was}, is {now}, and nobody sees it");
        flipped += 1;
        let back = sqlx::query(AssertSqlSafe(set)).bind(&was).bind(&place);
        let back = back.execute(&mut hand).await;
        assert_eq!(back.expect("put back").rows_affected(), 1);
    }
    books.database.verify().await.expect("all of it is as it was");
    hand.close().await.expect("closed");
    println!("R7: {FLIPS} bits of columns flipped on a server, all seen; {refused} refused by it");
}
