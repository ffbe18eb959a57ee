//! The engines: one with a pool of instances for most drivers, others for those it cannot keep.
//!
//! Invariant: all engines compile alike, so one piece of native code fits every one of them; every
//! engine's epoch ticks, on one thread that no busy executor can starve, for as long as it lives.
//! Not here: who may import what (load), how a call ends (session).

use crate::error::LoadError;
use crate::limits::{
    CALLS, Limits, POOL_MEMORIES, POOL_MEMORY_BYTES, POOL_MODULES, POOL_STACK_BYTES,
    POOL_TABLE_ELEMENTS, POOL_TABLES, TICK, WARM_INSTANCES,
};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

/// What a host function may use of a fiber's stack beyond the guest's share. Overrunning *that*
/// would abort the process, so it is generous.
const HOST_STACK_BYTES: usize = 512 << 10;
/// Memory of a returned slot that stays mapped, so that the next instance does not fault it in anew.
/// A Rust driver touches about 100 KiB, its 64 KiB stack included.
const MEMORY_KEPT_BYTES: usize = 128 << 10;
const STACK_KEPT_BYTES: usize = 32 << 10;
const TABLE_KEPT_BYTES: usize = 8 << 10;

/// What a component is made of, as far as the pool is concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) modules: u32,
    pub(crate) memories: u32,
    pub(crate) tables: u32,
}

type Ticked = Mutex<Vec<EngineWeak>>;

pub(crate) struct Engines {
    pub(crate) pooled: Engine,
    /// By the stack that a call has.
    on_demand: Mutex<HashMap<usize, Engine>>,
    ticked: Arc<Ticked>,
    compatibility: [u8; 32],
}

impl Engines {
    pub(crate) fn new() -> Result<Self, LoadError> {
        let pooled = Engine::new(&pooled()).map_err(told)?;
        let ticked = Arc::new(Mutex::new(vec![pooled.weak()]));
        start_ticking(Arc::downgrade(&ticked))
            .map_err(|error| LoadError::Engine { detail: format!("no epoch thread: {error}") })?;
        let compatibility = compatibility(&pooled);
        Ok(Engines { pooled, on_demand: Mutex::default(), ticked, compatibility })
    }

    /// Whose native code is whose; the same for all engines.
    pub(crate) fn compatibility(&self) -> [u8; 32] {
        self.compatibility
    }

    /// An engine that can run a driver of that shape within those limits. Outside the pool making
    /// an instance takes twice as long, and address space is taken only when it is used.
    pub(crate) fn fit_for(&self, limits: &Limits, shape: Shape) -> Result<Engine, LoadError> {
        let fits_pool = limits.stack_bytes == POOL_STACK_BYTES
            && limits.memory_bytes <= POOL_MEMORY_BYTES
            && limits.table_elements <= POOL_TABLE_ELEMENTS
            && shape.modules <= POOL_MODULES
            && shape.memories <= POOL_MEMORIES
            && shape.tables <= POOL_TABLES;
        if fits_pool {
            return Ok(self.pooled.clone());
        }
        let mut on_demand = self.on_demand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = on_demand.get(&limits.stack_bytes) {
            return Ok(engine.clone());
        }
        let engine = Engine::new(&common(limits.stack_bytes)).map_err(told)?;
        locked(&self.ticked).push(engine.weak());
        on_demand.insert(limits.stack_bytes, engine.clone());
        Ok(engine)
    }
}

/// An engine that only compiles: without a pool it takes next to no address space.
pub(crate) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&common(POOL_STACK_BYTES))
}

/// A hash of all that decides whether an engine can run some native code: version, target, settings.
pub(crate) fn compatibility(engine: &Engine) -> [u8; 32] {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        /// Not asked for: the whole hash is taken instead.
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    sha.0.finalize().into()
}

fn told(error: wasmtime::Error) -> LoadError {
    LoadError::Engine { detail: format!("{error:#}") }
}

fn locked(ticked: &Ticked) -> MutexGuard<'_, Vec<EngineWeak>> {
    ticked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All that has a say in what code is made, and a stack, which has none.
fn common(stack_bytes: usize) -> Config {
    let mut config = Config::new();
    config
        // 4 GiB each, the default, fails on small boxes; bounds are checked in code instead.
        .memory_reservation(u64::try_from(POOL_MEMORY_BYTES).unwrap_or(u64::MAX))
        .memory_guard_size(64 << 10)
        .epoch_interruption(true)
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes + HOST_STACK_BYTES)
        // Else an environment variable decides, and a worker, which has none, compiles otherwise.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // Features that no driver needs are features that cannot go wrong.
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    config
}

fn pooled() -> Config {
    // CALLS and WARM_INSTANCES are small constants.
    let instances = u32::try_from(CALLS + WARM_INSTANCES).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * POOL_MODULES)
        .total_memories(instances * POOL_MEMORIES)
        .total_tables(instances * POOL_TABLES)
        .total_stacks(instances)
        .max_core_instances_per_component(POOL_MODULES)
        .max_memories_per_component(POOL_MEMORIES)
        .max_memories_per_module(POOL_MEMORIES)
        .max_tables_per_component(POOL_TABLES)
        .max_tables_per_module(POOL_TABLES)
        .table_elements(POOL_TABLE_ELEMENTS)
        .max_memory_size(POOL_MEMORY_BYTES)
        .linear_memory_keep_resident(MEMORY_KEPT_BYTES)
        .table_keep_resident(TABLE_KEPT_BYTES)
        .async_stack_keep_resident(STACK_KEPT_BYTES)
        .pagemap_scan(Enabled::Auto);
    let mut config = common(POOL_STACK_BYTES);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Ends by itself when the engines are dropped.
fn start_ticking(ticked: Weak<Ticked>) -> std::io::Result<()> {
    std::thread::Builder::new().name("polymeter-epoch".to_owned()).spawn(move || {
        // By the clock and not by the sleep, which is always longer: ticks must not drift.
        let mut next = Instant::now() + TICK;
        loop {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next = (next + TICK).max(Instant::now());
            let Some(ticked) = ticked.upgrade() else { break };
            locked(&ticked).retain(|engine| match engine.upgrade() {
                Some(engine) => {
                    engine.increment_epoch();
                    true
                }
                None => false,
            });
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_engines_compile_alike() {
        let engines = Engines::new().expect("engines");
        let fit = |limits: Limits, shape| engines.fit_for(&limits, shape).expect("an engine");
        let pooled = fit(Limits::default(), Shape::default());
        assert!(Engine::same(&pooled, &engines.pooled));
        let large = Limits { memory_bytes: 256 << 20, ..Limits::default() };
        let deep = Limits { stack_bytes: 2 << 20, ..Limits::default() };
        let many = Shape { modules: 30, ..Shape::default() };
        for engine in [
            fit(large.clone(), Shape::default()),
            fit(deep, Shape::default()),
            fit(Limits::default(), many),
            compiling().expect("an engine"),
        ] {
            assert!(!Engine::same(&pooled, &engine));
            assert_eq!(compatibility(&engine), engines.compatibility());
        }
        let again = fit(large, Shape::default());
        assert!(Engine::same(&again, &fit(Limits::default(), many)), "one per size of stack");
    }
}
