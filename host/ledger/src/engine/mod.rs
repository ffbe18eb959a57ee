//! Everything in which one database engine differs from another: making connections, keeping a
//! second process out, ending a group of writes, and the engine's own checks.
//!
//! Invariant: no other file of the host asks which engine it is on. Not here: queries.

pub(crate) mod sqlite;

/// Which unique constraint a statement broke: its name, or from SQLite, which does not tell names,
/// its columns ("meter.line, meter.address";
/// <https://www.sqlite.org/rescode.html#constraint_unique>).
pub fn broken_unique(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    if !error.is_unique_violation() {
        return None;
    }
    error.constraint().or_else(|| error.message().strip_prefix("UNIQUE constraint failed: "))
}
