//! Every bound of this crate, in one place.

use std::time::Duration;

/// Jobs that may wait for the writer; the next caller waits in [`crate::Database::write`].
pub(crate) const JOBS_WAITING_MAX: usize = 1024;

/// Jobs in one group. Twice the 32 counters the design is sized for, so that all of them fit in one
/// fsync, and few enough that the first of a group does not wait noticeably for the last.
pub(crate) const JOBS_PER_GROUP_MAX: usize = 64;

/// Connections for reading. Queries are short; more of them would only queue for the disk.
pub(crate) const READERS_MAX: u32 = 4;

/// How long a statement waits for a lock that another program (a backup, a person's tool) holds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long `open` waits for an ending process, or an ending writer task of this one, to let go.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(1);
pub(crate) const LOCK_POLL: Duration = Duration::from_millis(10);

/// How long a server may take to let us in or to answer one statement before it counts as gone.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(5);
pub(crate) const STATEMENT_WAIT: Duration = Duration::from_secs(30);

/// The same for a statement of the writer's, all of which are short. With [`OUTCOME_WAIT`] and a connect
/// after it, nobody waits a minute for a server that hangs.
pub(crate) const WRITE_STATEMENT_WAIT: Duration = Duration::from_secs(15);

/// How long a server may take to end a session of ours that broke, which holds the writer's lock.
pub(crate) const SERVER_LOCK_WAIT: Duration = Duration::from_secs(5);
pub(crate) const SERVER_LOCK_POLL: Duration = Duration::from_millis(50);

/// How long the writer tries to learn whether a group was committed before it says that it does not
/// know.
pub(crate) const OUTCOME_WAIT: Duration = Duration::from_secs(20);
pub(crate) const OUTCOME_POLL: Duration = Duration::from_millis(250);

/// Rows that `verify` holds in memory at a time.
pub(crate) const VERIFY_PAGE_ROWS: i64 = 1000;

/// The same as the constraint `account_has_name`.
pub(crate) const ACCOUNT_NAME_CHARS_MAX: usize = 200;

/// Accounts that the writer remembers: those of the meters that are sold to in an hour, in a megabyte.
pub(crate) const ACCOUNTS_KNOWN_MAX: usize = 4096;

/// Transfers of one link: more than one act at a counter needs, and few enough to be read at once.
pub(crate) const LINK_ROWS_MAX: i64 = 1000;
