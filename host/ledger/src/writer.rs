//! The one task that writes. It takes whatever jobs wait, gives each a savepoint in one
//! transaction, commits once, and answers only then: one fsync for all of them.
//!
//! Invariant: no answer, not even a job's `Err`, before the commit it may rest on; and nothing is
//! committed but by this task's own COMMIT (a commit hook turns any other into a rollback). After a
//! failed commit the connection is given up, since a second fsync may claim success for pages that
//! the kernel has already dropped; the next group starts on a new connection that has re-checked
//! the tail of the chain. Not here: deciding what to write (book, service).

use crate::error::LedgerError;
use crate::limits;
use crate::verify::check_tail;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fs::File;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use tokio::sync::{mpsc, oneshot};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a job writes through: one open savepoint.
#[derive(Debug)]
pub struct Transaction {
    connection: SqliteConnection,
    /// True only while the writer's own COMMIT runs; read by the commit hook.
    committing: Arc<AtomicBool>,
}

impl Transaction {
    /// For the other tables of a job's transaction. Account and transfer are written by this crate
    /// alone. A COMMIT through it fails the whole group.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// A statement that fails so badly that SQLite rolls everything back (a full disk) leaves the
    /// rest of its job outside of any transaction, where each statement would commit by itself;
    /// the hook refuses that.
    async fn new(mut connection: SqliteConnection) -> Result<Transaction, sqlx::Error> {
        let committing = Arc::new(AtomicBool::new(false));
        let allowed = Arc::clone(&committing);
        connection.lock_handle().await?.set_commit_hook(move || allowed.load(Ordering::SeqCst));
        Ok(Transaction { connection, committing })
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(&mut self.connection).await.map(|_| ())
    }

    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.committing.store(true, Ordering::SeqCst);
        let committed = self.run("commit").await;
        self.committing.store(false, Ordering::SeqCst);
        committed
    }
}

/// Tells one caller: `Ok` hands over the job's own result.
type Answer = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;

/// A job that ran, and waits for the commit.
struct Done {
    keep: bool,
    answer: Answer,
}

/// A caller's closure with its types erased. Given an error instead of a transaction, it passes it
/// on.
type Job =
    Box<dyn for<'t> FnOnce(Result<&'t mut Transaction, LedgerError>) -> BoxFuture<'t, Done> + Send>;

#[derive(Clone)]
pub(crate) struct WriterHandle {
    jobs: mpsc::Sender<Job>,
}

impl std::fmt::Debug for WriterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.jobs.max_capacity() - self.jobs.capacity();
        f.debug_struct("WriterHandle").field("waiting", &waiting).finish()
    }
}

impl WriterHandle {
    pub(crate) async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = erase(move |transaction| {
            Box::pin(async move {
                let result = match transaction {
                    Ok(transaction) => job(transaction).await,
                    Err(error) => Err(E::from(error)),
                };
                let keep = result.is_ok();
                let answer = move |committed: Result<(), LedgerError>| {
                    // A caller who stopped listening is no error: the job stands.
                    let _ = answer.send(committed.map_err(E::from).and(result));
                };
                Done { keep, answer: Box::new(answer) }
            })
        });
        self.jobs.send(job).await.map_err(|_| E::from(LedgerError::WriterStopped))?;
        answered.await.unwrap_or_else(|_| {
            let stopped = self.jobs.is_closed();
            let error = if stopped { LedgerError::WriterStopped } else { LedgerError::JobPanicked };
            Err(E::from(error))
        })
    }
}

/// Gives a closure the one signature that holds for every lifetime.
fn erase<F>(job: F) -> Job
where
    F: for<'t> FnOnce(Result<&'t mut Transaction, LedgerError>) -> BoxFuture<'t, Done>
        + Send
        + 'static,
{
    Box::new(job)
}

/// Starts the task. It owns `lock`, and so lets go of it last.
pub(crate) async fn start(
    options: SqliteConnectOptions,
    connection: SqliteConnection,
    lock: File,
) -> Result<WriterHandle, sqlx::Error> {
    let transaction = Transaction::new(connection).await?;
    let (jobs, waiting) = mpsc::channel(limits::JOBS_WAITING_MAX);
    tokio::spawn(async move {
        write_groups(options, transaction, waiting).await;
        drop(lock);
    });
    Ok(WriterHandle { jobs })
}

async fn write_groups(
    options: SqliteConnectOptions,
    transaction: Transaction,
    mut waiting: mpsc::Receiver<Job>,
) {
    let mut usable = Some(transaction);
    while let Some(first) = waiting.recv().await {
        let mut transaction = match usable.take() {
            Some(transaction) => transaction,
            None => match reopen(&options).await {
                Ok(transaction) => transaction,
                Err(error) => {
                    tracing::error!(error = chain(&error), "the writer cannot reopen its database");
                    refuse(first, error).await;
                    continue;
                }
            },
        };
        let mut group = Group { next: Some(first), answers: Vec::new() };
        match group.write(&mut transaction, &mut waiting).await {
            Ok(()) => usable = Some(transaction),
            Err(error) => {
                tracing::error!(error = chain(&error), "a group of writes was not committed");
                close(transaction).await;
                group.fail(error).await;
                continue;
            }
        }
        group.answers.into_iter().for_each(|answer| answer(Ok(())));
    }
    if let Some(transaction) = usable {
        close(transaction).await;
    }
}

/// The jobs of one transaction.
struct Group {
    /// Taken from the queue and not yet run.
    next: Option<Job>,
    answers: Vec<Answer>,
}

impl Group {
    /// Takes jobs until none waits (those that came while others ran are welcome) or the group is
    /// full, then commits.
    async fn write(
        &mut self,
        transaction: &mut Transaction,
        waiting: &mut mpsc::Receiver<Job>,
    ) -> Result<(), sqlx::Error> {
        transaction.run("begin immediate").await?;
        transaction.run("savepoint job").await?;
        for _ in 0..limits::JOBS_PER_GROUP_MAX {
            let Some(job) = self.next.take().or_else(|| waiting.try_recv().ok()) else { break };
            let done = run_to_end(job, transaction).await;
            let keep = done.as_ref().is_some_and(|done| done.keep);
            self.answers.extend(done.map(|done| done.answer));
            // One statement each time, as each is a trip to the thread that SQLite runs in. Where a
            // job has ended the transaction behind our back both fail, and with them the group.
            let next = if keep { "release job; savepoint job" } else { "rollback to job" };
            transaction.run(next).await?;
        }
        transaction.commit().await
    }

    async fn fail(self, error: sqlx::Error) {
        let error = Arc::new(error);
        for answer in self.answers {
            answer(Err(LedgerError::NotCommitted(Arc::clone(&error))));
        }
        if let Some(job) = self.next {
            refuse(job, LedgerError::NotCommitted(error)).await;
        }
    }
}

/// `None` where the job panicked: its caller sees the answer's channel close.
async fn run_to_end(job: Job, transaction: &mut Transaction) -> Option<Done> {
    let mut future = job(Ok(transaction));
    let done =
        poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        })
        .await;
    if done.is_none() {
        tracing::error!("a write job panicked and is rolled back");
    }
    done
}

/// Answers a job that was never run.
async fn refuse(job: Job, error: LedgerError) {
    let done = job(Err(error)).await;
    (done.answer)(Ok(()));
}

async fn reopen(options: &SqliteConnectOptions) -> Result<Transaction, LedgerError> {
    let shared = |source| LedgerError::NotCommitted(Arc::new(source));
    let mut connection = options.connect().await.map_err(shared)?;
    check_tail(&mut connection).await?;
    Transaction::new(connection).await.map_err(shared)
}

/// What is open is rolled back; that this fails on a broken disk changes nothing.
async fn close(transaction: Transaction) {
    if let Err(error) = transaction.connection.close().await {
        tracing::warn!(error = chain(&error), "the writer's connection did not close cleanly");
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
