//! The engine that all drivers share: one pool of instances, one epoch clock, one vault.
//!
//! Invariant: no guest code runs without the epoch clock ticking, on a thread of its own that no
//! busy executor can starve; whoever takes an instance holds a permit, so the pool is never empty
//! when it is asked. Not here: who may import what (load), how a call ends (session).

use crate::contract::CONTRACT;
use crate::driver::Driver;
use crate::error::LoadError;
use crate::limits::{CALLS, MEMORY_BYTES_MOST, TICK, WARM_INSTANCES};
use crate::load::{self, DriverConfig};
use crate::recordings::Recordings;
use polymeter_vault::Vault;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime::component::Component;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Stack of a guest, and of its fiber altogether. The difference is what a host function may use:
/// overrunning *that* would abort the process, so it is generous.
const GUEST_STACK_BYTES: usize = 512 << 10;
const FIBER_STACK_BYTES: usize = 1 << 20;
/// Memory of a returned slot that stays mapped, so that the next instance does not fault it in anew.
/// A Rust driver touches about 100 KiB, its 64 KiB stack included.
const MEMORY_KEPT_BYTES: usize = 128 << 10;
const STACK_KEPT_BYTES: usize = 32 << 10;
const TABLE_KEPT_BYTES: usize = 8 << 10;
/// A component of ours is one module with one memory, and two small ones that join it to its
/// imports; C and Python drivers bring an adapter more.
const MODULES: u32 = 8;
const MEMORIES: u32 = 2;
const TABLES: u32 = 4;
const TABLE_ELEMENTS: usize = 20_000;
/// For the vault and the line alike: no resource types in the contract, hence no handles to speak of.
pub(crate) const HANDLES: usize = 1_000;

/// The engine, its epoch thread and the vault; one per process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) vault: Arc<Vault>,
    pub(crate) recordings: Recordings,
    /// One permit per running call.
    pub(crate) calls: Semaphore,
    /// One permit per idle warm instance.
    pub(crate) warm: Arc<Semaphore>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl Runtime {
    pub fn new(vault: Vault) -> Result<Runtime, LoadError> {
        let engine = Engine::new(&config())
            .map_err(|error| LoadError::Engine { detail: format!("{error:#}") })?;
        start_ticking(&engine)
            .map_err(|error| LoadError::Engine { detail: format!("no epoch thread: {error}") })?;
        Ok(Runtime {
            shared: Arc::new(Shared {
                engine,
                vault: Arc::new(vault),
                recordings: Recordings::default(),
                calls: Semaphore::new(CALLS),
                warm: Arc::new(Semaphore::new(WARM_INSTANCES)),
            }),
        })
    }

    /// What the drivers' last calls were, and the switch that turns recording off.
    pub fn recordings(&self) -> &Recordings {
        &self.shared.recordings
    }

    /// Import set against grant, then compile, link, describe. Refuses with a sentence.
    pub async fn load(
        &self,
        config: DriverConfig,
        component: &[u8],
    ) -> Result<Arc<Driver>, LoadError> {
        load::check_limits(&config)?;
        let face = load::face(&config, component)?;
        let engine = self.shared.engine.clone();
        let bytes = component.to_vec();
        let misfit = |detail: String| LoadError::Misfit {
            driver: config.name.clone(),
            offered: CONTRACT,
            detail,
        };
        // A panic of the compiler ends its own task and is told like any other misfit.
        let component = tokio::task::spawn_blocking(move || Component::new(&engine, bytes))
            .await
            .map_err(|error| misfit(error.to_string()))?
            .map_err(|error| misfit(format!("{error:#}")))?;
        Driver::new(Arc::clone(&self.shared), config, face, &component).await.map(Arc::new)
    }
}

fn config() -> Config {
    // CALLS and WARM_INSTANCES are small constants.
    let instances = u32::try_from(CALLS + WARM_INSTANCES).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * MODULES)
        .total_memories(instances * MEMORIES)
        .total_tables(instances * TABLES)
        .total_stacks(instances)
        .max_core_instances_per_component(MODULES)
        .max_memories_per_component(MEMORIES)
        .max_memories_per_module(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MEMORY_BYTES_MOST)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_keep_resident(TABLE_KEPT_BYTES)
        .async_stack_keep_resident(STACK_KEPT_BYTES)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        // 4 GiB each, the default, fails on small boxes; bounds are checked in code instead.
        .memory_reservation(u64::try_from(MEMORY_BYTES_MOST).unwrap_or(u64::MAX))
        .memory_guard_size(64 << 10)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        // Features that no driver needs are features that cannot go wrong.
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    config
}

/// Ends by itself when the engine is dropped.
fn start_ticking(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("polymeter-epoch".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { break };
            engine.increment_epoch();
        }
    })?;
    Ok(())
}
