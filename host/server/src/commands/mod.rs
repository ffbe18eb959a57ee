//! What the binary can be told to do, one file per verb, and how each may end.
//!
//! Invariant: a command that changes money or supply ends with its own exit code for "the device
//! said no" and for "nobody knows", so that a script cannot take either for success or plain
//! failure.
//! Not here: the words of the command line (main.rs).

pub mod backup;
pub mod card;
pub mod charge;
pub mod check_config;
pub mod clock;
pub mod control;
pub mod day_close;
pub mod decode;
pub mod driver;
pub mod explain;
pub mod ledger;
pub mod openapi;
pub mod package;
pub mod read;
pub mod reader;
pub mod records;
pub mod replay;
pub mod rollover;
pub mod scan;
pub mod sell;
pub mod serve;
pub mod token;
pub mod trace;
pub mod vault;
pub mod vendors;

use crate::app::{App, AppError};
use crate::config::{Config, Problems};
use polymeter_domain::SaleId;
use polymeter_package::PackageError;
use polymeter_runtime::CallError;
use polymeter_service::{Actor, ServiceError};
use std::path::Path;

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was typed cannot be used.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Config(#[from] Problems),
    #[error("{0}")]
    Wrong(String),
    #[error("{doing}")]
    Failed {
        doing: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(transparent)]
    App(#[from] AppError),
    /// Says itself which file and why.
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("the driver could not explain it")]
    Call(#[from] CallError),
    #[error("the clock was not set: {0}")]
    ClockRefused(String),
    #[error("nobody knows what the clock shows now: {0}; read it again")]
    ClockUnknown(String),
    #[error("sale {sale_id} was refused: {detail}; give the money back")]
    Refused { sale_id: SaleId, detail: String },
    #[error("sale {sale_id} is {state}: do not sell again; {way_out}")]
    Unresolved { sale_id: SaleId, state: &'static str, way_out: &'static str },
}

impl Failure {
    /// 1 failure, 2 bad input, 3 the device said no, 4 nobody knows.
    pub fn exit_code(&self) -> u8 {
        match self {
            // A component that may not be loaded is an error in the configuration that names it.
            Failure::Usage(_)
            | Failure::Config(_)
            | Failure::App(AppError::Drivers(_) | AppError::Vault(_)) => 2,
            Failure::Refused { .. }
            | Failure::ClockRefused(_)
            | Failure::Service(ServiceError::Refused { .. }) => 3,
            Failure::Unresolved { .. }
            | Failure::ClockUnknown(_)
            | Failure::Service(ServiceError::Unknown(_)) => 4,
            Failure::Service(
                ServiceError::BadAmount { .. }
                | ServiceError::Invalid { .. }
                | ServiceError::NotFound { .. }
                | ServiceError::NoLine { .. }
                | ServiceError::NoDriver { .. },
            ) => 2,
            Failure::Wrong(_)
            | Failure::Failed { .. }
            | Failure::App(_)
            | Failure::Package(_)
            | Failure::Service(_)
            | Failure::Call(_) => 1,
        }
    }

    /// For `map_err`: what was being done when `source` came up.
    pub fn while_doing<E>(doing: impl Into<String>) -> impl FnOnce(E) -> Failure
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let doing = doing.into();
        move |source| Failure::Failed { doing, source: source.into() }
    }
}

/// A person at a terminal who may read the database and its keys needs no password; the audit trail
/// says that the system itself acted.
const ACTOR: Actor = Actor::System;

async fn open(config: &Path) -> Result<App, Failure> {
    Ok(App::open(&Config::read(config)?).await?)
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(Failure::while_doing("writing the answer as JSON"))?;
    println!("{text}");
    Ok(())
}
