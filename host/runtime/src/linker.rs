//! The imports of a component, as far as they are granted.
//!
//! Not here: what each does (host_calls, slot), what a component asks for (load).

use crate::bindings::polymeter::driver::{card_slot, line, log, types, vault};
use crate::load::Capability;
use crate::state::State;
use crate::watch::{Watch, Watched};
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

/// The granted imports and no other: what was refused at load is also not there.
pub(crate) fn linker(engine: &Engine, grants: &[Capability]) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    let granted = |capability| grants.contains(&capability);
    if granted(Capability::Line) {
        line::add_to_linker::<State, Watch>(&mut linker, |state| Watched(state))?;
    }
    if granted(Capability::Vault) {
        vault::add_to_linker::<State, Watch>(&mut linker, |state| Watched(state))?;
    }
    if granted(Capability::Log) {
        log::add_to_linker::<State, Watch>(&mut linker, |state| Watched(state))?;
    }
    if granted(Capability::CardSlot) {
        card_slot::add_to_linker::<State, Watch>(&mut linker, |state| Watched(state))?;
    }
    Ok(linker)
}
