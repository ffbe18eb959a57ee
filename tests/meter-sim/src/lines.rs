//! Where hosts connect: TCP listeners on the loopback and pseudo-terminals, each with its threads,
//! ended together when the simulator is dropped.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};

use nix::pty::openpty;
use nix::sys::termios::{FlushArg, SetArg, cfmakeraw, tcflush, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

use crate::bus::Port;
use crate::event::{Hub, lock};

/// Where a host finds a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    Tcp(SocketAddr),
    /// The path of a pseudo-terminal, to be opened as a serial port.
    Serial(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => write!(f, "{address}"),
            Endpoint::Serial(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A line in service; its threads end with it.
#[derive(Debug)]
pub struct Line {
    hub: Arc<Hub>,
    end: End,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum End {
    Tcp {
        address: SocketAddr,
        connections: Arc<Mutex<Vec<Connection>>>,
    },
    /// Kept open so that a host may come and go without the master seeing a hang-up.
    Pty {
        slave: File,
        path: PathBuf,
    },
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    thread: JoinHandle<()>,
}

impl Line {
    /// Listens on the loopback and serves every connection in a thread of its own.
    pub fn tcp<S>(port: u16, hub: Arc<Hub>, serve: S) -> std::io::Result<Self>
    where
        S: Fn(TcpStream) + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (list, stop, serve) = (Arc::clone(&connections), Arc::clone(&hub), Arc::new(serve));
        let thread = spawn(move || {
            for stream in listener.incoming() {
                if stop.stopping() {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (Ok(()), Ok(kept)) = (stream.set_nodelay(true), stream.try_clone()) else {
                    continue;
                };
                let serve = Arc::clone(&serve);
                let thread = spawn(move || {
                    // Clones are kept for the stop; only a shutdown tells the host that it is over.
                    let ended = stream.try_clone();
                    serve(stream);
                    let _ = ended.and_then(|stream| stream.shutdown(Shutdown::Both));
                });
                let mut list = lock(&list);
                list.retain(|connection: &Connection| !connection.thread.is_finished());
                list.push(Connection { stream: kept, thread });
            }
        });
        Ok(Self { hub, end: End::Tcp { address, connections }, thread: Some(thread) })
    }

    /// Opens a raw pseudo-terminal and serves its master side.
    pub fn pty<S>(hub: Arc<Hub>, serve: S) -> std::io::Result<Self>
    where
        S: FnOnce(Port) + Send + 'static,
    {
        let pair = openpty(None, None)?;
        let mut settings = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut settings);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &settings)?;
        let path = ttyname(&pair.slave)?;
        let (master, slave) = (File::from(pair.master), File::from(pair.slave));
        let port = Port::Pty { master, slave: slave.try_clone()? };
        let thread = spawn(move || serve(port));
        Ok(Self { hub, end: End::Pty { slave, path }, thread: Some(thread) })
    }

    pub fn endpoint(&self) -> Endpoint {
        match &self.end {
            End::Tcp { address, .. } => Endpoint::Tcp(*address),
            End::Pty { path, .. } => Endpoint::Serial(path.clone()),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.hub.stop();
        match &mut self.end {
            End::Tcp { address, connections } => {
                // Wakes the listener.
                let _ = TcpStream::connect(*address);
                join(self.thread.take());
                for connection in lock(connections).drain(..) {
                    let _ = connection.stream.shutdown(Shutdown::Both);
                    join(Some(connection.thread));
                }
            }
            End::Pty { slave, .. } => {
                // Room for a reply that nobody reads, then one byte that wakes the reader.
                let _ = tcflush(&*slave, FlushArg::TCIOFLUSH);
                let _ = slave.write_all(&[0]);
                join(self.thread.take());
            }
        }
    }
}

/// A thread that panicked has told so on stderr already.
fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        let _ = thread.join();
    }
}
