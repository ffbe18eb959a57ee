//! PostgreSQL: a server that may be elsewhere, go away and come back.
//!
//! Invariants: one session writes, and it holds an advisory lock that keeps every other process's
//! writer out until the server has ended that session; what was committed is found out from the
//! group's mark, never guessed. A password is in no message. Not here: what the writer does with a
//! group (writer), what a statement on a lost connection does (connection).

use super::Place;
use super::upgrade::upgrade;
use crate::connection::{Connection, Reader};
use crate::error::LedgerError;
use crate::limits;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres");

/// "polymete", as eight bytes: what the writer's lock is called in each database.
const WRITER_LOCK: i64 = 0x706f_6c79_6d65_7465;

/// What the migrations make of the ledger's tables; a test keeps it true.
const SCHEMA: &str = include_str!("postgres.schema");

/// Which database of which server, and as whom. Shown without its password.
#[derive(Clone)]
pub struct Server {
    options: Box<PgConnectOptions>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let (user, port) = (options.get_username(), options.get_port());
        let database = options.get_database().unwrap_or(user);
        match options.get_socket() {
            Some(folder) => {
                write!(f, "postgres://{user}@{}:{port}/{database}", folder.display())
            }
            None => write!(f, "postgres://{user}@{}:{port}/{database}", options.get_host()),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Server) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Server {}

impl Server {
    /// `postgres://user@host:port/database`; what it does not say is taken from libpq's environment
    /// variables (PGPASSWORD, PGPASSFILE, PGSSLMODE and so on). A password in it is refused, because
    /// addresses are shown. The error is a sentence.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Server, String> {
        let Some(rest) =
            url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))
        else {
            return Err("begins with neither postgres:// nor postgresql://".to_owned());
        };
        let (address, settings) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = address.split('/').next().unwrap_or_default();
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        let is_password = |setting: &str| setting.to_ascii_lowercase().starts_with("password=");
        if user.contains(':') || settings.split('&').any(is_password) {
            return Err("holds a password, which belongs in a file of its own".to_owned());
        }
        // Its errors may quote the text, which has no password in it by now.
        let mut options = PgConnectOptions::from_str(url).map_err(|error| error.to_string())?;
        if let Some(password) = password {
            options = options.password(password);
        }
        Ok(Server { options: Box::new(options) })
    }

    fn options(&self, role: &str, settings: &[(&str, &str)]) -> PgConnectOptions {
        PgConnectOptions::clone(&self.options)
            .application_name(&format!("polymeter {role}"))
            .options(settings.iter().copied())
            .disable_statement_logging()
    }

    /// Reads only, whatever it is asked.
    fn reading(&self) -> PgConnectOptions {
        self.options("reader", &[("default_transaction_read_only", "on")])
    }

    /// Durable whatever the server's default is; and the server itself soon sees a host that has
    /// gone, because its lock keeps the next one out.
    fn writing(&self) -> PgConnectOptions {
        let settings = [
            ("synchronous_commit", "on"),
            ("lock_timeout", "5s"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
        ];
        self.options("writer", &settings)
    }

    async fn connect(&self, options: &PgConnectOptions) -> Result<PgConnection, LedgerError> {
        let connected = match timeout(limits::CONNECT_WAIT, options.connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        };
        connected.map_err(|source| self.cannot_open(source))
    }

    fn cannot_open(&self, source: sqlx::Error) -> LedgerError {
        LedgerError::Open { database: self.to_string(), source: Box::new(source) }
    }

    /// To look at the database beside whoever writes to it.
    pub(crate) async fn look(&self) -> Result<Connection, LedgerError> {
        Ok(Connection::from(self.connect(&self.reading()).await?))
    }
}

#[derive(Debug)]
pub(crate) struct Engine {
    server: Server,
    /// Of this process's marks.
    writer: Uuid,
}

impl Engine {
    /// Migrates the database where needed. The writer's session comes with it, so that nobody else
    /// is let in between.
    pub(crate) async fn open(
        server: &Server,
        keep: Option<&Path>,
    ) -> Result<(Engine, Connection), LedgerError> {
        let engine = Engine { server: server.clone(), writer: Uuid::now_v7() };
        let mut connection = engine.locked().await?;
        engine.check_settings(&mut connection).await?;
        let applied = applied(&mut connection).await?;
        let place = Place::Server(server.clone());
        upgrade(&MIGRATOR, &mut connection, &applied, &place, keep).await?;
        // What processes that ended long ago have left.
        sqlx::query(
            "delete from written_group
             where at_ms < (extract(epoch from now() - interval '1 day') * 1000)::bigint",
        )
        .execute(&mut connection)
        .await
        .map_err(LedgerError::storage("clearing old marks"))?;
        Ok((engine, Connection::from(connection)))
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { writer: self.writer, group: Uuid::now_v7(), was_sent: false }
    }

    pub(crate) fn reader(&self) -> Reader {
        let pool = PgPoolOptions::new()
            .max_connections(limits::READERS_MAX)
            .acquire_timeout(limits::CONNECT_WAIT)
            .connect_lazy_with(self.server.reading());
        Reader::from(pool)
    }

    pub(crate) async fn writer(&self) -> Result<Connection, LedgerError> {
        Ok(Connection::from(self.locked().await?))
    }

    /// A session that holds the writer's lock, of a database that may have no tables yet.
    pub(super) async fn session_of(server: &Server) -> Result<PgConnection, LedgerError> {
        let engine = Engine { server: server.clone(), writer: Uuid::now_v7() };
        let mut connection = engine.locked().await?;
        engine.check_settings(&mut connection).await?;
        Ok(connection)
    }

    /// A session that holds the lock. One of ours that broke may hold it still: the server ends it
    /// once it has done what it was told, and only then is its outcome certain.
    async fn locked(&self) -> Result<PgConnection, LedgerError> {
        let doing = "taking the writer's lock";
        let mut connection = self.server.connect(&self.server.writing()).await?;
        let give_up = Instant::now() + limits::SERVER_LOCK_WAIT;
        loop {
            let asked = sqlx::query_scalar("select pg_try_advisory_lock($1)")
                .bind(WRITER_LOCK)
                .fetch_one(&mut connection);
            let Ok(asked) = timeout(limits::CONNECT_WAIT, asked).await else {
                return Err(self
                    .server
                    .cannot_open(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
            };
            if asked.map_err(LedgerError::storage(doing))? {
                return Ok(connection);
            }
            if Instant::now() >= give_up {
                let holder = holder(&mut connection).await.unwrap_or_default();
                let database = self.server.to_string();
                return Err(LedgerError::ServerLocked { database, holder });
            }
            tokio::time::sleep(limits::SERVER_LOCK_POLL).await;
        }
    }

    /// Text must be UTF-8; a server that does not flush is told of, since it may be a test's.
    async fn check_settings(&self, connection: &mut PgConnection) -> Result<(), LedgerError> {
        let (encoding, fsync, whole_pages): (String, String, String) = sqlx::query_as(
            "select current_setting('server_encoding'), current_setting('fsync'),
                    current_setting('full_page_writes')",
        )
        .fetch_one(connection)
        .await
        .map_err(LedgerError::storage("reading the server's settings"))?;
        if encoding != "UTF8" {
            let why = format!("its encoding is {encoding}; make it anew with encoding UTF8");
            return Err(LedgerError::Unsuitable { database: self.server.to_string(), why });
        }
        if (fsync.as_str(), whole_pages.as_str()) != ("on", "on") {
            tracing::error!(
                fsync,
                full_page_writes = whole_pages,
                "this PostgreSQL server may lose what it has confirmed: set both to on"
            );
        }
        Ok(())
    }
}

/// The versions that the database has had; a new one has no table that could say.
async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, LedgerError> {
    let doing = "reading which migrations were applied";
    let is_there: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await
        .map_err(LedgerError::storage(doing))?;
    if !is_there {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("select version from _sqlx_migrations order by version")
        .fetch_all(connection)
        .await
        .map_err(LedgerError::storage(doing))
}

/// Who has the lock, as far as the server tells us: "process 4711 from 10.0.0.7".
async fn holder(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let (high, low) = (WRITER_LOCK >> 32, WRITER_LOCK & 0xffff_ffff);
    sqlx::query_scalar(
        "select 'process ' || lock.pid || coalesce(' from ' || host(activity.client_addr), '')
         from pg_locks as lock left join pg_stat_activity as activity on activity.pid = lock.pid
         where lock.locktype = 'advisory' and lock.granted
           and lock.database = (select oid from pg_database where datname = current_database())
           and lock.classid::bigint = $1 and lock.objid::bigint = $2",
    )
    .bind(high)
    .bind(low)
    .fetch_one(connection)
    .await
}

/// What a group leaves behind in the transaction that it is, in its process's own row.
#[derive(Debug)]
pub(crate) struct Mark {
    writer: Uuid,
    group: Uuid,
    was_sent: bool,
}

impl Mark {
    /// For the next group.
    pub(crate) fn renew(&mut self) {
        self.group = Uuid::now_v7();
        self.was_sent = false;
    }

    /// A COMMIT was asked for, with whatever outcome.
    pub(crate) fn was_sent(&self) -> bool {
        self.was_sent
    }

    /// In a transaction that has failed, the first statement does, and nothing is committed.
    pub(crate) async fn commit(&mut self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        self.was_sent = true;
        let Mark { writer, group, .. } = self;
        let text = format!(
            "insert into written_group (writer, mark, at_ms)
             values ('{writer}', '{group}', (extract(epoch from now()) * 1000)::bigint)
             on conflict (writer) do update set mark = excluded.mark, at_ms = excluded.at_ms;
             commit"
        );
        connection.control(AssertSqlSafe(text)).await
    }

    /// Whether the group that left it was committed. Certain of a process's last group, and where
    /// the lock is held: whatever an earlier session was told to do, it has done.
    pub(crate) async fn is_there(&self, connection: &mut Connection) -> Result<bool, LedgerError> {
        let last: Option<String> =
            sqlx::query_scalar("select mark from written_group where writer = $1")
                .bind(self.writer.to_string())
                .fetch_optional(connection)
                .await
                .map_err(LedgerError::storage("looking whether a group was committed"))?;
        Ok(last == Some(self.group.to_string()))
    }
}

/// "trigger transfer_is_never_updated" and its text, and so on, as they are. A trigger counts with
/// its function's text and whether it is on, a constraint with whether its own triggers are.
pub(crate) async fn schema(
    connection: &mut Connection,
) -> Result<BTreeMap<String, String>, LedgerError> {
    let objects: Vec<(String, String)> = sqlx::query_as(
        "with ours as (
             select * from pg_class
             where oid in (to_regclass('account'), to_regclass('transfer'),
                          to_regclass('day_close'), to_regclass('day_close_sum'),
                          to_regclass('audit'))
         ), objects as (
             select 'table ' || relname as object,
                    concat_ws(' ', relkind, relpersistence, relrowsecurity) as text
             from ours
             union all
             select 'column ' || relname || '.' || attname,
                    concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, collname)
             from ours join pg_attribute on attrelid = ours.oid and attnum > 0 and not attisdropped
             left join pg_collation on pg_collation.oid = attcollation
             union all
             select 'constraint ' || conname,
                    concat_ws(' ', pg_get_constraintdef(pg_constraint.oid),
                        (select string_agg(distinct tgenabled::text, '') from pg_trigger
                         where tgconstraint = pg_constraint.oid))
             from ours join pg_constraint on conrelid = ours.oid and contype <> 'n'
             union all
             select 'index ' || made.relname,
                    concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid)
             from ours join pg_index on indrelid = ours.oid
             join pg_class as made on made.oid = indexrelid
             union all
             select 'trigger ' || tgname,
                    concat_ws(' ', pg_get_triggerdef(pg_trigger.oid), tgenabled, prosrc)
             from ours join pg_trigger on tgrelid = ours.oid and not tgisinternal
             join pg_proc on pg_proc.oid = tgfoid
             union all
             select 'rule ' || rulename, pg_get_ruledef(pg_rewrite.oid)
             from ours join pg_rewrite on ev_class = ours.oid
         )
         select object,
                regexp_replace(replace(text, quote_ident(current_schema()) || '.', ''),
                               '\\s+', ' ', 'g')
         from objects",
    )
    .fetch_all(connection)
    .await
    .map_err(LedgerError::storage("reading the schema"))?;
    Ok(objects.into_iter().collect())
}

/// The same of a database that this program's migrations have just made.
pub(crate) fn schema_as_made() -> BTreeMap<String, String> {
    let lines = SCHEMA.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(object, text)| (object.to_owned(), text.to_owned())).collect()
}
