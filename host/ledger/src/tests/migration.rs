//! Databases of earlier programs, opened by this one: with a meter and a sale of one price; with transfers
//! from before links.

use super::*;
use crate::book::account_id;
use crate::chain::{Form, GENESIS, Row, TransferKind};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::borrow::Cow;
use std::path::Path;

/// The migration that made prices into plans.
const TARIFF: i64 = 5;
/// The migration that made links.
const LINKS: i64 = 6;

const BEFORE: &str = "
insert into customer values ('00000000-0000-7000-8000-000000000001', '1', 'n', '', '', 0);
insert into meter (meter_id, serial_number, vendor, line, address, parameters,
                   price_minor_per_kwh, currency, customer_id, account, created_at_ms)
values ('00000000-0000-7000-8000-000000000002', 's', 'V', 'l', '1', '[]', 52, 'CNY',
        '00000000-0000-7000-8000-000000000001', 'open', 5);
insert into sale (sale_id, meter_id, customer_id, paid_minor, currency, price_minor_per_kwh,
                  energy_wh, quantity, amount, pending_transfer_id, state, created_at_ms)
values ('00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000002',
        '00000000-0000-7000-8000-000000000001', 5000, 'CNY', 52, 96153, 'money', 5000,
        '00000000-0000-7000-8000-000000000004', 'reserved', 1772445600000);
insert into sale_event values (1, '00000000-0000-7000-8000-000000000003', 0, 'quoted', 'x');
";

/// A file as it was before the migration `version`, with `rows`.
async fn old_file(path: &Path, version: i64, rows: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.expect("a new file");
    let earlier: Vec<_> =
        crate::engine::sqlite::MIGRATOR.iter().filter(|it| it.version < version).cloned().collect();
    let migrator = Migrator { migrations: Cow::Owned(earlier), ..Migrator::DEFAULT };
    migrator.run(&mut connection).await.expect("the migrations of then");
    let rows = sqlx::AssertSqlSafe(rows.to_owned());
    sqlx::raw_sql(rows).execute(&mut connection).await.expect("the rows of then");
    connection.close().await.expect("closed");
}

/// Transfers of before links: their hashes stand, and what they reserved is posted by a row of today.
#[tokio::test]
async fn rows_from_before_links_keep_their_hash() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("old.db");
    let (cash, meter) = (account_id("cash", "CNY"), account_id("meter", "CNY"));
    let mut rows = format!(
        "insert into account values ('{cash}', 'cash', 'CNY', 1), ('{meter}', 'meter', 'CNY', 1);"
    );
    let mut head = GENESIS.to_owned();
    for (sequence, kind, pending) in
        [(1, "pending", None), (2, "post", Some(1)), (3, "pending", None)]
    {
        let row = Row {
            form: Form::First,
            sequence,
            transfer_id: transfer_id(u128::try_from(sequence).expect("small")),
            kind: TransferKind::from_name(kind).expect("a kind"),
            debit: cash,
            credit: meter,
            amount: Money::new(100, FEN),
            pending: pending.map(transfer_id),
            reference: Uuid::nil(),
            at_ms: 1,
            contra: None,
            next: None,
        };
        head = row.chain_hash(&head);
        let pending = row.pending.map_or("null".to_owned(), |id| format!("'{id}'"));
        rows += &format!(
            "insert into transfer values ({sequence}, '{}', '{kind}', '{cash}', '{meter}', 100, 'CNY',
                {pending}, '{}', 1, '{head}');",
            row.transfer_id, row.reference
        );
    }
    old_file(&path, LINKS, &rows).await;

    let database = Database::open(path.as_path()).await.expect("it is migrated");
    let verified = database.verify().await.expect("whole");
    assert_eq!((verified.transfers, verified.head), (3, head));
    book(&database, "t4 post t3").await.expect("of a row of then");
    book(&database, "t5 contra t1").await.expect("of a row of then");
    assert_eq!(database.verify().await.expect("whole").transfers, 5);
}

#[tokio::test]
async fn a_price_becomes_a_plan() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("old.db");
    old_file(&path, TARIFF, BEFORE).await;

    let database = Database::open(path.as_path()).await.expect("it is migrated");
    let text = async |sql: &'static str| -> String {
        sqlx::query_scalar(sql).fetch_one(database.reader()).await.expect(sql)
    };
    let plan = "00000000-0000-8000-8000-000000000052";
    assert_eq!(text("select tariff_plan_id from meter_tariff").await, plan);
    assert_eq!(text("select name from tariff_plan").await, "Flat 0.52");
    assert_eq!(text("select definition from tariff_version").await, "unit kWh\nprice 0.52\n");
    let sale =
        "select tariff_version_id || ' ' || priced_on || ' ' || bought || ' ' || state from sale";
    let kept = "00000000-0000-8000-8001-000000000052 2026-03-02 96153 reserved";
    assert_eq!(text(sale).await, kept);
    let explanation = text("select explanation from sale").await;
    assert!(explanation.contains("\"shares\":[[1,null,96153,96153,520000]]"), "{explanation}");
    assert_eq!(text("select detail from sale_event").await, "x");
    // The rules stand as before.
    let on: i64 = sqlx::query_scalar("pragma foreign_keys")
        .fetch_one(database.reader())
        .await
        .expect("a pragma");
    assert_eq!(on, 1);
    let triggers = "select cast(count(*) as text) from sqlite_master where type = 'trigger'
                    and name in ('sale_terms_are_fixed', 'sale_is_not_deleted',
                                 'sale_is_not_replaced')";
    assert_eq!(text(triggers).await, "3");
    let indexes = "select cast(count(*) as text) from sqlite_master where type = 'index'
                   and name in ('sale_one_unsettled_per_meter', 'sale_meter', 'meter_customer')";
    assert_eq!(text(indexes).await, "3");
}
