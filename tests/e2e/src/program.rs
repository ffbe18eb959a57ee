//! The program under test as a process: started, spoken to, killed. What it logs goes into a file
//! beside its configuration.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Loading two drivers in a debug build on a busy machine takes seconds, not minutes.
const START_S_MAX: u64 = 60;

/// Compiling a driver in Python takes half a minute, and longer on a busy machine.
const RUN_S_MAX: u64 = 300;

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there")
}

/// The real program, of the profile that whoever asks was built with: xtask builds both together.
pub fn binary() -> Result<PathBuf> {
    built(if cfg!(debug_assertions) {
        "target/debug/polymeter"
    } else {
        "target/release/polymeter"
    })
}

/// The folder of components and packages.
pub fn drivers() -> Result<PathBuf> {
    built("target/drivers")
}

/// The line of the public key that signed them.
pub fn developer_key() -> Result<String> {
    let text = std::fs::read_to_string(built("target/drivers/developer.pub")?)?;
    Ok(text.lines().last().context("no key in developer.pub")?.to_owned())
}

fn built(path: &str) -> Result<PathBuf> {
    let path = root().join(path);
    ensure!(
        path.exists(),
        "{} is missing: run these tests with `cargo xtask test`",
        path.display()
    );
    Ok(path)
}

/// Runs `polymeter` to its end.
pub async fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    Ok(tokio::time::timeout(Duration::from_secs(RUN_S_MAX), command.output()).await??)
}

/// `polymeter serve`, running.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// "http://127.0.0.1:8645".
    pub url: String,
    /// The one-time link, while there is no operator.
    pub set_up_link: Option<String>,
}

impl Program {
    /// Starts `serve` on a site that has an operator. `crash_at` names a crash point.
    pub async fn start(config: &Path, crash_at: Option<&str>) -> Result<Program> {
        let order = crash_at.map(|point| ("POLYMETER_CRASH_AT", OsStr::new(point)));
        Self::spawn(config, order.as_slice(), false).await
    }

    /// The same, in an environment with these variables as well.
    pub async fn start_in(config: &Path, environment: &[(&str, &OsStr)]) -> Result<Program> {
        Self::spawn(config, environment, false).await
    }

    /// Starts `serve` on a fresh database, where it prints the one-time link as well.
    pub async fn start_first(config: &Path) -> Result<Program> {
        Self::spawn(config, &[], true).await
    }

    async fn spawn(
        config: &Path,
        environment: &[(&str, &OsStr)],
        is_first: bool,
    ) -> Result<Program> {
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(config).arg("serve");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(config.with_extension("log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command.envs(environment.iter().copied());
        let mut child = command.spawn().context("starting polymeter")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let started = async {
            let (mut url, mut set_up_link) = (String::new(), None);
            while let Some(line) = lines.next_line().await? {
                match line.split_whitespace().find(|word| word.starts_with("http://")) {
                    Some(link) if link.contains("/set-up") => set_up_link = Some(link.to_owned()),
                    Some(address) => address.trim_end_matches('/').clone_into(&mut url),
                    None => {}
                }
                if !url.is_empty() && set_up_link.is_some() == is_first {
                    return Ok((url, set_up_link));
                }
            }
            let log = std::fs::read_to_string(config.with_extension("log"))?;
            bail!("polymeter ended before it served: {}", log.lines().last().unwrap_or_default())
        };
        let (url, set_up_link) =
            tokio::time::timeout(Duration::from_secs(START_S_MAX), started).await??;
        // Whatever else it prints must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Program { child, url, set_up_link })
    }

    /// It has not ended.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// kill -9, and gone.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(tokio::time::timeout(Duration::from_secs(START_S_MAX), self.child.wait()).await??)
    }
}
