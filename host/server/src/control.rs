//! The control socket: how commands on this machine talk to the program that serves.
//!
//! Invariant: a Unix socket beside the database's file (or the configuration, where the database is on a
//! server) that nobody but its owner can open, from its first
//! moment on; who may open it may read the keys and the database too, so it asks for no password and
//! acts as the system. Not here: what a request means (api::drivers), the commands (commands).

use crate::api;
use crate::app::{App, chain};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// `polymeter.db.control` for `polymeter.db`.
pub fn path(beside: &Path) -> PathBuf {
    let mut name = beside.as_os_str().to_owned();
    name.push(".control");
    PathBuf::from(name)
}

/// The socket, made anew; gone with this value.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A file that is gone already is what is wanted.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves the control routes until the value is dropped. Whoever holds the database is the only one
/// who serves, so a socket that lies there is a dead one's.
pub fn serve(app: &App, beside: &Path) -> io::Result<Socket> {
    let path = path(beside);
    let listener = bind(&path)?;
    let router = api::drivers::control_router(app);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(error = chain(&error), "the control socket is closed");
        }
    });
    Ok(Socket { path })
}

/// Bound in a folder that only its owner can enter, closed to others, and only then moved to where
/// it is looked for.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let private = tempfile::Builder::new().prefix(".polymeter-").tempdir_in(folder)?;
    let fresh = private.path().join("s");
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path)?;
    Ok(listener)
}

/// Why a request to the program that serves brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(
        "no `polymeter serve` is running on {}: start it, or name its configuration with --config",
        .0.display()
    )]
    NobodyServes(PathBuf),
    #[error("the running program could not be asked over {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered with a problem.
    #[error("{0}")]
    Refused(String),
}

/// A client of the program that serves what `beside` is or names.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    beside: PathBuf,
}

impl Client {
    pub fn of(beside: &Path) -> Client {
        Client { path: path(beside), beside: beside.to_owned() }
    }

    /// Whether somebody serves there.
    pub async fn is_served(&self) -> bool {
        UnixStream::connect(&self.path).await.is_ok()
    }

    pub async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ControlError> {
        self.json("GET", route, Vec::new()).await
    }

    pub async fn post<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &serde_json::Value,
    ) -> Result<T, ControlError> {
        self.json("POST", route, body.to_string().into_bytes()).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        route: &str,
        body: Vec<u8>,
    ) -> Result<T, ControlError> {
        let (is_success, body) = self.ask(method, route, body).await?;
        if !is_success {
            let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let detail = problem["detail"].as_str().unwrap_or("it gave no reason");
            return Err(ControlError::Refused(detail.to_owned()));
        }
        serde_json::from_slice(&body).map_err(|error| self.failed(error))
    }

    async fn ask(
        &self,
        method: &str,
        route: &str,
        body: Vec<u8>,
    ) -> Result<(bool, Bytes), ControlError> {
        let stream = match UnixStream::connect(&self.path).await {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Err(ControlError::NobodyServes(self.beside.clone()));
            }
            Err(error) => return Err(self.failed(error)),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed(error))?;
        // It ends with the exchange; what is wrong with it, the exchange says.
        tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(method)
            .uri(route)
            .header("host", "polymeter")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.failed(error))?;
        let response = sender.send_request(request).await.map_err(|error| self.failed(error))?;
        let is_success = response.status().is_success();
        let body = response.into_body().collect().await.map_err(|error| self.failed(error))?;
        Ok((is_success, body.to_bytes()))
    }

    fn failed(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ControlError {
        ControlError::Io { path: self.path.clone(), source: error.into() }
    }
}
