//! The contract as the host sees it, generated from `wit/1.0.0`. Nothing is written by hand here.
//!
//! Only `line` may wait, so only `line` is async; the functions of a driver run on fibers.
#![allow(clippy::all, missing_debug_implementations)]

wasmtime::component::bindgen!({
    path: "../../wit/1.0.0",
    world: "meter-driver",
    imports: {
        "polymeter:driver/line": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
