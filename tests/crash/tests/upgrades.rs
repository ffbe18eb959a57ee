//! Reliability row R27 (docs/reliability.md), by name: a database as an older program left it, with real
//! rows, is brought to this version by the program that is shipped, which is killed at every migration and
//! in the midst of one; and the way back.

use anyhow::{Context, Result, ensure};
use crash::aged;
use databases::Fresh;
use e2e::money::{applied, meter_credit};
use e2e::{Api, METERS, OPERATOR, PASSWORD, Program, Site};
use polymeter_ledger::{Balance, Database, Moment, Place, Server, Verified, manifest_of};
use serde_json::json;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The first that was landed with day closes; one on the way; the last but one.
fn chosen() -> Result<[i64; 3]> {
    let all = aged::versions();
    let last_but_one = *all.iter().rev().nth(1).context("two versions")?;
    let [first, middle] = [7, 13];
    ensure!(all.contains(&first) && all.contains(&middle) && middle < last_but_one, "{all:?}");
    Ok([first, middle, last_but_one])
}

/// Past the test harness, which keeps what a passing test prints to itself.
fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

/// A site with customers, meters, sales and a closed day, and its database of today.
struct Today {
    site: Site,
    /// Where the test run is on PostgreSQL.
    database: Option<Fresh>,
    sold: [u64; 2],
    balances: Vec<Balance>,
    verified: Verified,
}

impl Today {
    async fn new() -> Result<Today> {
        let database = Fresh::new().await;
        let (site, program) = match &database {
            Some(fresh) => Site::on_server(&fresh.url()).await?,
            None => Site::in_file().await?,
        };
        let api = site.api(&program);
        let mut sold = [0; 2];
        for nth in 0..6_u64 {
            let at = usize::from(nth % 2 == 1);
            let meter_id = site.meter_id(&api, &METERS[at]).await?;
            let fen = 1_000 + nth * 35;
            let paid = format!("{}.{:02}", fen / 100, fen % 100);
            let sale = api.sell(&uuid::Uuid::now_v7().to_string(), &meter_id, &paid).await?;
            ensure!(sale.body["state"] == "confirmed", "{sale:?}");
            sold[at] += fen;
            if nth == 3 {
                api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
                api.post("/api/v1/day-closes", json!({})).await?;
            }
        }
        program.kill().await?;
        let place = place(&site, database.as_ref())?;
        let balances = Database::balances_at(&place, Moment::Now).await?.balances;
        let verified = Database::verify_at(&place).await?;
        Ok(Today { site, database, sold, balances, verified })
    }

    /// The site's configuration on a database of its own, as the program of `version` left it.
    async fn aged(&self, version: i64) -> Result<Aged> {
        let name = format!("aged-{version}-{}", uuid::Uuid::now_v7());
        let text = std::fs::read_to_string(&self.site.config)?;
        let folder = self.site.folder.path();
        let config = folder.join(format!("{name}.toml"));
        let (database, line) = match &self.database {
            Some(now) => {
                let server = databases::server().context("a server")?;
                let old = aged::database(&server, now, version).await?;
                let line = format!("url = \"{}\"", old.url());
                (Some(old), line)
            }
            None => {
                let old = folder.join(format!("{name}.db"));
                aged::file(&folder.join("polymeter.db"), &old, version).await?;
                (None, format!("path = \"{name}.db\""))
            }
        };
        let now = text
            .lines()
            .find(|line| line.starts_with("path = ") || line.starts_with("url = "))
            .context("no database in the configuration")?;
        std::fs::write(&config, text.replace(now, &line))?;
        let beside = match &database {
            Some(_) => config.clone(),
            None => folder.join(format!("{name}.db")),
        };
        Ok(Aged { config, beside, database })
    }

    /// All is there that was, and it sells.
    async fn is_whole(&self, aged: &Aged) -> Result<()> {
        let place = aged.place()?;
        ensure!(aged.versions().await? == aged::versions(), "{:?}", aged.versions().await?);
        let verified = Database::verify_at(&place).await.context("ledger verify")?;
        ensure!(
            (verified.transfers, &verified.head) == (self.verified.transfers, &self.verified.head),
            "{verified:?}, it was {:?}",
            self.verified
        );
        let balances = Database::balances_at(&place, Moment::Now).await?.balances;
        ensure!(balances == self.balances, "{balances:?}, they were {:?}", self.balances);

        let program = Program::start(&aged.config, None).await?;
        let session = Api::log_in(&program.url, OPERATOR, PASSWORD).await?;
        let api = Api::new(&program.url, session.body["token"].as_str().context("no token")?);
        let customers = api.get("/api/v1/customers").await?;
        ensure!(customers["items"].as_array().is_some_and(|all| all.len() == 2), "{customers}");
        let closes = api.get("/api/v1/day-closes").await?;
        ensure!(closes["items"].as_array().is_some_and(|all| all.len() == 1), "{closes}");
        for (meter, sold) in METERS.iter().zip(self.sold) {
            let meter_id = self.site.meter_id(&api, meter).await?;
            let had = applied(&self.site, meter)?;
            let sale = api.sell(&uuid::Uuid::now_v7().to_string(), &meter_id, "1.00").await?;
            ensure!(sale.body["state"] == "confirmed", "{sale:?}");
            ensure!(applied(&self.site, meter)? == (had.0 + 1, had.1 + 100));
            ensure!(meter_credit(&api, &meter_id).await? == sold + 100, "{sale:?}");
        }
        program.kill().await?;
        Database::verify_at(&place).await.context("ledger verify after a sale")?;
        Ok(())
    }
}

/// A database of an older program.
struct Aged {
    config: PathBuf,
    /// Its backups stand beside this.
    beside: PathBuf,
    database: Option<Fresh>,
}

impl Aged {
    fn place(&self) -> Result<Place> {
        Ok(match &self.database {
            Some(fresh) => server(&fresh.url())?,
            None => Place::File(self.beside.clone()),
        })
    }

    async fn versions(&self) -> Result<Vec<i64>> {
        match &self.database {
            Some(fresh) => aged::version_of_database(&fresh.url()).await,
            None => aged::version_of_file(&self.beside).await,
        }
    }

    /// Backups from before an upgrade, oldest first.
    fn backups(&self) -> Result<Vec<PathBuf>> {
        let mut name = self.beside.as_os_str().to_owned();
        name.push(".upgrades");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(Path::new(&name))? {
            found.push(entry?.path());
        }
        found.sort();
        Ok(found)
    }

    /// Starts the program, which is to die at a point.
    async fn dies_at(&self, point: &str) -> Result<()> {
        let started = Program::start(&self.config, Some(point)).await;
        ensure!(started.is_err(), "it outlived {point}");
        Ok(())
    }
}

fn server(url: &str) -> Result<Place> {
    Ok(Place::Server(Server::parse(url, None).map_err(anyhow::Error::msg)?))
}

fn place(site: &Site, database: Option<&Fresh>) -> Result<Place> {
    match database {
        Some(fresh) => server(&fresh.url()),
        None => Ok(Place::File(site.folder.path().join("polymeter.db"))),
    }
}

/// From each of three versions; a backup of before is there, and is the way back.
#[tokio::test(flavor = "multi_thread")]
async fn r27_an_older_database_is_upgraded_with_all_that_is_in_it() -> Result<()> {
    let today = Today::new().await?;
    for version in chosen()? {
        let aged = today.aged(version).await?;
        let before = aged.versions().await?;
        ensure!(before.last() == Some(&version), "{before:?}");
        let program = Program::start(&aged.config, None).await?;
        program.kill().await?;
        today.is_whole(&aged).await.with_context(|| format!("from {version}"))?;

        let backups = aged.backups()?;
        let [backup] = backups.as_slice() else { anyhow::bail!("backups: {backups:?}") };
        ensure!(manifest_of(backup)?.migrations == before, "{:?}", manifest_of(backup)?);
        way_back(&today, &aged, backup).await.with_context(|| format!("back to {version}"))?;
        say(&format!("R27: upgraded from {version}, whole, sold, and restored from before it"))?;
    }
    Ok(())
}

/// The backup of before, restored elsewhere, has what the books had.
async fn way_back(today: &Today, aged: &Aged, backup: &Path) -> Result<()> {
    let text = std::fs::read_to_string(&aged.config)?;
    let now = text
        .lines()
        .find(|line| line.starts_with("path = ") || line.starts_with("url = "))
        .context("no database in the configuration")?;
    let fresh = Fresh::new().await;
    let file = format!("back-{}.db", uuid::Uuid::now_v7());
    let (line, place) = match &fresh {
        Some(fresh) => (format!("url = \"{}\"", fresh.url()), server(&fresh.url())?),
        None => (format!("path = \"{file}\""), Place::File(today.site.folder.path().join(&file))),
    };
    let config = aged.config.with_extension("back.toml");
    std::fs::write(&config, text.replace(now, &line))?;
    let words = [OsStr::new("--config"), config.as_os_str(), OsStr::new("restore")];
    let ended = e2e::run(words.into_iter().chain([backup.as_os_str()])).await?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let verified = Database::verify_at(&place).await?;
    ensure!(
        (verified.transfers, &verified.head) == (today.verified.transfers, &today.verified.head)
    );
    ensure!(Database::balances_at(&place, Moment::Now).await?.balances == today.balances);
    Ok(())
}

/// One start for each end of each migration: none gets further than it was told, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn r27_killed_between_any_two_migrations_it_goes_on() -> Result<()> {
    let today = Today::new().await?;
    let mut kills = 0;
    let [first, ..] = chosen()?;
    let aged = today.aged(first).await?;
    let mut had = aged.versions().await?;
    for version in aged::versions().into_iter().filter(|version| *version > first) {
        aged.dies_at("before-migration").await?;
        ensure!(aged.versions().await? == had, "{:?}", aged.versions().await?);
        aged.dies_at("after-migration").await?;
        had.push(version);
        ensure!(aged.versions().await? == had, "{:?}", aged.versions().await?);
        let verified = Database::verify_at(&aged.place()?).await;
        verified.with_context(|| format!("after {version}"))?;
        kills += 2;
    }
    today.is_whole(&aged).await?;
    say(&format!("R27: killed {kills} times between migrations, and whole"))
}

/// SQLite writes a migration to its log when it commits: the kill comes at the nth write to a file of the
/// database, until the program lives through all of them.
#[tokio::test(flavor = "multi_thread")]
async fn r27_killed_at_any_write_of_an_upgrade_it_goes_on() -> Result<()> {
    if databases::server().is_some() {
        return Ok(()); // A file's own writes: passed on SQLite.
    }
    let today = Today::new().await?;
    let mut kills = 0;
    let shim = shim()?;
    let [_, middle, last_but_one] = chosen()?;
    for (version, step) in [(middle, 37), (last_but_one, 5)] {
        let mut nth: u32 = 1;
        loop {
            let aged = today.aged(version).await?;
            let count = nth.to_string();
            let environment: [(&str, &OsStr); 2] =
                [("LD_PRELOAD", shim.as_os_str()), ("SHIM_DIES_AT_WRITE", count.as_ref())];
            let started = Program::start_in(&aged.config, &environment).await;
            let is_through = started.is_ok();
            if let Ok(program) = started {
                program.kill().await?;
            } else {
                kills += 1;
                let program = Program::start(&aged.config, None).await;
                program.with_context(|| format!("after write {nth}"))?.kill().await?;
            }
            if is_through || nth == 1 {
                let whole = today.is_whole(&aged).await;
                whole.with_context(|| format!("from {version}, killed at write {nth}"))?;
            } else {
                Database::verify_at(&aged.place()?).await?;
                ensure!(aged.versions().await? == aged::versions(), "after write {nth}");
                let balances = Database::balances_at(&aged.place()?, Moment::Now).await?.balances;
                ensure!(balances == today.balances, "after write {nth}: {balances:?}");
            }
            if is_through {
                break;
            }
            nth += step;
        }
    }
    ensure!(kills >= 8, "only {kills} writes");
    say(&format!("R27: killed at {kills} writes of an upgrade, and whole"))
}

/// shim/shim.c, compiled.
fn shim() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/shim.c");
    let made =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("upgrade-{}.so", uuid::Uuid::now_v7()));
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-o"]);
    ensure!(cc.arg(&made).arg(source).status()?.success(), "the shim was not compiled");
    Ok(made)
}

/// On a server a migration that has to wait for a lock is killed between two of its statements.
#[tokio::test(flavor = "multi_thread")]
async fn r27_killed_in_the_midst_of_a_migration_it_goes_on() -> Result<()> {
    use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
    if databases::server().is_none() {
        return Ok(()); // `cargo xtask test` passes it with PostgreSQL.
    }
    let today = Today::new().await?;
    let mut kills = 0;
    let [first, ..] = chosen()?;
    for table in ["sale", "meter", "customer", "operator"] {
        let aged = today.aged(first).await?;
        let url = aged.database.as_ref().context("a database")?.url();
        let mut holder = PgConnection::connect(&url).await?;
        let lock = format!("begin; lock table {table} in access share mode");
        holder.execute(AssertSqlSafe(lock)).await?;
        let config = aged.config.clone();
        let starting = tokio::spawn(async move { Program::start(&config, None).await });
        let mut watch = PgConnection::connect(&url).await?;
        let waits = async {
            loop {
                let waiting: i64 = sqlx::query_scalar(
                    "select count(*) from pg_locks where not granted
                     and database = (select oid from pg_database where datname = current_database())",
                )
                .fetch_one(&mut watch)
                .await?;
                if waiting > 0 {
                    return anyhow::Ok(());
                }
                ensure!(!starting.is_finished(), "no migration changes {table}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waits).await.context("it never waits")??;
        // SIGKILL: the program goes with its future.
        starting.abort();
        drop(starting.await);
        kills += 1;
        holder.execute("rollback").await?;
        holder.close().await?;
        watch.close().await?;
        let program = Program::start(&aged.config, None).await.with_context(|| table)?;
        program.kill().await?;
        today.is_whole(&aged).await.with_context(|| table)?;
    }
    say(&format!("R27 on Postgres: killed {kills} times between two statements, and whole"))
}
