//! One call of a library as its host sees it: a process that is started, asked, listened to and ended.
//!
//! Invariant: the process and all that it may have started are gone when a [`Child`] is dropped; every
//! buffer here is bounded; waiting for what comes next may be given up at any moment and loses nothing.
//! Not here: the deadline, the line and what is thought of the answer (runtime), what the process does
//! (worker).

use crate::frame::FRAME_BYTES_MOST;
use crate::worker::{ANSWERED, COMMAND, PASSWORD_BYTES_MOST, READY, REFUSED};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::{IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as Plain;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes that a library writes one by one are one frame as long as the pauses are shorter.
const GAP: Duration = Duration::from_millis(5);
/// No device's frame is longer; what is, leaves in pieces.
const SENT_BYTES_MOST: usize = 4096;
/// What is read of a log at a time.
const SAID_BYTES: usize = 4096;
/// A process that has let go of its host is waited for so long before it is killed.
const DYING: Duration = Duration::from_millis(500);
/// The longest message: what the function returned, and all of `recvstr`.
const TOLD_BYTES_MOST: usize = 8 + FRAME_BYTES_MOST;
/// A message's length and kind.
const HEAD: usize = 3;

/// What the process may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The library, what it brings along and what it asks for.
    pub memory_bytes: u64,
    pub cpu_seconds: u64,
    /// It ends itself after that time, should the host be gone by then.
    pub wall_seconds: u64,
}

/// A program that, started with these arguments and some more, calls [`crate::native_worker`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// A library's bytes as they were judged, in memory that cannot be changed, and its function.
#[derive(Debug)]
pub struct Library {
    image: OwnedFd,
    function: String,
}

impl Library {
    pub fn new(bytes: &[u8], function: &str) -> std::io::Result<Library> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let mut file = std::fs::File::from(memfd_create(c"polymeter-library", flags)?);
        file.write_all(bytes)?;
        let seals = SealFlag::F_SEAL_SEAL
            | SealFlag::F_SEAL_WRITE
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_SHRINK;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(Library { image: file.into(), function: function.to_owned() })
    }

    pub fn function(&self) -> &str {
        &self.function
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error("its process does not start: {0}")]
    Start(#[from] std::io::Error),
    /// Before a call could be made.
    #[error("{0}")]
    Refused(String),
    #[error("its process {0} while it was loaded")]
    Ended(End),
}

/// How a process ended that should not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct End {
    pub signal: Option<i32>,
    text: String,
}

/// What comes from a library while it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// For the device.
    Sends(Vec<u8>),
    /// For people.
    Says(Vec<u8>),
    /// What the function returned, and all of `recvstr`.
    Answers {
        returned: i64,
        reply: Vec<u8>,
    },
    Ends(End),
}

#[derive(Debug)]
pub struct Child {
    process: tokio::process::Child,
    group: Option<Pid>,
    control: Pipe,
    icdev: Pipe,
    log: Pipe,
    inbox: Vec<u8>,
    /// Written to `icdev`, and since when nothing was added to it.
    sends: Vec<u8>,
    quiet_at: Instant,
    jailed: bool,
}

/// Our end of a pair of sockets.
#[derive(Debug)]
struct Pipe {
    socket: UnixStream,
    /// The same socket, read past tokio, which answers "nothing there" from what it last heard of the
    /// kernel.
    direct: Plain,
    is_open: bool,
}

impl Pipe {
    /// Ours, and the one for the process.
    fn pair() -> std::io::Result<(Pipe, Plain)> {
        let (ours, theirs) = Plain::pair()?;
        ours.set_nonblocking(true)?;
        let direct = ours.try_clone()?;
        Ok((Pipe { socket: UnixStream::from_std(ours)?, direct, is_open: true }, theirs))
    }

    /// What is there now.
    fn read_now(&mut self, most: usize) -> Vec<u8> {
        let mut buffer = vec![0; most];
        let length = self.direct.read(&mut buffer).unwrap_or(0);
        buffer.truncate(length);
        buffer
    }
}

/// What a worker told.
enum Told {
    Ready { jailed: bool },
    Refused(String),
    Answered { returned: i64, reply: Vec<u8> },
    Nonsense,
}

impl Child {
    /// Started, limited, loaded, and ready to be called. Not bounded in time.
    pub async fn start(
        program: &Program,
        library: &Library,
        bounds: &Bounds,
    ) -> Result<Child, ChildError> {
        let (control, control_end) = Pipe::pair()?;
        let (icdev, icdev_end) = Pipe::pair()?;
        let (log, log_end) = Pipe::pair()?;
        let ends = |end: Plain| Stdio::from(OwnedFd::from(end));
        let Bounds { memory_bytes, cpu_seconds, wall_seconds } = bounds;
        let process = Command::new(&program.program)
            .args(&program.arguments)
            .args([COMMAND, &library.function])
            .args([memory_bytes, cpu_seconds, wall_seconds].map(u64::to_string))
            .env_clear()
            .current_dir("/")
            .stdin(ends(control_end))
            .stdout(ends(icdev_end))
            .stderr(ends(log_end))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = process.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let image = [library.image.as_raw_fd()];
        sendmsg::<()>(
            control.direct.as_raw_fd(),
            &[IoSlice::new(b"L")],
            &[ControlMessage::ScmRights(&image)],
            MsgFlags::empty(),
            None,
        )
        .map_err(std::io::Error::from)?;
        let mut child = Child {
            process,
            group,
            control,
            icdev,
            log,
            inbox: Vec::new(),
            sends: Vec::new(),
            quiet_at: Instant::now(),
            jailed: false,
        };
        child.ready().await?;
        Ok(child)
    }

    async fn ready(&mut self) -> Result<(), ChildError> {
        loop {
            match self.told() {
                Some(Told::Ready { jailed }) => {
                    self.jailed = jailed;
                    return Ok(());
                }
                Some(Told::Refused(sentence)) => return Err(ChildError::Refused(sentence)),
                Some(Told::Answered { .. } | Told::Nonsense) => {
                    return Err(ChildError::Refused("its process speaks out of turn".to_owned()));
                }
                None => {}
            }
            match self.control.socket.read_buf(&mut self.inbox).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(ChildError::Ended(self.ended().await)),
            }
        }
    }

    /// The process's number while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Whether the system's filters are on, and not the limits alone.
    pub fn is_jailed(&self) -> bool {
        self.jailed
    }

    /// Makes the call. A longer password than fits is cut.
    pub async fn call(&mut self, password: &[u8], frame: &[u8]) {
        let password = password.get(..password.len().min(PASSWORD_BYTES_MOST)).unwrap_or_default();
        let secret = u8::try_from(password.len()).unwrap_or(u8::MAX);
        let length = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        let message = [&[secret, high, low], password, frame].concat();
        // Where it has ended, `next` says how.
        let _ = self.control.socket.write_all(&message).await;
    }

    /// Bytes from the device.
    pub async fn hear(&mut self, bytes: &[u8]) {
        // Whoever closed its end does not want them.
        let _ = self.icdev.socket.write_all(bytes).await;
    }

    /// Nothing more comes from the device: the library reads an end instead of waiting.
    pub fn hang_up(&mut self) {
        let _ = self.icdev.direct.shutdown(Shutdown::Write);
    }

    /// What comes next. May be dropped and called anew. What was sent comes before the answer or the
    /// end that follow it, because it has left the library.
    pub async fn next(&mut self) -> Event {
        loop {
            if self.sends.len() >= SENT_BYTES_MOST {
                return Event::Sends(std::mem::take(&mut self.sends));
            }
            if let Some(event) = self.over().await {
                return event;
            }
            let mut said = vec![0; SAID_BYTES];
            let mut sent = vec![0; SENT_BYTES_MOST - self.sends.len()];
            tokio::select! {
                biased;
                read = self.control.socket.read_buf(&mut self.inbox), if self.control.is_open => {
                    self.control.is_open = matches!(read, Ok(1..));
                }
                read = self.icdev.socket.read(&mut sent), if self.icdev.is_open => match read {
                    Ok(length @ 1..) => {
                        self.sends.extend(sent.get(..length).unwrap_or_default());
                        self.quiet_at = Instant::now() + GAP;
                    }
                    Ok(0) | Err(_) => self.icdev.is_open = false,
                },
                () = sleep_until(self.quiet_at), if !self.sends.is_empty() => {
                    return Event::Sends(std::mem::take(&mut self.sends));
                }
                read = self.log.socket.read(&mut said), if self.log.is_open => match read {
                    Ok(length @ 1..) => {
                        said.truncate(length);
                        return Event::Says(said);
                    }
                    Ok(0) | Err(_) => self.log.is_open = false,
                },
            }
        }
    }

    /// The answer or the end, if it is there, after all that came before it.
    async fn over(&mut self) -> Option<Event> {
        if self.control.is_open && !self.has_message() {
            return None;
        }
        let mut sent = std::mem::take(&mut self.sends);
        sent.extend(self.icdev.read_now(SENT_BYTES_MOST));
        if !sent.is_empty() {
            return Some(Event::Sends(sent));
        }
        let said = self.log.read_now(SAID_BYTES);
        if !said.is_empty() {
            return Some(Event::Says(said));
        }
        Some(match self.told() {
            Some(Told::Answered { returned, reply }) => Event::Answers { returned, reply },
            Some(Told::Ready { .. } | Told::Refused(_) | Told::Nonsense) => {
                let text = "speaks out of turn".to_owned();
                Event::Ends(End { signal: None, text })
            }
            None => Event::Ends(self.ended().await),
        })
    }

    /// A whole one, or one that is too long to be any.
    fn has_message(&self) -> bool {
        let length = self.inbox.first_chunk().map(|it| usize::from(u16::from_be_bytes(*it)));
        length.is_some_and(|length| length > TOLD_BYTES_MOST || self.inbox.len() >= HEAD + length)
    }

    fn told(&mut self) -> Option<Told> {
        if !self.has_message() {
            return None;
        }
        let (head, rest) = self.inbox.split_first_chunk::<HEAD>()?;
        let [high, low, kind] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(content) = rest.get(..length).map(<[u8]>::to_vec) else {
            self.inbox.clear();
            return Some(Told::Nonsense);
        };
        self.inbox.drain(..HEAD + length);
        Some(match (kind, content.split_first_chunk::<8>()) {
            (READY, _) => Told::Ready { jailed: content == [1] },
            (REFUSED, _) => Told::Refused(String::from_utf8_lossy(&content).into_owned()),
            (ANSWERED, Some((returned, reply))) => {
                Told::Answered { returned: i64::from_be_bytes(*returned), reply: reply.to_vec() }
            }
            _ => Told::Nonsense,
        })
    }

    /// How the process ended, which has let go of its control socket.
    async fn ended(&mut self) -> End {
        let ended = timeout(DYING, self.process.wait()).await;
        self.kill();
        // From here on its number may be another's.
        self.group = None;
        if let Ok(Ok(status)) = ended {
            return End::of(status);
        }
        End { signal: None, text: "hung up on its host".to_owned() }
    }

    fn kill(&self) {
        // By the group, because it may have started others where no filter forbids it.
        if let Some(group) = self.group {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

impl End {
    fn of(status: ExitStatus) -> End {
        let text = match (status.signal(), status.code()) {
            (Some(signal), _) => match Signal::try_from(signal) {
                Ok(signal) => format!("was ended by {}", signal.as_str()),
                Err(_) => format!("was ended by signal {signal}"),
            },
            (None, Some(code)) => format!("ended by itself with code {code}"),
            (None, None) => "ended".to_owned(),
        };
        End { signal: status.signal(), text }
    }
}
