//! What one engine alone can go through: a disk that fills up, a connection that breaks, a server that
//! goes away; and that both engines have the same tables. Tests of PostgreSQL do nothing where the
//! test run has no server; `cargo xtask test` sees to it that it has.

use super::*;
use crate::engine::{look, postgres, schemas, sqlite};
use databases::{Cut, Wire};
use sqlx::{Connection as _, PgConnection};
use std::collections::BTreeSet;

/// The disk is full for a while: nothing is said to be stored, and the writer recovers by itself.
#[tokio::test]
async fn a_full_disk_fails_the_group_and_not_the_next() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = Database::open(&folder.path().join("books.db")).await.expect("a new database");
    book(&database, "t1 pending cash meter 5.00").await.expect("booked");
    let full: Result<(), LedgerError> = database
        .write(|tx| {
            Box::pin(async move {
                // SQLite's own way to run out of room: this connection may not add a page.
                sqlx::query("pragma max_page_count = 1")
                    .execute(tx.connection())
                    .await
                    .map_err(LedgerError::storage("shrinking"))?;
                sqlx::query("create table filler as select randomblob(1000000) as bytes")
                    .execute(tx.connection())
                    .await
                    .map(|_| ())
                    .map_err(LedgerError::storage("filling"))
            })
        })
        .await;
    let full = full.expect_err("full");
    assert!(matches!(full, LedgerError::NotCommitted(_) | LedgerError::Storage { .. }), "{full:?}");
    book(&database, "t2 post t1").await.expect("room again");
    assert_eq!(database.verify().await.expect("whole").transfers, 2);
}

/// Somebody has had SQLite count its rows. None has a pending row, so that its index looks useless: the
/// check of a new row must not read all of them for that.
#[tokio::test]
async fn statistics_that_somebody_gathered_are_forgotten() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("books.db");
    let plan = async || -> Vec<String> {
        let mut file = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display()))
            .await
            .expect("the file");
        // As in the trigger, where the ids are not known to whoever plans.
        let look = "explain query plan select 1 from transfer where transfer_id = ?
                    or pending_id = ? or contra_id = ? or next_id = ?";
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(look).fetch_all(&mut file).await.expect("a plan");
        steps.into_iter().map(|(.., step)| step).collect()
    };
    let database = Database::open(&path).await.expect("a new database");
    let many = database.write(|tx| {
        Box::pin(async move {
            for number in 1..=2000 {
                book_in(tx, &format!("t{number} book cash meter 5.00"), 1).await?;
            }
            Ok::<_, LedgerError>(())
        })
    });
    many.await.expect("booked");
    drop(database);
    let mut file = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .expect("the file");
    sqlx::query("analyze").execute(&mut file).await.expect("counted");
    file.close().await.expect("closed");
    let before = plan().await;
    assert!(before.contains(&"SCAN transfer".to_owned()), "nothing to forget: {before:?}");
    let _database = Database::open(&path).await.expect("the same database");
    let plan = plan().await;
    assert!(!plan.contains(&"SCAN transfer".to_owned()), "{plan:?}");
}

/// A database on the test run's server, written to over a wire that can be cut.
async fn wired() -> Option<(Database, Wire, Fresh)> {
    let fresh = Fresh::new().await?;
    let wire = Wire::to(&fresh.url()).await;
    let database = Database::open(server(&wire.url(&fresh.url()))).await.expect("a new database");
    Some((database, wire, fresh))
}

#[tokio::test]
async fn the_outcome_of_a_commit_is_found_out_and_not_guessed() {
    let Some((database, wire, _fresh)) = wired().await else { return };
    book(&database, "t1 pending cash meter 5.00").await.expect("booked");

    // Committed, and the answer to that is lost: it is yes.
    wire.cut(Cut::AfterCommit);
    book(&database, "t2 post t1").await.expect("it was committed");
    assert_eq!(database.verify().await.expect("whole").transfers, 2);

    // Never heard of by the server: it is no, for certain.
    wire.cut(Cut::BeforeCommit);
    let error = book(&database, "t3 pending cash meter 6.00").await.expect_err("not committed");
    assert!(matches!(error, LedgerError::NotStored(_)), "{error:?}");
    assert_eq!(database.verify().await.expect("whole").transfers, 2);

    // The same again, as the caller would, who is told nothing else than to.
    book(&database, "t3 pending cash meter 6.00").await.expect("booked");
    assert_eq!(database.verify().await.expect("whole").transfers, 3);
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_of_and_used_again_when_it_is_back() {
    let Some((database, wire, _fresh)) = wired().await else { return };
    book(&database, "t1 pending cash meter 5.00").await.expect("booked");
    wire.set_up(false);
    let mut seen = BTreeSet::new();
    for line in ["t2 post t1", "t3 pending cash meter 6.00"] {
        let error = book(&database, line).await.expect_err("no server");
        seen.insert(error.to_string());
        assert!(
            matches!(error, LedgerError::NotStored(_) | LedgerError::Unreachable(_)),
            "{error:?}"
        );
    }
    assert!(!seen.iter().any(|text| text.contains("known only")), "{seen:?}");
    assert!(database.trial_balance().await.is_err());
    wire.set_up(true);
    book(&database, "t2 post t1").await.expect("the server is back");
    assert_eq!(database.verify().await.expect("whole").transfers, 2);
}

/// A restarted server, or an administrator, ends the session while nobody uses it.
#[tokio::test]
async fn an_idle_connection_that_was_ended_fails_no_job() {
    let Some((database, _wire, fresh)) = wired().await else { return };
    book(&database, "t1 pending cash meter 5.00").await.expect("booked");
    let mut administrator = PgConnection::connect(&fresh.url()).await.expect("a connection");
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&mut administrator)
    .await
    .expect("a superuser may");
    book(&database, "t2 post t1").await.expect("on a new connection");
    assert_eq!(database.verify().await.expect("whole").transfers, 2);
}

/// Of each table its columns, and of the whole schema its named constraints, indexes and triggers.
type Names = BTreeSet<String>;

/// Names that one engine alone needs, and why.
const ONLY_SQLITE: [&str; 2] = ["_is_never_replaced", "_is_not_replaced"];
const ONLY_POSTGRES: [&str; 3] = ["_is_never_truncated", "_is_not_truncated", "written_group"];

fn shared(names: Names, without: &[&str]) -> Names {
    names.into_iter().filter(|name| !without.iter().any(|word| name.contains(word))).collect()
}

async fn names_in_sqlite() -> Names {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true);
    let mut fresh = options.connect().await.expect("a database");
    sqlite::MIGRATOR.run(&mut fresh).await.expect("migrated");
    let objects: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "select type, name, sql from sqlite_schema
         where tbl_name not like '\\_sqlx%' escape '\\' and name not like 'sqlite\\_%' escape '\\'",
    )
    .fetch_all(&mut fresh)
    .await
    .expect("a schema");
    let mut names = Names::new();
    for (kind, name, sql) in objects {
        // Constraints have no row of their own.
        let sql = sql.unwrap_or_default();
        let words: Vec<&str> = sql.split_whitespace().collect();
        let constraints = words.windows(2).filter(|pair| pair[0] == "constraint");
        names.extend(constraints.map(|pair| format!("constraint {}", pair[1])));
        names.insert(format!("{kind} {name}"));
    }
    let columns: Vec<(String, String, String, i64)> = sqlx::query_as(
        "select made.name, col.name, lower(col.type), col.\"notnull\"
         from sqlite_schema as made, pragma_table_info(made.name) as col
         where made.type = 'table' and made.name not like '\\_sqlx%' escape '\\'",
    )
    .fetch_all(&mut fresh)
    .await
    .expect("columns");
    names.extend(columns.into_iter().map(|(table, column, kind, not_null)| {
        let kind = kind.replace("integer", "bigint");
        format!("column {table}.{column} {kind} {}", not_null == 1)
    }));
    names
}

async fn names_in_postgres(fresh: &Fresh) -> Names {
    let mut connection = PgConnection::connect(&fresh.url()).await.expect("a connection");
    let names: Vec<String> = sqlx::query_scalar(
        "with ours as (
             select * from pg_class where relnamespace = 'public'::regnamespace
                and relkind = 'r' and relname not like '\\_sqlx%'
         )
         select 'table ' || relname from ours
         union all
         select 'constraint ' || conname from ours join pg_constraint on conrelid = ours.oid
         where contype <> 'n'
         union all
         select 'index ' || made.relname from ours join pg_index on indrelid = ours.oid
         join pg_class as made on made.oid = indexrelid
         where not exists (select 1 from pg_constraint where conindid = indexrelid)
         union all
         select 'trigger ' || tgname from ours join pg_trigger on tgrelid = ours.oid
         where not tgisinternal
         union all
         select concat_ws(' ', 'column ' || relname || '.' || attname,
                          format_type(atttypid, null), attnotnull::text)
         from ours join pg_attribute on attrelid = ours.oid and attnum > 0 and not attisdropped",
    )
    .fetch_all(&mut connection)
    .await
    .expect("a schema");
    names.into_iter().collect()
}

/// One history per engine, and both of them the same.
#[tokio::test]
async fn both_engines_have_the_same_tables() {
    let migrations = |migrator: &sqlx::migrate::Migrator| -> Vec<(i64, String)> {
        migrator.iter().map(|it| (it.version, it.description.to_string())).collect()
    };
    assert_eq!(migrations(&sqlite::MIGRATOR), migrations(&postgres::MIGRATOR));

    let Some((_database, _wire, fresh)) = wired().await else { return };
    let sqlite = shared(names_in_sqlite().await, &ONLY_SQLITE);
    let postgres = shared(names_in_postgres(&fresh).await, &ONLY_POSTGRES);
    let only = |one: &Names, other: &Names| one.difference(other).cloned().collect::<Vec<_>>();
    let none: Vec<String> = Vec::new();
    assert_eq!((only(&sqlite, &postgres), only(&postgres, &sqlite)), (none.clone(), none));
    assert!(sqlite.len() > 100, "{sqlite:?}");
}

/// What `verify` compares a server's tables with. After a change of the ledger's tables the message
/// shows what belongs into the file.
#[tokio::test]
async fn the_schema_file_is_what_the_migrations_make() {
    let Some((_database, _wire, fresh)) = wired().await else { return };
    let mut snapshot = look(&server(&fresh.url())).await.expect("a snapshot");
    let (found, made) = schemas(&mut snapshot).await.expect("schemas");
    let text: String = found.iter().map(|(name, text)| format!("{name}: {text}\n")).collect();
    assert_eq!(found, made, "engine/postgres.schema should be:\n{text}");
}

/// Whoever may switch triggers off can change a row; `verify` still names it.
#[tokio::test]
async fn a_superuser_cannot_hide_a_changed_row() {
    let Some((database, _wire, fresh)) = wired().await else { return };
    for line in ["t1 pending cash meter 5.00", "t2 post t1", "t3 pending cash meter 6.00"] {
        book(&database, line).await.expect("booked");
    }
    let mut superuser = PgConnection::connect(&fresh.url()).await.expect("a connection");
    sqlx::raw_sql(
        "set session_replication_role = replica;
         update transfer set at_ms = at_ms + 1 where sequence = 2",
    )
    .execute(&mut superuser)
    .await
    .expect("triggers are off");
    let error = database.verify().await.expect_err("changed").to_string();
    assert_eq!(
        short(&error),
        "broken at transfer sequence 2 (id t2): hash does not follow from row 1 and its content"
    );
}

#[test]
fn an_address_with_a_password_is_refused_and_none_is_shown() {
    for (url, why) in [
        ("postgres://a:b@c/d", "holds a password, which belongs in a file of its own"),
        ("postgres://a@c/d?password=b", "holds a password, which belongs in a file of its own"),
        ("mysql://a@c/d", "begins with neither postgres:// nor postgresql://"),
    ] {
        assert_eq!(Server::parse(url, None), Err(why.to_owned()), "{url}");
    }
    let secret = Server::parse("postgres://a@c:5433/d", Some("hush")).expect("a URL");
    assert_eq!(
        format!("{secret} {secret:?}"),
        "postgres://a@c:5433/d Server(postgres://a@c:5433/d)"
    );
    let socket = Server::parse("postgres://a@localhost/d?host=/run/x", None).expect("a URL");
    assert_eq!(socket.to_string(), "postgres://a@/run/x:5432/d");
}
