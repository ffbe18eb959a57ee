//! A file changed by hand: what the database refuses, and what `verify` says of the rest.

use super::*;
use crate::book::account_id;
use crate::chain::{Form, GENESIS, Row, TransferKind};

const LEDGER: [&str; 6] = [
    "t1 pending cash meter 50.00",
    "t2 post t1",
    "t3 pending cash meter 20.00",
    "t4 pending cash other 30.00",
    "t5 void t3",
    "t6 post t4",
];

async fn tampered(sql: &str) -> Result<(), String> {
    let books = books().await;
    for line in LEDGER {
        book(&books.database, line).await.expect("booked");
    }
    books.by_hand(sql).await.map_err(|error| match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    })?;
    books.database.verify().await.map(|_| ()).map_err(|error| short(&error.to_string()))
}

/// The database itself refuses the statement, with a sentence.
async fn check_refused(sql: &str, sentence: &str) {
    assert_eq!(tampered(sql).await, Err(sentence.to_owned()), "{sql}");
}

/// The statements with the triggers out of their way, and back in place afterwards, as someone who
/// hides his tracks would do it.
pub(super) fn unguarded(sql: &str) -> String {
    if databases::server().is_some() {
        let (off, on) =
            ("set session_replication_role = replica", "reset session_replication_role");
        return format!("{off}; {sql}; {on}");
    }
    let of_account = include_str!("../../../migrations/sqlite/0001_ledger.sql");
    let of_transfer = include_str!("../../../migrations/sqlite/0006_links.sql");
    let of_close = include_str!("../../../migrations/sqlite/0007_day_close.sql");
    let of_audit = include_str!("../../../migrations/sqlite/0002_service.sql");
    let in_file = |text: &'static str, table: &'static str| {
        text.split_inclusive("end;")
            .filter_map(|text| text.find("create trigger").and_then(|at| text.get(at..)))
            .filter(move |text| text.contains(&format!("create trigger {table}_")))
    };
    let triggers: Vec<&str> = in_file(of_account, "account")
        .chain(in_file(of_transfer, "transfer"))
        .chain(in_file(of_close, "day_close"))
        .chain(in_file(of_audit, "audit"))
        .collect();
    let drop: String = triggers
        .iter()
        .filter_map(|text| text.split_whitespace().nth(2))
        .map(|name| format!("drop trigger {name};"))
        .collect();
    format!("{drop}{sql};{}", triggers.concat())
}

/// Without the triggers the statement works, and `verify` names what it broke.
async fn check_found(sql: &str, named: &str) {
    assert_eq!(tampered(&unguarded(sql)).await, Err(named.to_owned()), "{sql}");
}

#[tokio::test]
async fn the_database_refuses_changes() {
    let updated = "transfer: rows are never updated; book a new transfer";
    let deleted = "transfer: rows are never deleted; book a new transfer";
    let sqlite = "transfer: the id exists or its pending row is resolved; rows stay";
    let breaks = |name| format!("duplicate key value violates unique constraint \"{name}\"");
    let same_id = by_engine(sqlite.to_owned(), breaks("transfer_id_unique"));
    let resolved = by_engine(sqlite.to_owned(), breaks("transfer_is_resolved_once"));
    let appended = "transfer: rows are only appended, with the next sequence";
    let agrees = "transfer: accounts, amount or reference differ from the pending row";
    check_refused("update transfer set amount_minor = 1", updated).await;
    check_refused("delete from transfer where sequence = 6", deleted).await;
    check_refused("update account set name = 'x'", "account: rows are never updated").await;
    check_refused("delete from account", "account: rows are never deleted").await;
    if databases::server().is_some() {
        check_refused("truncate transfer", deleted).await;
        check_refused("truncate account cascade", "account: rows are never deleted").await;
        check_refused(
            "insert into account select account_id, name, currency, 9 from account
             on conflict (name) do update set currency = 'x'",
            "account: rows are never updated",
        )
        .await;
    } else {
        check_refused("update or replace transfer set at_ms = 1", updated).await;
        check_refused(
            "insert or replace into account select account_id, name, currency, 9 from account",
            "account: this id or name exists, and accounts are never replaced",
        )
        .await;
    }

    let insert = |columns: &str, of: u8| {
        let id = |number| Uuid::from_u128(number).to_string();
        let columns = columns.replace("NEW", &format!("'{}'", id(9)));
        let columns = columns.replace("FIRST", &format!("'{}'", id(1)));
        let columns = columns.replace("FOURTH", &format!("'{}'", id(4)));
        let columns = columns.replace("THIRD", &format!("'{}'", id(3)));
        let insert = by_engine("insert or replace", "insert");
        format!(
            "{insert} into transfer select {columns}, reference, at_ms, chain_hash, 2, null, null \
             from transfer where sequence = {of}"
        )
    };
    let same = "debit_account_id, credit_account_id, amount_minor, currency";
    check_refused(&insert(&format!("7, FIRST, kind, {same}, null"), 1), &same_id).await;
    check_refused(&insert(&format!("7, NEW, 'post', {same}, THIRD"), 3), &resolved).await;
    check_refused(&insert(&format!("1, NEW, kind, {same}, null"), 1), appended).await;
    check_refused(&insert(&format!("9, NEW, kind, {same}, null"), 1), appended).await;
    check_refused(&insert(&format!("null, NEW, kind, {same}, null"), 1), appended).await;
    check_refused(&insert(&format!("7, NEW, 'post', {same}, NEW"), 3), agrees).await;
}

#[tokio::test]
async fn the_first_broken_row_is_named() {
    check_found(
        "update transfer set amount_minor = 4999 where sequence = 1",
        "broken at transfer sequence 1 (id t1): hash does not follow from its content",
    )
    .await;
    check_found(
        "update transfer set at_ms = 7 where sequence = 4",
        "broken at transfer sequence 4 (id t4): hash does not follow from row 3 and its content",
    )
    .await;
    check_found(
        "update transfer set amount_minor = 4999 where sequence = 2",
        "broken at transfer sequence 2 (id t2): amount, accounts or reference differ from its \
         pending row",
    )
    .await;
    check_found(
        "delete from transfer where sequence = 4",
        "broken at transfer sequence 4: is missing; the next is transfer sequence 5 (id t5)",
    )
    .await;
    check_found(
        "update transfer set sequence = 99 where sequence = 3;
         update transfer set sequence = 3 where sequence = 4;
         update transfer set sequence = 4 where sequence = 99",
        "broken at transfer sequence 3 (id t4): hash does not follow from row 2 and its content",
    )
    .await;
    check_found(
        "update transfer set transfer_id = upper('0000000000000000000000000000abcdef00')
         where sequence = 6",
        "broken at transfer sequence 6 (id 0000000000000000000000000000ABCDEF00): cannot be read: \
         error occurred while decoding: `0000000000000000000000000000ABCDEF00` is not what this \
         column holds",
    )
    .await;
}

/// One byte of a file changed: what is no text any more cannot even be fetched with its page.
#[tokio::test]
async fn a_row_that_is_no_text_is_named() {
    // PostgreSQL keeps no text that is none.
    if databases::server().is_some() {
        return;
    }
    check_found(
        "update transfer set reference = cast(x'ff' as text) where sequence = 5",
        "broken at transfer sequence 5: cannot be read: error occurred while decoding: invalid utf-8 \
         sequence of 1 bytes from index 0",
    )
    .await;
}

#[tokio::test]
async fn accounts_and_guards_are_part_of_the_books() {
    let id = account_id("cash", "CNY");
    check_found(
        "update account set name = 'petty' where name = 'cash'",
        &format!(
            "broken at account petty (id {id}): its id does not follow from its name and currency"
        ),
    )
    .await;
    check_found(
        "delete from account where name = 'other'",
        "broken at transfer sequence 4 (id t4): debit or credit account does not exist",
    )
    .await;
    let sqlite = [
        (
            "drop trigger transfer_is_never_updated",
            "broken at trigger transfer_is_never_updated: is missing",
        ),
        ("drop index transfer_by_reference", "broken at index transfer_by_reference: is missing"),
        (
            "create trigger quiet before delete on account begin select raise(ignore); end",
            "broken at trigger quiet: was not made by this program",
        ),
        (
            "pragma ignore_check_constraints = on;
             insert into account values (hex(randomblob(18)), char(10), 'CNY', 1)",
            "its name or currency is not one that this program would store",
        ),
    ];
    let postgres = [
        (
            "drop trigger transfer_is_never_updated on transfer",
            "broken at trigger transfer_is_never_updated: is missing",
        ),
        (
            "alter table transfer disable trigger transfer_is_never_updated",
            "broken at trigger transfer_is_never_updated: is not as this program made it",
        ),
        (
            "alter table transfer disable trigger all",
            "broken at constraint transfer_contra: is not as this program made it",
        ),
        (
            "create or replace function refuse() returns trigger language plpgsql as
             'begin return old; end'",
            "broken at trigger account_is_never_deleted: is not as this program made it",
        ),
        ("drop index transfer_by_reference", "broken at index transfer_by_reference: is missing"),
        (
            "create rule quiet as on delete to account do instead nothing",
            "broken at rule quiet: was not made by this program",
        ),
        (
            "insert into account values (repeat('x', 36), chr(10), 'CNY', 1)",
            "its name or currency is not one that this program would store",
        ),
    ];
    for (sql, named) in by_engine(sqlite.as_slice(), postgres.as_slice()) {
        let found = tampered(sql).await.expect_err(sql);
        assert!(found.ends_with(named), "{found}");
    }
}

/// Someone who knows the form can chain a row that breaks a rule; the rule still names it.
#[tokio::test]
async fn a_well_chained_row_must_still_obey_the_rules() {
    for (kind, of, debit, amount, named) in [
        (
            "post",
            Some(4),
            "meter",
            3000,
            "amount, accounts or reference differ from its pending row",
        ),
        (
            "post",
            Some(4),
            "cash",
            2999,
            "amount, accounts or reference differ from its pending row",
        ),
        ("post", Some(2), "cash", 3000, "no earlier pending row has the id that it names"),
        ("void", Some(7), "cash", 3000, "no earlier pending row has the id that it names"),
        ("void", None, "cash", 3000, "a post or void, and no other row, names a pending row"),
        ("pending", Some(4), "cash", 3000, "a post or void, and no other row, names a pending row"),
        ("pending", None, "nobody", 3000, "debit or credit account does not exist"),
        ("pending", None, "other", 3000, "debit and credit are the same account"),
        ("pending", None, "cash", -1, "amount is not positive"),
    ] {
        let books = books().await;
        // t4 is left open, so that t7 can claim it.
        for line in LEDGER.iter().filter(|line| !line.ends_with("t4")) {
            book(&books.database, line).await.expect("booked");
        }
        let head = books.database.verify().await.expect("whole").head;
        let row = Row {
            form: Form::Second,
            sequence: 6,
            transfer_id: transfer_id(7),
            kind: TransferKind::from_name(kind).expect("a kind"),
            debit: account_id(debit, "CNY"),
            credit: account_id("other", "CNY"),
            amount: Money::new(amount, FEN),
            pending: of.map(transfer_id),
            reference: Uuid::nil(),
            at_ms: 9,
            contra: None,
            next: None,
        };
        let pending = row.pending.map_or("null".to_owned(), |id| format!("'{id}'"));
        let sql = format!(
            "{}insert into transfer values (6, '{}', '{kind}', '{}', '{}', {amount}, 'CNY', {pending},
                '{}', 9, '{}', 2, null, null)",
            by_engine("pragma ignore_check_constraints = on; ", ""),
            row.transfer_id,
            row.debit,
            row.credit,
            row.reference,
            row.chain_hash(&head)
        );
        let written = books.by_hand(&unguarded(&sql)).await;
        // PostgreSQL's checks cannot be switched off, but only dropped, which `verify` sees.
        let is_refused = databases::server().is_some()
            && ((kind == "pending") == of.is_some() || amount < 0 || debit == "other");
        assert_eq!(written.is_err(), is_refused, "{kind} {of:?} {written:?}");
        if is_refused {
            continue;
        }
        let found = books.database.verify().await.map_err(|error| short(&error.to_string()));
        let expected = format!("broken at transfer sequence 6 (id t7): {named}");
        assert_eq!(found.map(|_| ()), Err(expected), "{kind} {of:?}");
    }
}

/// Asserted as it is: rows cut cleanly off the end leave a whole, shorter ledger. Only its head is
/// another, which is why a head is printed on the day close and kept elsewhere.
#[tokio::test]
async fn a_tail_cut_off_shows_in_the_head_alone() {
    let books = books().await;
    for line in LEDGER {
        book(&books.database, line).await.expect("booked");
    }
    let whole = books.database.verify().await.expect("whole");
    let cut = "delete from transfer where sequence > 4";
    books.by_hand(&unguarded(cut)).await.expect("cut");
    let cut = books.database.verify().await.expect("whole, and shorter");
    assert_eq!((whole.transfers, cut.transfers), (6, 4));
    assert_ne!(whole.head, cut.head);
}

/// The documented forms, computed by another program: `printf` of the lines into `sha256sum`.
#[test]
fn the_canonical_form_is_as_documented() {
    let row = Row {
        form: Form::First,
        sequence: 1,
        transfer_id: transfer_id(1),
        kind: TransferKind::Pending,
        debit: polymeter_domain::AccountId::new(Uuid::from_u128(2)),
        credit: polymeter_domain::AccountId::new(Uuid::from_u128(3)),
        amount: Money::new(5000, FEN),
        pending: None,
        reference: Uuid::nil(),
        at_ms: 1_700_000_000_000,
        contra: None,
        next: None,
    };
    assert_eq!(
        row.chain_hash(GENESIS),
        "fa01333826050dcc6be02b4f766d5ba251ba04e6384e8cec471339ac46ec3c90"
    );
    let row = Row { form: Form::Second, next: Some(transfer_id(4)), ..row };
    assert_eq!(
        row.chain_hash(GENESIS),
        "d955b9e4b6940446cf591dad2040dec9ae57bb1d3704eb7a3ef8a8b21c3ecf9a"
    );
}
