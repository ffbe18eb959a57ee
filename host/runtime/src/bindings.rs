//! The contract as the host sees it, generated from `wit/1.1.0`. Nothing is written by hand here.
//!
//! A driver of 1.0 is bound by these too: the linker matches names by semver, and every type is
//! frozen (contract.rs). Only `line` and the slot of cards may wait, so only they are async; the
//! functions of a driver run on fibers.
#![allow(clippy::all, missing_debug_implementations)]

wasmtime::component::bindgen!({
    path: "../../wit/1.1.0",
    world: "meter-driver-with-all",
    imports: {
        "polymeter:driver/line": async | trappable,
        "polymeter:driver/card-slot": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
