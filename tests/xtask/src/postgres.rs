//! A PostgreSQL server for the length of a test run: a fresh cluster below target, reached over a
//! Unix socket alone, gone with the value.
//!
//! Invariant: never run as root, which PostgreSQL refuses; a cluster that does not come up fails the
//! run, with what the server said. Not here: the databases of single tests (tests/databases).

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What tests look for (tests/databases).
pub const SERVER: &str = "POLYMETER_TEST_POSTGRES";

/// Whom the server runs as where we are root: Debian's package makes this user.
const UNPRIVILEGED: &str = "postgres";

const NOT_FLUSHED: &str = "-c fsync=off";

#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    /// Data and log.
    folder: PathBuf,
    /// Of the socket: apart, because a socket's path must be short.
    socket: PathBuf,
    port: u16,
}

impl Cluster {
    /// Made anew and started. Nothing is flushed to disk: the tests kill our program, and never this
    /// server's machine.
    pub fn start(root: &Path) -> Result<Cluster> {
        Cluster::with(root, NOT_FLUSHED)
    }

    /// The same, as durable as a server of one's own, to be measured.
    pub fn durable(root: &Path) -> Result<Cluster> {
        Cluster::with(root, "-c track_wal_io_timing=off")
    }

    fn with(root: &Path, setting: &str) -> Result<Cluster> {
        let programs = programs().context("PostgreSQL's programs are missing")?;
        let id = std::process::id();
        let port = 20_000 + u16::try_from(id % 40_000)?;
        let folder = root.join(format!("target/postgres-{id}"));
        let socket = std::env::temp_dir().join(format!("polymeter-postgres-{id}"));
        let cluster = Cluster { programs, folder, socket, port };
        for folder in [&cluster.folder, &cluster.socket] {
            private_folder(folder)?;
        }
        let data = cluster.data();
        cluster.run(
            "initdb",
            &[
                "--username=polymeter".as_ref(),
                "--auth=trust".as_ref(),
                "--encoding=UTF8".as_ref(),
                "--locale=C.UTF-8".as_ref(),
                "--no-sync".as_ref(),
                "--pgdata".as_ref(),
                data.as_os_str(),
            ],
        )?;
        cluster.serve(setting)?;
        Ok(cluster)
    }

    fn serve(&self, setting: &str) -> Result<()> {
        let settings = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c port={} \
             -c max_connections=200 {setting}",
            self.socket.display(),
            self.port
        );
        let (data, log) = (self.data(), self.folder.join("log"));
        self.run(
            "pg_ctl",
            &[
                "start".as_ref(),
                "--wait".as_ref(),
                "--pgdata".as_ref(),
                data.as_os_str(),
                "--log".as_ref(),
                log.as_os_str(),
                "--options".as_ref(),
                settings.as_ref(),
            ],
        )
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())
    }

    /// After a stop, as it was started.
    pub fn start_again(&self) -> Result<()> {
        self.serve(NOT_FLUSHED)
    }

    /// Ends it as a power cut does to its clients.
    pub fn stop(&self) -> Result<()> {
        let data = self.data();
        let stop = ["stop", "--mode", "immediate", "--pgdata"].map(OsStr::new);
        self.run("pg_ctl", &[stop.as_slice(), &[data.as_os_str()]].concat())
    }

    /// All its processes stand still: connections stay, and nobody answers.
    pub fn hang(&self) -> Result<()> {
        self.signal("-STOP")
    }

    pub fn go_on(&self) -> Result<()> {
        self.signal("-CONT")
    }

    /// To the server and to each process that it has started.
    fn signal(&self, signal: &str) -> Result<()> {
        let pid_file = std::fs::read_to_string(self.data().join("postmaster.pid"))?;
        let server = pid_file.lines().next().context("postmaster.pid is empty")?.to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &server]).output()?;
        let children = String::from_utf8(children.stdout)?;
        // The server first, so that it starts no others.
        let mut kill = Command::new("kill");
        kill.arg(signal).arg(&server).args(children.split_whitespace());
        // One that has ended meanwhile is none that goes on.
        kill.stderr(Stdio::null()).status().context("kill did not start")?;
        Ok(())
    }

    /// The URL of its database `postgres`, as a superuser.
    pub fn url(&self) -> String {
        let socket = self.socket.display();
        format!("postgres://polymeter@localhost:{}/postgres?host={socket}", self.port)
    }

    /// "postgres (PostgreSQL) 15.18 ...".
    pub fn version(&self) -> Result<String> {
        let output = Command::new(self.programs.join("postgres")).arg("--version").output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn run(&self, program: &str, arguments: &[&OsStr]) -> Result<()> {
        let program = self.programs.join(program);
        let output = unprivileged(&program)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .status()
            .with_context(|| format!("{} did not start", program.display()))?;
        ensure!(output.success(), "{} ended with {output}", program.display());
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("PostgreSQL was not stopped: {error:#}");
        }
        for folder in [&self.folder, &self.socket] {
            if let Err(error) = std::fs::remove_dir_all(folder) {
                eprintln!("{} was not removed: {error}", folder.display());
            }
        }
    }
}

/// The newest of Debian's, which are not on the PATH, or those that are.
pub fn programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .collect();
    versions.sort();
    let debian = versions.pop().map(|(_, programs)| programs);
    debian.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
    })
}

/// A test program and the folder that cargo runs it in.
#[derive(Debug)]
pub struct TestProgram {
    pub name: String,
    pub program: PathBuf,
    pub folder: PathBuf,
}

/// Those of `wanted`, by package and target, as `cargo test --workspace` builds them.
pub fn test_programs(wanted: &[(&str, &str)]) -> Result<Vec<TestProgram>> {
    // Of everything together, as everywhere here: it is built already.
    let mut build = crate::cargo_command(&["test", "--workspace", "--no-run"]);
    let output = build
        .args(["--quiet", "--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo test did not start")?;
    ensure!(output.status.success(), "cargo test --no-run ended with {}", output.status);
    let mut made = Vec::new();
    for message in cargo_metadata::Message::parse_stream(output.stdout.as_slice()) {
        if let cargo_metadata::Message::CompilerArtifact(artifact) = message?
            && artifact.profile.test
        {
            made.push(artifact);
        }
    }
    wanted.iter().map(|(package, target)| find(&made, package, target)).collect()
}

fn find(made: &[cargo_metadata::Artifact], package: &str, target: &str) -> Result<TestProgram> {
    let is_of = |artifact: &&cargo_metadata::Artifact| {
        let id = &artifact.package_id.repr;
        let is_package =
            id.contains(&format!("#{package}@")) || id.contains(&format!("/{package}#"));
        is_package && artifact.target.name == target
    };
    let artifact = made.iter().find(is_of);
    let artifact =
        artifact.with_context(|| format!("cargo built no test {target} of {package}"))?;
    let program = artifact.executable.as_ref().context("a test is a program")?;
    let folder = artifact.manifest_path.parent().context("a manifest has a folder")?;
    let name = format!("{package} {target}");
    Ok(TestProgram { name, program: program.into(), folder: folder.into() })
}

fn is_root() -> bool {
    // Whose the process's own folder in /proc is.
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// As somebody else where we are root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups", "--"]);
    command.arg(program).env("HOME", "/nonexistent");
    command
}

/// Empty, for whoever the server runs as and nobody else.
fn private_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    if is_root() {
        let owner = format!("{UNPRIVILEGED}:{UNPRIVILEGED}");
        let status = Command::new("chown").arg(owner).arg(folder).status()?;
        if !status.success() {
            bail!("{} cannot be given to {UNPRIVILEGED}", folder.display());
        }
    }
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}
