//! From a component's bytes to code that an engine can run.
//!
//! Invariant: what breaks the compiler breaks a process of its own, with bounded memory, CPU and
//! time; what comes back is used only if it is whole and for this very engine. Not here: whether the
//! component may be compiled at all (load), what the process does (compile_worker).
//!
//! That process is trusted to return honest code: it is this program, and code is code. What is
//! contained is a compiler that dies, hangs or eats the machine, which its makers do not count as a
//! security bug, and not one that was taken over (docs/adr/0010).

use crate::cache::{Cache, CodeId};
use crate::compile_worker::{COMMAND, HEAD, MARK, MISFIT};
use crate::contract::CONTRACT;
use crate::error::LoadError;
use crate::limits::{COMPILERS, DETAIL_BYTES, Knob, Limits, NATIVE_CODE_BYTES_MOST};
use crate::text::printable;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Where components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compile {
    /// In this process, with no bound on memory or time. For tests and measurements with components
    /// of our own only: a hostile component could end the process.
    InThisProcess,
    /// In a process of its own for each.
    Apart(Worker),
}

/// A program that, started with `COMMAND` and two numbers after its arguments, calls
/// [`crate::compile_worker`]; and that calls [`crate::native_worker`], if it is to load libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

impl Worker {
    /// This program itself, also after its file was replaced by a newer one.
    pub fn this_program() -> std::io::Result<Worker> {
        let itself = PathBuf::from("/proc/self/exe");
        let program = if itself.exists() { itself } else { std::env::current_exe()? };
        Ok(Worker { program, arguments: Vec::new() })
    }
}

/// Compiles, or takes from the cache what was compiled before.
#[derive(Debug)]
pub(crate) struct Compiler {
    how: Compile,
    cache: Option<Cache>,
    at_once: Semaphore,
    pub(crate) cached: AtomicU64,
    pub(crate) compiled: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// Which driver is compiled, and what for.
pub(crate) struct Job<'a> {
    pub(crate) driver: &'a str,
    pub(crate) limits: &'a Limits,
    pub(crate) engine: &'a Engine,
    /// The engine's compatibility hash.
    pub(crate) compatibility: [u8; 32],
}

impl Compiler {
    pub(crate) fn new(how: Compile, cache: Option<Cache>) -> Self {
        Self {
            how,
            cache,
            at_once: Semaphore::new(COMPILERS),
            cached: AtomicU64::new(0),
            compiled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// The program that is started for what must not run in this one.
    pub(crate) fn worker(&self) -> Option<&Worker> {
        match &self.how {
            Compile::InThisProcess => None,
            Compile::Apart(worker) => Some(worker),
        }
    }

    pub(crate) async fn component(
        self: &Arc<Self>,
        job: &Job<'_>,
        component: &[u8],
    ) -> Result<Component, LoadError> {
        let id = CodeId { component: Sha256::digest(component).into(), engine: job.compatibility };
        // Never closed, so only ever waited for.
        let _turn = self.at_once.acquire().await;
        let this = Arc::clone(self);
        let cached = blocking(job, move || this.cache.as_ref().and_then(|cache| cache.load(&id)));
        let code = match cached.await? {
            Some(code) => {
                self.cached.fetch_add(1, Ordering::Relaxed);
                code
            }
            None => {
                let compiled = self.compile(job, component).await;
                let count = if compiled.is_ok() { &self.compiled } else { &self.failed };
                count.fetch_add(1, Ordering::Relaxed);
                let code = compiled?;
                let this = Arc::clone(self);
                let store = move || {
                    if let Some(cache) = &this.cache {
                        cache.store(&id, &code);
                    }
                    code
                };
                blocking(job, store).await?
            }
        };
        let engine = job.engine.clone();
        blocking(job, move || map(&engine, &code)).await?.map_err(|error| misfit(job, error))
    }

    async fn compile(&self, job: &Job<'_>, component: &[u8]) -> Result<Vec<u8>, LoadError> {
        match &self.how {
            Compile::InThisProcess => {
                let (engine, bytes) = (job.engine.clone(), component.to_vec());
                blocking(job, move || engine.precompile_component(&bytes))
                    .await?
                    .map_err(|error| misfit(job, error))
            }
            Compile::Apart(worker) => apart(worker, job, component).await,
        }
    }
}

/// Work that would hold up the executor. A panic of the compiler ends its own task.
async fn blocking<T: Send + 'static>(
    job: &Job<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| broken(job, printable(&error.to_string(), DETAIL_BYTES)))
}

#[expect(unsafe_code, reason = "the engine cannot see whether code is its own; we have seen to it")]
fn map(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was made by the engine's own compiler, in this process or in a worker that is
    // this program, and came here either straight from it or from the cache, which lets nothing out
    // that is not, byte by byte, what was put in. A version or setting that does not fit is told.
    unsafe { Component::deserialize(engine, code) }
}

fn misfit(job: &Job<'_>, error: wasmtime::Error) -> LoadError {
    let detail = printable(&format!("{error:#}"), 2 * DETAIL_BYTES);
    LoadError::Misfit { driver: job.driver.to_owned(), offered: CONTRACT, detail }
}

fn broken(job: &Job<'_>, what: String) -> LoadError {
    LoadError::Compiler { driver: job.driver.to_owned(), what }
}

fn spent(job: &Job<'_>, knob: Knob) -> LoadError {
    LoadError::CompilerLimit {
        driver: job.driver.to_owned(),
        limit: knob.name(),
        used: job.limits.get(knob),
        config_key: knob.config_key(),
    }
}

/// One run of the worker; it is gone when this returns or is dropped.
async fn apart(worker: &Worker, job: &Job<'_>, component: &[u8]) -> Result<Vec<u8>, LoadError> {
    let cpu_seconds = job.limits.compile_cpu_seconds;
    // A busy machine and the waits for its disk: four times the CPU that is allowed.
    let wall = Duration::from_secs(cpu_seconds.saturating_mul(4));
    let program = worker.program.display();
    let mut child = Command::new(&worker.program)
        .args(&worker.arguments)
        .arg(COMMAND)
        .args([job.limits.compile_memory_bytes.to_string(), cpu_seconds.to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| broken(job, format!("{program} does not start: {error}")))?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        if let Some(mut input) = input {
            // It may have ended without reading; how it ended says more than this error.
            let _ = input.write_all(component).await;
        }
    };
    let most = (HEAD + NATIVE_CODE_BYTES_MOST) as u64;
    let run = async {
        let ((), made, said) = tokio::join!(feed, all_of(output, most), all_of(errors, 4 << 10));
        (made, said, child.wait().await)
    };
    let Ok((made, said, ended)) = tokio::time::timeout(wall, run).await else {
        return Err(spent(job, Knob::CompileCpuSeconds));
    };
    let ended = ended.map_err(|error| broken(job, format!("it is lost: {error}")))?;
    // What matters of a panic or an abort stands in its first lines.
    let said = printable(String::from_utf8_lossy(&said).trim(), DETAIL_BYTES);
    if !ended.success() {
        return Err(why(job, ended, said));
    }
    received(job, made)
}

async fn all_of(from: Option<impl tokio::io::AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // An error is the pipe's end, and what is missing is missed by `received`.
        let _ = from.take(most).read_to_end(&mut bytes).await;
    }
    bytes
}

/// How a compiler ended that did not do its work.
fn why(job: &Job<'_>, ended: ExitStatus, said: String) -> LoadError {
    // The allocator's, the operating system's and the thread pool's words for the same thing.
    const NO_MEMORY: [&str; 4] = [
        "memory allocation of",
        "Cannot allocate memory",
        "out of memory",
        "Resource temporarily unavailable",
    ];
    if NO_MEMORY.iter().any(|words| said.contains(words)) {
        return spent(job, Knob::CompileMemoryBytes);
    }
    let cpu_time = nix::sys::signal::Signal::SIGXCPU as i32;
    match (ended.signal(), ended.code()) {
        (Some(signal), _) if signal == cpu_time => spent(job, Knob::CompileCpuSeconds),
        (Some(signal), _) => {
            let signal = nix::sys::signal::Signal::try_from(signal)
                .map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned());
            broken(job, format!("it was ended by {signal}: {said}"))
        }
        (None, Some(code)) if code == i32::from(MISFIT) => {
            LoadError::Misfit { driver: job.driver.to_owned(), offered: CONTRACT, detail: said }
        }
        (None, code) => broken(job, format!("it ended with code {}: {said}", code.unwrap_or(-1))),
    }
}

/// The code in what the worker wrote, if it is all there and for this engine.
fn received(job: &Job<'_>, mut made: Vec<u8>) -> Result<Vec<u8>, LoadError> {
    let refused = |what: &str| Err(broken(job, format!("what it returned {what}")));
    let field = |from: usize, to: usize| made.get(from..to).unwrap_or_default();
    let code = made.get(HEAD..).unwrap_or_default();
    if field(0, 16) != MARK {
        return refused("is no code");
    }
    if field(16, 48) != job.compatibility {
        return refused("is for another version of this program: start it anew");
    }
    if field(48, 56) != (code.len() as u64).to_le_bytes() {
        return refused("is not whole");
    }
    if field(56, HEAD) != Sha256::digest(code).as_slice() {
        return refused("is damaged");
    }
    Ok(made.split_off(HEAD))
}
