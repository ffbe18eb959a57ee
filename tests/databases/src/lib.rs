//! Databases for tests: on the PostgreSQL server that the test run has brought up, one of its own
//! for each test, gone with it. Without such a server tests run on SQLite.
//!
//! Invariant: which engine is one variable of the environment, so that each test is written once and
//! `cargo xtask test` runs it twice. Not here: bringing the server up (tests/xtask).

mod wire;

pub use wire::{Cut, Wire};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};

/// Says where the server is: the URL of its database `postgres`, with a superuser.
pub const SERVER: &str = "POLYMETER_TEST_POSTGRES";

/// The server, where tests are to run on PostgreSQL.
pub fn server() -> Option<String> {
    std::env::var(SERVER).ok().filter(|url| !url.is_empty())
}

/// A database that nobody else uses, dropped with this value.
#[derive(Debug)]
pub struct Fresh {
    server: String,
    name: String,
}

impl Fresh {
    /// `None` where tests are to run on SQLite.
    pub async fn new() -> Option<Fresh> {
        Some(Self::on(&server()?).await)
    }

    /// On a server that its caller keeps, by the URL of its database `postgres`.
    pub async fn on(server: &str) -> Fresh {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let fresh = Fresh {
            server: server.to_owned(),
            name: format!("test_{}_{number}", std::process::id()),
        };
        let create = format!("create database {} template template0", fresh.name);
        tell(&fresh.server, create).await.expect("the server makes a database");
        fresh
    }

    /// For a superuser: tests are also those who change what the program may not.
    pub fn url(&self) -> String {
        let (server, settings) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let server = server.strip_suffix("/postgres").expect("the database is called postgres");
        format!("{server}/{}?{settings}", self.name)
    }

    /// What a superuser does to it by hand; statements separated by `;`.
    pub async fn by_hand(&self, sql: &str) -> Result<(), sqlx::Error> {
        tell(&self.url(), sql.to_owned()).await
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        let server = self.server.clone();
        // A thread of its own: there may be a runtime around us, which must not be blocked on.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(tell(&server, drop))
        });
        // It goes with the server at the latest.
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("the database {} was not dropped: {error}", self.name);
        }
    }
}

async fn tell(server: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(server).await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await
}
