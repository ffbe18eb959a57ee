//! A database of before tariffs, with a meter and a sale of one price, opened by this program.

use super::*;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::borrow::Cow;

/// The migration that made prices into plans.
const TARIFF: i64 = 5;

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

#[tokio::test]
async fn a_price_becomes_a_plan() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("old.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.expect("a new file");
    let earlier: Vec<_> =
        crate::engine::sqlite::MIGRATOR.iter().filter(|it| it.version < TARIFF).cloned().collect();
    let migrator = Migrator { migrations: Cow::Owned(earlier), ..Migrator::DEFAULT };
    migrator.run(&mut connection).await.expect("the migrations of then");
    sqlx::raw_sql(BEFORE).execute(&mut connection).await.expect("the rows of then");
    connection.close().await.expect("closed");

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
