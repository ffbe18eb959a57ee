//! What all drivers share: the engines, the compiler and its cache, the vault, the turns to call.
//!
//! Invariant: whoever takes an instance holds a permit, so the pool is never empty when it is asked.
//! Not here: the engines' settings (engines), how a component is made code (compile), how a call
//! ends (session).

use crate::cache::Cache;
use crate::compile::{Compile, Compiler, Job, Worker};
use crate::driver::Driver;
use crate::engines::Engines;
use crate::error::LoadError;
use crate::health::Health;
use crate::limits::{CALLS, WARM_INSTANCES};
use crate::load::{self, DriverConfig};
use crate::native::Native;
use crate::recordings::Recordings;
use crate::session::Callee;
use polymeter_native::{Library, Program};
use polymeter_vault::Vault;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Instant;
use tokio::sync::Semaphore;

/// What a runtime is made with.
#[derive(Debug)]
pub struct Options {
    pub vault: Vault,
    pub compile: Compile,
    /// The folder for native code, made where it is missing; `None`: everything is compiled anew.
    pub cache: Option<PathBuf>,
}

impl Options {
    /// For tests and measurements with components of our own: compiled in this process, not kept.
    pub fn in_process(vault: Vault) -> Options {
        Options { vault, compile: Compile::InThisProcess, cache: None }
    }

    /// As a host does it: compiled in a process of its own, and kept in that folder.
    pub fn apart(vault: Vault, worker: Worker, cache: &Path) -> Options {
        Options { vault, compile: Compile::Apart(worker), cache: Some(cache.to_owned()) }
    }
}

/// The engines, their epoch thread and the vault; one per process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) engines: Engines,
    /// Replaced as a whole when its keys were changed.
    vault: RwLock<Arc<Vault>>,
    pub(crate) recordings: Recordings,
    /// One permit per running call.
    pub(crate) calls: Semaphore,
    /// One permit per idle warm instance.
    pub(crate) warm: Arc<Semaphore>,
    compiler: Arc<Compiler>,
    /// Every driver that is still held by somebody.
    drivers: Mutex<Vec<Weak<Callee>>>,
}

/// What the runtime as a whole is doing.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Every loaded driver's name and statistics; two versions of one may be loaded.
    pub drivers: Vec<(String, Health)>,
    pub calls_running: usize,
    pub calls_most: usize,
    pub warm_instances: usize,
    /// Components taken from the cache, compiled, and not compiled for an error.
    pub code_cached: u64,
    pub code_compiled: u64,
    pub code_failed: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Runtime {
    pub fn new(options: Options) -> Result<Runtime, LoadError> {
        let open = |folder: PathBuf| Cache::open(&folder).map_err(|what| LoadError::Cache { what });
        let cache = options.cache.map(open).transpose()?;
        Ok(Runtime {
            shared: Arc::new(Shared {
                engines: Engines::new()?,
                vault: RwLock::new(Arc::new(options.vault)),
                recordings: Recordings::default(),
                calls: Semaphore::new(CALLS),
                warm: Arc::new(Semaphore::new(WARM_INSTANCES)),
                compiler: Arc::new(Compiler::new(options.compile, cache)),
                drivers: Mutex::default(),
            }),
        })
    }

    /// What the drivers' last calls were, and the switch that turns recording off.
    pub fn recordings(&self) -> &Recordings {
        &self.shared.recordings
    }

    /// Other keys for the calls that begin from now on; those under way end with the ones they have.
    pub fn replace_vault(&self, vault: Vault) {
        *self.shared.vault.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(vault);
    }

    /// The least that a call could cost: a store made and dropped. For the bench alone.
    #[doc(hidden)]
    pub fn empty_store(&self) {
        drop(std::hint::black_box(wasmtime::Store::new(&self.shared.engines.pooled, ())));
    }

    /// Import set against grant, then compile, link, describe. Refuses with a sentence. Whether it is
    /// what its package says, [`Runtime::load_package`] asks.
    pub async fn load(
        &self,
        config: DriverConfig,
        component: &[u8],
    ) -> Result<Arc<Driver>, LoadError> {
        load::check_limits(&config)?;
        let face = load::face(&config, component)?;
        let shared = &self.shared;
        let engine = shared.engines.fit_for(&config.limits, face.shape)?;
        let job = Job {
            driver: &config.name,
            limits: &config.limits,
            engine: &engine,
            compatibility: shared.engines.compatibility(),
        };
        let component = shared.compiler.component(&job, component).await?;
        let driver = Driver::new(Arc::clone(shared), config, face, &component).await?;
        Ok(self.known(driver))
    }

    /// A vendor's native library. `file` is its content; whoever calls has judged it. Loads it in a
    /// process of its own and asks what it is.
    pub async fn load_native(
        &self,
        config: DriverConfig,
        file: &[u8],
        function: &str,
    ) -> Result<Arc<Driver>, LoadError> {
        load::check_limits(&config)?;
        load::check_size(&config, file)?;
        let refuse = |what: String| LoadError::Library { driver: config.name.clone(), what };
        let Some(worker) = self.shared.compiler.worker() else {
            return Err(refuse("this program has no process to load it in".to_owned()));
        };
        let program =
            Program { program: worker.program.clone(), arguments: worker.arguments.clone() };
        let library = Library::new(file, function)
            .map_err(|error| refuse(format!("it cannot be kept in memory: {error}")))?;
        let native = Native { library, program, grants: config.grants.clone() };
        let driver = Driver::of_library(Arc::clone(&self.shared), config, native).await?;
        // A package may be for several vendors; a library is for the one that it says.
        let says = &driver.description().vendor_code;
        if driver.vendor() != says {
            return Err(LoadError::OtherVendor {
                driver: driver.name().to_owned(),
                says: says.to_string(),
                configured: driver.vendor().to_string(),
            });
        }
        Ok(self.known(driver))
    }

    fn known(&self, driver: Driver) -> Arc<Driver> {
        let mut drivers = self.shared.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        drivers.retain(|driver| driver.strong_count() > 0);
        drivers.push(Arc::downgrade(driver.callee()));
        Arc::new(driver)
    }

    pub fn metrics(&self) -> Metrics {
        let shared = &self.shared;
        let now = Instant::now();
        let drivers = shared.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        let drivers = drivers.iter().filter_map(Weak::upgrade);
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            drivers: drivers
                .map(|driver| (driver.name().to_owned(), driver.record.health(now)))
                .collect(),
            calls_running: CALLS - shared.calls.available_permits(),
            calls_most: CALLS,
            warm_instances: WARM_INSTANCES - shared.warm.available_permits(),
            code_cached: count(&shared.compiler.cached),
            code_compiled: count(&shared.compiler.compiled),
            code_failed: count(&shared.compiler.failed),
        }
    }
}
