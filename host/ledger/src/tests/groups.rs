//! The writer: what an answer means, what one job can do to another, and one process per file.

use super::*;
use crate::limits;
use crate::writer::Transaction;
use std::sync::Arc;
use tokio::sync::Notify;

async fn count(database: &Database) -> i64 {
    sqlx::query_scalar("select count(*) from account")
        .fetch_one(database.reader())
        .await
        .expect("a count")
}

async fn open(tx: &mut Transaction, name: &str) -> Result<(), LedgerError> {
    account(tx, name, FEN, 1).await.map(|_| ())
}

#[tokio::test]
async fn an_answered_write_is_there_after_reopening_and_a_reader_cannot_write() {
    let books = books().await;
    book(&books.database, "t1 pending cash meter 5.00").await.expect("booked");
    let refused = sqlx::query("delete from account").execute(books.database.reader()).await;
    let refused = refused.expect_err("readers only read").to_string();
    assert!(refused.contains(by_engine("readonly", "read-only transaction")), "{refused}");

    let Books { database, place, keeper: _keeper } = books;
    drop(database);
    let database = Database::open(&place).await.expect("the lock is let go of");
    book(&database, "t2 post t1").await.expect("booked");
    assert_eq!(database.verify().await.expect("whole").transfers, 2);
}

#[tokio::test]
async fn an_account_of_a_job_that_was_taken_back_is_made_anew() {
    let books = books().await;
    let taken_back: Result<(), LedgerError> = books
        .database
        .write(|tx| {
            Box::pin(async move {
                // Made, then found: whoever remembers it now must forget it with the job.
                open(tx, "cash").await?;
                open(tx, "cash").await?;
                Err(LedgerError::BadName("given up".to_owned()))
            })
        })
        .await;
    taken_back.expect_err("given up");
    assert_eq!(count(&books.database).await, 0);
    // Twice, since it is remembered from the second time on.
    for line in ["t1 pending cash meter 5.00", "t2 pending cash meter 5.00"] {
        book(&books.database, line).await.expect("booked");
    }
    assert_eq!(count(&books.database).await, 2);
}

#[tokio::test]
async fn a_second_process_is_kept_out_with_a_sentence() {
    let books = books().await;
    let error = Database::open(&books.place).await.expect_err("in use").to_string();
    let place = &books.place;
    let (begins, ends) = by_engine(
        (
            format!(
                "the database {place} is in use: another polymeter process holds {place}.lock; stop"
            ),
            "that process, or give this one another database file",
        ),
        (
            format!("the database {place} is in use: another polymeter writes to it (process "),
            "); stop that one, or give this one another database",
        ),
    );
    assert!(error.starts_with(&begins) && error.ends_with(ends), "{error}");
    let (nowhere, named) = match place {
        Place::File(path) => {
            (Place::File(path.join("below/a/file")), "; is its folder there and writable?")
        }
        Place::Server(_) => (server("postgres://nobody@127.0.0.1:1/x"), "cannot be opened"),
    };
    let error = Database::open(&nowhere).await.expect_err("nothing there").to_string();
    assert!(error.contains(&nowhere.to_string()) && error.ends_with(named), "{error}");
}

/// Holds the writer in a first job, lets `jobs` queue up behind it, and lets go: one group.
async fn in_one_group<T: Send + 'static>(
    database: &Database,
    jobs: Vec<impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let (held, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (hold, wait) = (Arc::clone(&held), Arc::clone(&go));
    let holder = database.clone();
    let first = tokio::spawn(async move {
        let done: Result<(), LedgerError> = holder
            .write(move |_| {
                Box::pin(async move {
                    hold.notify_one();
                    wait.notified().await;
                    Ok(())
                })
            })
            .await;
        done
    });
    held.notified().await;
    let all_wait = format!("waiting: {} }}", jobs.len());
    let jobs: Vec<_> = jobs.into_iter().map(tokio::spawn).collect();
    while !format!("{database:?}").contains(&all_wait) {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    let _ = first.await.expect("the holder ends");
    let mut results = Vec::new();
    for job in jobs {
        results.push(job.await.expect("a job's caller ends"));
    }
    results
}

/// What one job of a group does, beside opening an account of its name.
#[derive(Clone, Copy, Debug)]
enum Act {
    Keep,
    Fail,
    Panic,
    Commit,
    RollBack,
}

async fn act(database: Database, name: String, act: Act) -> &'static str {
    let outcome: Result<(), LedgerError> = database
        .write(move |tx| {
            Box::pin(async move {
                open(tx, &name).await?;
                let other = match act {
                    Act::Keep => return Ok(()),
                    Act::Fail => return Err(LedgerError::BadName(name)),
                    Act::Panic => panic!("a bug in a job"),
                    Act::Commit => "commit",
                    Act::RollBack => "rollback",
                };
                // A job that hides what it did and goes on writing.
                let _ = sqlx::query(other).execute(tx.connection()).await;
                let _ = open(tx, &format!("{name} again")).await;
                Ok(())
            })
        })
        .await;
    match outcome {
        Ok(()) => "kept",
        Err(LedgerError::BadName(_)) => "failed",
        Err(LedgerError::JobPanicked) => "panicked",
        Err(LedgerError::NotCommitted(_) | LedgerError::NotStored(_)) => "not committed",
        Err(other) => panic!("{other:?}"),
    }
}

async fn check(acts: &[Act], expected: &[&str], accounts: i64) {
    let books = books().await;
    let jobs = acts
        .iter()
        .enumerate()
        .map(|(number, kind)| act(books.database.clone(), format!("account {number}"), *kind))
        .collect();
    let results = in_one_group(&books.database, jobs).await;
    assert_eq!(results, expected, "{acts:?}");
    assert_eq!(count(&books.database).await, accounts, "{acts:?}");
    // Whatever happened, the writer still writes.
    book(&books.database, "t1 pending cash meter 5.00").await.expect("booked");
    books.database.verify().await.expect("whole");
}

#[tokio::test]
async fn a_bad_job_takes_back_its_own_writes_alone() {
    check(&[Act::Keep, Act::Fail, Act::Keep], &["kept", "failed", "kept"], 2).await;
    check(&[Act::Keep, Act::Panic, Act::Keep], &["kept", "panicked", "kept"], 2).await;
}

#[tokio::test]
async fn a_group_that_is_not_committed_fails_every_job_and_leaves_nothing() {
    let lost = ["not committed"; 3];
    check(&[Act::Keep, Act::Fail, Act::Commit], &lost, 0).await;
    check(&[Act::Keep, Act::Fail, Act::RollBack], &lost, 0).await;
}

#[tokio::test]
async fn more_jobs_than_a_group_holds_are_all_answered() {
    let books = books().await;
    let jobs = (0..limits::JOBS_PER_GROUP_MAX * 3)
        .map(|number| act(books.database.clone(), format!("account {number}"), Act::Keep))
        .collect();
    let results = in_one_group(&books.database, jobs).await;
    assert!(results.iter().all(|result| *result == "kept"));
    assert_eq!(count(&books.database).await, 192);
}

/// A caller who goes away (a closed HTTP connection) leaves a whole job or none.
#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_half_job() {
    let books = books().await;
    let (held, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (hold, wait) = (Arc::clone(&held), Arc::clone(&go));
    let database = books.database.clone();
    let caller = tokio::spawn(async move {
        let done: Result<(), LedgerError> = database
            .write(move |tx| {
                Box::pin(async move {
                    open(tx, "first half").await?;
                    hold.notify_one();
                    wait.notified().await;
                    open(tx, "second half").await
                })
            })
            .await;
        done
    });
    held.notified().await;
    caller.abort();
    assert!(caller.await.expect_err("gone").is_cancelled());
    assert_eq!(count(&books.database).await, 0);
    go.notify_one();
    book(&books.database, "t1 pending cash meter 5.00").await.expect("booked after it");
    assert_eq!(count(&books.database).await, 4);
}

#[tokio::test]
async fn a_database_is_verified_beside_the_process_that_writes_it() {
    let books = super::books().await;
    super::book(&books.database, "t1 pending cash meter 50.00").await.expect("a booking");
    let beside = Database::verify_at(&books.place).await.expect("a whole ledger");
    assert_eq!(beside, books.database.verify().await.expect("a whole ledger"));
    assert_eq!((beside.accounts, beside.transfers), (2, 1));

    if let Place::File(path) = &books.place {
        let missing = path.with_file_name("missing.db");
        let looked = Database::verify_at(&Place::File(missing.clone())).await;
        assert!(matches!(looked, Err(LedgerError::Open { .. })));
        assert!(!missing.exists(), "looking made a database");
    }
}
