//! The outermost floor: configuration, command line, REST API and web page of the one binary.
//!
//! Invariant: nothing here decides about money; every act is one call of
//! `polymeter_service::Service`. Only this crate knows HTTP. Not here: sales and their states
//! (service), tables (ledger, service).

pub mod api;
pub mod app;
pub mod arithmetic;
pub mod assets;
mod backup_job;
pub mod capitals;
pub mod commands;
pub mod config;
pub mod control;
pub mod demo;
pub mod drivers;
pub mod envelopes;
pub mod head_key;
pub mod metrics;
mod moment;
pub mod registers;
pub mod session;
pub mod states;
pub mod ui;
pub mod vault;
pub mod vendors;
pub mod web;
