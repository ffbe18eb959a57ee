//! `serve`: the page and the API until told to stop.
//!
//! Invariant: told to stop, it takes no new request and ends those under way; a sale in flight is
//! safe either way, because its state is on disk before its bytes are on the wire.

use super::Failure;
use crate::app::{App, chain};
use crate::backup_job;
use crate::config::Config;
use crate::control::{self, Socket};
use crate::web;
use polymeter_service::Actor;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

/// Requests under way get this long to end: a little more than a client may ask to be kept waiting.
const GRACE: Duration = Duration::from_secs(65);

pub async fn run(config: &Path) -> Result<(), Failure> {
    let config = Config::read(config)?;
    let app = App::open(&config).await?;
    let listener = bind(config.listen).await?;
    let _socket = control(&app, &config)?;
    begin_trials(&app, &config).await;
    if let Some(entry) = config.backup.clone() {
        tokio::spawn(backup_job::run(config.database.clone(), entry));
    }
    resume_in_background(&app);
    follow_readers(&app);
    follow_entries(&app);
    charge_in_background(&app, config.purse.every);
    reload_when_told(&app)?;
    announce(&app, listener.local_addr().map_err(Failure::while_doing("listening"))?).await?;
    until_stopped(&app, listener).await
}

fn control(app: &App, config: &Config) -> Result<Socket, Failure> {
    let shown = control::path(&config.control).display().to_string();
    control::serve(app, &config.control)
        .map_err(Failure::while_doing(format!("opening the control socket {shown}")))
}

/// Candidates are on trial only where a program serves. One that cannot be loaded keeps nobody from
/// selling.
async fn begin_trials(app: &App, config: &Config) {
    if config.drivers.iter().all(|entry| entry.candidate.is_none()) {
        return;
    }
    match app.drivers.reload(&Actor::System).await {
        Ok(report) => report.notes.iter().for_each(|note| tracing::warn!("{note}")),
        Err(error) => tracing::error!(error = chain(&error), "no candidate is on trial"),
    }
}

/// SIGHUP means what `polymeter driver reload` means.
#[cfg(unix)]
fn reload_when_told(app: &App) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup =
        signal(SignalKind::hangup()).map_err(Failure::while_doing("waiting for signals"))?;
    let drivers = app.drivers.clone();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match drivers.reload(&Actor::System).await {
                Ok(report) => {
                    report.notes.iter().for_each(|note| tracing::warn!("{note}"));
                    tracing::info!(changes = report.changes.len(), "configuration reloaded");
                }
                Err(error) => {
                    tracing::error!(
                        error = chain(&error),
                        "the configuration was not reloaded; what served goes on serving"
                    );
                }
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn reload_when_told(_: &App) -> Result<(), Failure> {
    Ok(())
}

pub async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(Failure::while_doing(format!("listening on {address}")))
}

/// Cards that are put in are looked at, and what was left of a sale on them goes on.
pub fn follow_readers(app: &App) {
    let service = app.service.clone();
    tokio::spawn(async move { service.follow_readers().await });
}

/// Tokens whose meters have a line are entered there.
pub fn follow_entries(app: &App) {
    let service = app.service.clone();
    tokio::spawn(async move { service.follow_entries().await });
}

/// What a crash left is settled while the page already serves.
fn resume_in_background(app: &App) {
    let service = app.service.clone();
    tokio::spawn(async move {
        match service.resume().await {
            Ok(sales) if sales.is_empty() => {}
            Ok(sales) => {
                tracing::info!(sales = sales.len(), "sales left by the last run were taken up")
            }
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "the last run's sales could not be taken up"
                );
            }
        }
    });
}

/// Every meter that is paid from a purse, again and again. A round that takes longer than the time
/// between two is followed by the next at once.
fn charge_in_background(app: &App, every: Option<Duration>) {
    let Some(every) = every else { return };
    let service = app.service.clone();
    tokio::spawn(async move {
        let mut due = tokio::time::interval(every);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            match service.charge_all().await {
                Ok(round) if round.is_idle() => {}
                Ok(round) => tracing::info!(
                    charged = round.charged,
                    amount = %round.amount,
                    cases = round.cases,
                    failed = round.failed,
                    cut = round.cut,
                    "meters charged"
                ),
                Err(error) => tracing::error!(error = chain(&error), "no meter was charged"),
            }
        }
    });
}

/// Prints the address, and the one-time link while there is nobody who could log in.
pub async fn announce(app: &App, address: SocketAddr) -> Result<Option<String>, Failure> {
    println!("Polymeter serves http://{address}/");
    let link = app.service.setup_secret().await?;
    let link = link.map(|secret| format!("http://{address}/set-up?secret={secret}"));
    if let Some(link) = &link {
        println!("No operator yet. Make the first one with this one-time link:\n  {link}");
    }
    Ok(link)
}

/// Until SIGINT or SIGTERM.
pub async fn until_stopped(app: &App, listener: TcpListener) -> Result<(), Failure> {
    let mut told = app.stop.subscribe();
    let serving = axum::serve(listener, web::router(app)).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is also an end.
        let _ = told.wait_for(|stop| *stop).await;
    });
    let serving = std::future::IntoFuture::into_future(serving);
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(Failure::while_doing("serving")),
        () = signal()? => println!("Stopping."),
    }
    app.stop.send_replace(true);
    match tokio::time::timeout(GRACE, serving).await {
        Ok(ended) => ended.map_err(Failure::while_doing("serving")),
        Err(_) => Ok(()),
    }
}

#[cfg(unix)]
fn signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listening = || Failure::while_doing("waiting for signals");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(listening())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(listening())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signal() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
