//! Every bound of this crate, in one place.

use std::time::Duration;

/// One sale, in minor units: 1,000,000.00. Above every sale at a counter and below what an u32 of
/// minor units on the wire holds (42,949,672.95), so that a slip of the keyboard is caught here.
pub const MAX_SALE_MINOR: i64 = 100_000_000;

/// Deliveries of one sale without a person asking: the first, and one more where the device proved
/// that the first never arrived.
pub(crate) const AUTOMATIC_ATTEMPTS: u32 = 2;

/// A step of a sale that the database did not store is taken up again after this, and after twice as
/// long each time ..
pub(crate) const STORE_AGAIN_FIRST: Duration = Duration::from_millis(500);
/// .. up to this, so that a sale goes on soon after the database is back.
pub(crate) const STORE_AGAIN_MOST: Duration = Duration::from_secs(5);

/// Rows of one page of a list, and how many where the caller did not say.
pub const MAX_PAGE: u32 = 200;
pub const DEFAULT_PAGE: u32 = 50;

pub(crate) const MAX_NAME_CHARS: usize = 100;
pub(crate) const MAX_PHONE_CHARS: usize = 32;
pub(crate) const MAX_PREMISES_CHARS: usize = 200;
pub(crate) const MAX_EQUIPMENT_CHARS: usize = 500;
pub(crate) const MAX_SERIAL_NUMBER_CHARS: usize = 32;
pub(crate) const MAX_REASON_CHARS: usize = 1000;
pub(crate) const MAX_PLAN_NAME_CHARS: usize = 60;

/// A password's length in characters. The upper bound keeps a login from hashing megabytes.
pub const MIN_PASSWORD_CHARS: usize = 10;
pub const MAX_PASSWORD_CHARS: usize = 256;
pub(crate) const MAX_OPERATOR_NAME_CHARS: usize = 64;

/// Random bytes of a session's token and of the setup secret.
pub(crate) const SECRET_BYTES: usize = 32;

pub const SESSION_LENGTH: Duration = Duration::from_hours(12);

/// How often a token is planned anew where another one of the meter took its number meanwhile, and how
/// many steps it is carried on at once.
pub(crate) const TOKEN_ATTEMPTS: usize = 8;

/// Entering tokens over lines: how often it is looked what is due, and how many meters are at once; after
/// how long nobody works any more on what is asked; and how long to wait after the first try that came to
/// nothing, and at most.
pub(crate) const ENTRY_EVERY: Duration = Duration::from_secs(10);
pub(crate) const ENTRY_AT_ONCE: i64 = 100;
pub(crate) const ENTRY_ASKED_MS: i64 = 300_000;
pub(crate) const ENTRY_PAUSE_MS: i64 = 30_000;
pub(crate) const ENTRY_PAUSE_MOST_MS: i64 = 3_600_000;

/// How many meters one roll-over takes: they are tried, and ordered in one job.
pub(crate) const ROLLOVER_METERS_MAX: usize = 1_000;

/// How far off a clock may be that was just set: the line's and the driver's own time before the frame
/// leaves, and no more.
pub(crate) const CLOCK_TOLERANCE_SECONDS: i64 = 5;

/// Records are read since so many days where none are stored; a page's questions, and pages at once.
pub(crate) const RECORD_DAYS: i64 = 7;
pub(crate) const RECORD_QUESTIONS: u32 = 32;
pub(crate) const RECORD_PAGES_MAX: usize = 200;

/// Wrong passwords for one name before every further try has to wait: 1 s, 2 s, 4 s ..
pub(crate) const FREE_GUESSES: u32 = 5;
/// .. and at most this, so that an owner who knows his password is never shut out for long.
pub(crate) const MAX_LOGIN_WAIT_MS: i64 = 60_000;
/// Names under watch at once; above it the one that waited longest is forgotten, so that guessing
/// names cannot fill the memory.
pub(crate) const MAX_WATCHED_NAMES: usize = 10_000;

/// Passwords hashed at once. Each takes 19 MiB and a core for some ten milliseconds (argon2id at
/// its default cost), so that a flood of logins waits here instead of starving the sales.
pub(crate) const CONCURRENT_HASHES: usize = 2;

/// What is remembered of a driver's rollout: the newest differences, and read times of each version.
pub(crate) const DIFFERENCES_KEPT: usize = 100;
pub(crate) const LATENCIES_KEPT: usize = 512;

/// A shadow may hold the line for so many times the current version's read, and so much longer.
pub(crate) const SHADOW_FACTOR: u32 = 10;
pub(crate) const SHADOW_SLACK: Duration = Duration::from_secs(2);

/// Transcripts of calls that did not end well, kept of one meter; the oldest goes.
pub(crate) const RECORDINGS_ON_DISK: i64 = 100;

/// Readings stored in one job, which all other writing waits for.
pub(crate) const READINGS_PER_JOB: usize = 256;

/// Rows of one statement that stores many. Eight values a row stay far below what SQLite (32 766) and
/// PostgreSQL (65 535) take in one statement.
pub(crate) const ROWS_PER_STATEMENT: usize = 128;
