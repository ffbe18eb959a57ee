//! The contract as Rust, generated from `wit/1.0.0`. Nothing is written by hand here.
#![allow(clippy::all, missing_debug_implementations)]

wit_bindgen::generate!({
    path: "../../wit/1.0.0",
    world: "meter-driver",
    pub_export_macro: true,
    export_macro_name: "export_meter_driver",
    additional_derives: [PartialEq],
});
