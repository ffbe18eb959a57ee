//! The one task that writes. It takes whatever jobs wait, gives each a savepoint in one
//! transaction, commits once, and answers only then: one fsync for all of them.
//!
//! Invariant: no answer, not even a job's `Err`, before the commit it may rest on; and nothing is
//! committed but by this task's own COMMIT (a commit hook turns any other into a rollback). After a
//! failed commit the connection is given up, since a second fsync may claim success for pages that
//! the kernel has already dropped; the next group starts on a new connection that has re-checked
//! the tail of the chain. Not here: deciding what to write (book, service).

use crate::connection::Connection;
use crate::engine::sqlite::{CommitGate, Engine};
use crate::error::LedgerError;
use crate::limits;
use crate::verify::check_tail;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::{mpsc, oneshot};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a job writes through: one open savepoint.
#[derive(Debug)]
pub struct Transaction {
    connection: Connection,
    gate: CommitGate,
}

impl Transaction {
    /// For the other tables of a job's transaction. Account and transfer are written by this crate
    /// alone. A COMMIT through it fails the whole group.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    async fn new(mut connection: Connection) -> Result<Transaction, sqlx::Error> {
        let gate = connection.commit_gate().await?;
        Ok(Transaction { connection, gate })
    }

    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.gate.set(true);
        let committed = self.connection.run("commit").await;
        self.gate.set(false);
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

/// Starts the task. It owns the engine, and so lets go of its lock last.
pub(crate) async fn start(engine: Engine) -> Result<WriterHandle, LedgerError> {
    let transaction = open(&engine).await?;
    let (jobs, waiting) = mpsc::channel(limits::JOBS_WAITING_MAX);
    tokio::spawn(write_groups(engine, transaction, waiting));
    Ok(WriterHandle { jobs })
}

async fn write_groups(engine: Engine, transaction: Transaction, mut waiting: mpsc::Receiver<Job>) {
    let mut usable = Some(transaction);
    while let Some(first) = waiting.recv().await {
        let mut transaction = match usable.take() {
            Some(transaction) => transaction,
            None => match open(&engine).await {
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
        transaction.connection.run("begin immediate; savepoint job").await?;
        for _ in 0..limits::JOBS_PER_GROUP_MAX {
            let Some(job) = self.next.take().or_else(|| waiting.try_recv().ok()) else { break };
            let done = run_to_end(job, transaction).await;
            let keep = done.as_ref().is_some_and(|done| done.keep);
            self.answers.extend(done.map(|done| done.answer));
            // One statement each time, as each is a trip to the thread that SQLite runs in. Where a
            // job has ended the transaction behind our back both fail, and with them the group.
            let next = if keep { "release job; savepoint job" } else { "rollback to job" };
            transaction.connection.run(next).await?;
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

/// A connection to write through, once the tail of the chain is known to be whole.
async fn open(engine: &Engine) -> Result<Transaction, LedgerError> {
    let mut connection = engine.writer().await?;
    check_tail(&mut connection).await?;
    Transaction::new(connection).await.map_err(LedgerError::storage("opening the writer"))
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
