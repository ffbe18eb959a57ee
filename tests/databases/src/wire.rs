//! A wire between the program and its PostgreSQL server that can be cut: at once, or exactly when a
//! COMMIT is on its way or has been done and its answer is not back.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Where a connection breaks next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server has never heard of the COMMIT.
    BeforeCommit,
    /// The server has committed; nobody was told.
    AfterCommit,
}

#[derive(Debug)]
struct State {
    cut: Mutex<Option<Cut>>,
    /// False: connections are refused, and those there are break.
    is_up: watch::Sender<bool>,
}

/// Listens on a port of its own, and passes on whatever comes.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    state: Arc<State>,
}

impl Wire {
    /// To the server behind a URL of [`crate::Fresh`].
    pub async fn to(url: &str) -> Wire {
        let socket = socket_of(url).expect("a URL with port and host=folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State { cut: Mutex::default(), is_up: watch::Sender::new(true) });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, socket.clone(), Arc::clone(&shared)));
            }
        });
        Wire { address, state }
    }

    /// `url`, over this wire.
    pub fn url(&self, url: &str) -> String {
        let database = url.split('?').next().and_then(|head| head.rsplit('/').next());
        format!("postgres://polymeter@{}/{}", self.address, database.unwrap_or_default())
    }

    /// The next COMMIT meets this.
    pub fn cut(&self, at: Cut) {
        *self.state.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Nothing gets through until it is up again.
    pub fn set_up(&self, is_up: bool) {
        self.state.is_up.send_replace(is_up);
    }
}

fn socket_of(url: &str) -> Option<PathBuf> {
    let (address, settings) = url.split_once('?')?;
    let folder = settings.split('&').find_map(|setting| setting.strip_prefix("host="))?;
    let port = address.rsplit('/').nth(1)?.rsplit(':').next()?;
    Some(PathBuf::from(folder).join(format!(".s.PGSQL.{port}")))
}

/// One connection, to its end.
async fn pass(mut near: TcpStream, socket: PathBuf, state: Arc<State>) {
    let mut is_up = state.is_up.subscribe();
    if !*is_up.borrow_and_update() {
        return;
    }
    let Ok(mut far) = UnixStream::connect(socket).await else { return };
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut ends_with_answer = false;
    loop {
        tokio::select! {
            changed = is_up.changed() => if changed.is_err() || !*is_up.borrow() { return },
            read = near.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &asked[..length];
                if let Some(cut) = cut_of(&state, bytes) {
                    match cut {
                        Cut::BeforeCommit => return,
                        Cut::AfterCommit => ends_with_answer = true,
                    }
                }
                if far.write_all(bytes).await.is_err() { return }
            }
            read = far.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                // What comes now follows the COMMIT, which was the last thing asked.
                if ends_with_answer { return }
                if near.write_all(&answered[..length]).await.is_err() { return }
            }
        }
    }
}

/// What was ordered for the COMMIT that is among these bytes, once.
fn cut_of(state: &State, bytes: &[u8]) -> Option<Cut> {
    let is_commit = bytes.windows(7).any(|window| window == b"commit\0");
    let mut ordered = state.cut.lock().unwrap_or_else(PoisonError::into_inner);
    if is_commit { ordered.take() } else { None }
}
