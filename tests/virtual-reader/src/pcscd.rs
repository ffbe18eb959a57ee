//! A pcscd of the test run's own: in the foreground, with the virtual reader alone, gone with the
//! run.
//!
//! Invariant: there is one pcscd on a machine, because its socket's path is built in. One that runs
//! already is used as it is when it has the virtual reader, and never stopped.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{PORT, RUNNING, Slot};

/// Where Debian's package puts the virtual reader's driver.
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/// Built into pcscd and its clients.
const SOCKET: &str = "/run/pcscd/pcscd.comm";

/// Whether both programs are installed.
pub fn found() -> bool {
    let pcscd = Command::new("pcscd").arg("--version").stdout(Stdio::null()).status();
    pcscd.is_ok_and(|status| status.success()) && Path::new(DRIVER).is_file()
}

/// The running pcscd; the value that started it ends it.
#[derive(Debug)]
pub struct Pcscd {
    folder: PathBuf,
    ours: bool,
}

/// The children of this process, to be waited for when they end.
static CHILDREN: Mutex<Vec<Child>> = Mutex::new(Vec::new());

impl Pcscd {
    /// Starts one with its files in `folder`, or takes the one that runs.
    pub fn start(folder: &Path) -> Result<Pcscd> {
        std::fs::create_dir_all(folder)?;
        let ours = UnixStream::connect(SOCKET).is_err();
        let pcscd = Pcscd { folder: folder.to_owned(), ours };
        if ours {
            pcscd.launch()?;
        }
        pcscd.wait_for(true)?;
        Ok(pcscd)
    }

    /// The one that the test run has started, for a test that stops it. Needs both slots, so that
    /// no other test is in the middle of something. `None`, and said aloud, where it is not ours to
    /// stop.
    pub fn of_the_run(_slots: &[Slot; 2]) -> Option<Pcscd> {
        let folder = PathBuf::from(std::env::var_os(RUNNING)?);
        if !pid_file(&folder).is_file() {
            eprintln!("NOT RUN: this pcscd ran before the tests, and is not ours to stop");
            return None;
        }
        // Not `ours`: the run ends it.
        Some(Pcscd { folder, ours: false })
    }

    /// What tells the tests about it.
    pub fn environment(&self) -> (&'static str, &Path) {
        (RUNNING, &self.folder)
    }

    /// Says what runs.
    pub fn version(&self) -> String {
        let said = Command::new("pcscd").arg("--version").output();
        let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let first = said.unwrap_or_default().lines().next().unwrap_or("pcscd").to_owned();
        if self.ours { first } else { format!("{first}, which ran already") }
    }

    /// Ends it, as a crash or an update would.
    pub fn stop(&self) -> Result<()> {
        let path = pid_file(&self.folder);
        let Ok(pid) = std::fs::read_to_string(&path) else { return Ok(()) };
        Command::new("kill").arg(pid.trim()).stderr(Stdio::null()).status()?;
        std::fs::remove_file(path)?;
        self.wait_for(false)
    }

    /// After a stop.
    pub fn launch(&self) -> Result<()> {
        let config = self.folder.join("reader.conf");
        let lines = [
            "FRIENDLYNAME \"Virtual PCD\"".to_owned(),
            format!("DEVICENAME /dev/null:{PORT:#06X}"),
            format!("LIBPATH {DRIVER}"),
            format!("CHANNELID {PORT:#06X}"),
        ];
        std::fs::write(&config, lines.join("\n") + "\n")?;
        let log = std::fs::File::create(self.folder.join("log"))?;
        let mut command = Command::new("pcscd");
        command.arg("--foreground").arg("--config").arg(&config);
        // Newer ones ask polkit about each client, which a container has not.
        let help = Command::new("pcscd").arg("--help").output()?;
        if String::from_utf8_lossy(&help.stdout).contains("--disable-polkit") {
            command.arg("--disable-polkit");
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        std::fs::write(pid_file(&self.folder), child.id().to_string())?;
        CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        self.wait_for(true)
    }

    /// Until clients are answered and both slots listen, or neither is so any more.
    fn wait_for(&self, up: bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            reap();
            let answers = UnixStream::connect(SOCKET).is_ok();
            let listening = (0..2).filter(|number| listens(PORT + number)).count();
            if (answers, listening) == (up, if up { 2 } else { 0 }) {
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(20) {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let what = format!(
                    "pcscd should be {}: clients are answered: {answers}, slots of the virtual \
                     reader that listen: {listening}\n{log}",
                    if up { "up" } else { "gone" }
                );
                return Err(Error::other(what));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Pcscd {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = self.stop()
        {
            eprintln!("pcscd was not stopped: {error}");
        }
    }
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("pid")
}

fn reap() {
    let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
}

/// Whether the port is taken. Connecting would be putting a card in.
fn listens(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err()
}
