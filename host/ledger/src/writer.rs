//! The one task that writes. It takes whatever jobs wait, gives each a savepoint in one
//! transaction, commits once, and answers only then: one fsync for all of them.
//!
//! Invariant: no answer, not even a job's `Err`, before the commit it may rest on; and nothing is
//! committed but by this task's own COMMIT (a commit hook turns any other into a rollback). After a
//! failed commit the connection is given up, and the next group starts on a new one that has re-checked
//! the tail of the chain; where the disk itself failed there is no next group in this process, since a
//! second fsync may claim success for pages that the kernel has already dropped. Not here: deciding what to write (book, service).

use crate::connection::Connection;
use crate::crash_point::crash_point;
use crate::engine::{Engine, Outcome, Session, chain, close};
use crate::error::LedgerError;
use crate::limits;
use std::collections::HashMap;
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
    session: Session,
    /// Accounts that were found through this connection, by name, and their currencies. An account is never
    /// changed or removed once it is stored; where a job is taken back, what it made goes, so that nothing
    /// is known any more.
    accounts: HashMap<String, String>,
}

impl Transaction {
    fn new(session: Session) -> Transaction {
        Transaction { session, accounts: HashMap::new() }
    }

    /// The currency of an account that was found before.
    pub(crate) fn known_account(&self, name: &str) -> Option<&str> {
        self.accounts.get(name).map(String::as_str)
    }

    /// Remembers an account that is stored.
    pub(crate) fn know_account(&mut self, name: &str, currency: &str) {
        if self.accounts.len() >= limits::ACCOUNTS_KNOWN_MAX {
            self.accounts.clear();
        }
        self.accounts.insert(name.to_owned(), currency.to_owned());
    }

    /// Keeps what the last job did, or takes it back.
    async fn end_job(&mut self, keep: bool) -> Result<(), sqlx::Error> {
        if !keep {
            self.accounts.clear();
        }
        self.session.end_job(keep).await
    }

    /// For the other tables of a job's transaction. Account and transfer are written by this crate
    /// alone. A COMMIT through it fails the whole group. After a statement that failed a job must
    /// return: PostgreSQL takes no other one from it.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.session.connection
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
pub(crate) fn start(engine: Engine, session: Session) -> WriterHandle {
    let (jobs, waiting) = mpsc::channel(limits::JOBS_WAITING_MAX);
    tokio::spawn(write_groups(engine, session, waiting));
    WriterHandle { jobs }
}

async fn write_groups(engine: Engine, session: Session, mut waiting: mpsc::Receiver<Job>) {
    let mut usable = Some(Transaction::new(session));
    let mut disk_failed: Option<Arc<sqlx::Error>> = None;
    while let Some(first) = waiting.recv().await {
        if let Some(error) = &disk_failed {
            refuse(first, LedgerError::DiskFailed(Arc::clone(error))).await;
            continue;
        }
        let mut group = Group { next: Some(first), answers: Vec::new() };
        let mut is_fresh = false;
        loop {
            let mut transaction = match usable.take() {
                Some(transaction) => transaction,
                None => match engine.writer().await {
                    Ok(session) => {
                        is_fresh = true;
                        Transaction::new(session)
                    }
                    Err(error) => {
                        tracing::error!(error = chain(&error), "the writer has no database");
                        group.refuse(error, &mut waiting).await;
                        break;
                    }
                },
            };
            match group.write(&mut transaction, &mut waiting).await {
                Ok(()) => {
                    group.succeed();
                    usable = Some(transaction);
                    break;
                }
                // An idle connection was ended; no job has run on it, so nobody need be told.
                Err(error) if engine.is_served() && group.has_not_begun() && !is_fresh => {
                    tracing::warn!(error = chain(&error), "the writer connects anew");
                    close(transaction.session.connection).await;
                }
                Err(error) => {
                    let error = Arc::new(error);
                    if engine.is_disk_failure(&error) {
                        disk_failed = Some(Arc::clone(&error));
                    }
                    usable = group.end(&engine, transaction.session, error).await;
                    break;
                }
            }
        }
    }
    if let Some(transaction) = usable {
        close(transaction.session.connection).await;
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
        transaction.session.begin().await?;
        for _ in 0..limits::JOBS_PER_GROUP_MAX {
            let Some(job) = self.next.take().or_else(|| waiting.try_recv().ok()) else { break };
            let done = run_to_end(job, transaction).await;
            let keep = done.as_ref().is_some_and(|done| done.keep);
            self.answers.extend(done.map(|done| done.answer));
            // One trip each time. Where a job has ended the transaction behind our back, or hides
            // that a statement failed, this fails, and with it the group.
            transaction.end_job(keep).await?;
        }
        crash_point("before-commit");
        transaction.session.commit().await?;
        crash_point("after-commit");
        Ok(())
    }

    /// Before its first job has run.
    fn has_not_begun(&self) -> bool {
        self.next.is_some() && self.answers.is_empty()
    }

    fn succeed(self) {
        self.answers.into_iter().for_each(|answer| answer(Ok(())));
    }

    /// Tells everybody what became of a group that was not committed as it should be.
    async fn end(
        self,
        engine: &Engine,
        session: Session,
        error: Arc<sqlx::Error>,
    ) -> Option<Transaction> {
        tracing::error!(error = chain(&*error), "a group of writes was not committed");
        match engine.outcome(session).await {
            Outcome::Stored(session) => {
                tracing::warn!("the group was committed, though the answer to that was lost");
                self.succeed();
                return Some(Transaction::new(session));
            }
            Outcome::NotStored => self.fail(error, LedgerError::NotStored).await,
            Outcome::Unknown => self.fail(error, LedgerError::NotCommitted).await,
        }
        None
    }

    async fn fail(self, error: Arc<sqlx::Error>, how: fn(Arc<sqlx::Error>) -> LedgerError) {
        for answer in self.answers {
            answer(Err(how(Arc::clone(&error))));
        }
        if let Some(job) = self.next {
            refuse(job, how(error)).await;
        }
    }

    /// No connection is to be had: nobody who waits already is kept waiting for the next try.
    async fn refuse(self, error: LedgerError, waiting: &mut mpsc::Receiver<Job>) {
        let error = Arc::new(error);
        let others = std::iter::from_fn(|| waiting.try_recv().ok()).take(limits::JOBS_WAITING_MAX);
        for job in self.next.into_iter().chain(others) {
            refuse(job, LedgerError::Unreachable(Arc::clone(&error))).await;
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
