//! Where a component's functions are.
//!
//! Invariant: an interface that is found has every function, each of the type that the contract gives
//! it. Not here: calling them (driver, replay, search), what the driver says of itself (description).

use crate::bindings::exports::polymeter::driver::{
    bus, frames, info, meter, purse, settings, supply,
};
use crate::contract::{CONTRACT, PACKAGE};
use crate::description::Abilities;
use crate::error::LoadError;
use crate::load::Face;
use crate::session::Session;
use crate::state::State;
use wasmtime::component::InstancePre;

/// Where the functions are in the component; `None` for an interface that it does not export.
pub(crate) struct Exports {
    pub(crate) info: info::GuestIndices,
    pub(crate) meter: meter::GuestIndices,
    pub(crate) purse: Option<purse::GuestIndices>,
    pub(crate) supply: Option<supply::GuestIndices>,
    pub(crate) settings: Option<settings::GuestIndices>,
    pub(crate) frames: Option<frames::GuestIndices>,
    pub(crate) bus: Option<bus::GuestIndices>,
}

impl Exports {
    /// What is exported, whatever the driver says of itself.
    pub(crate) fn abilities(&self) -> Abilities {
        Abilities {
            purse: self.purse.is_some(),
            supply: self.supply.is_some(),
            settings: self.settings.is_some(),
            frames: self.frames.is_some(),
            bus: self.bus.is_some(),
        }
    }

    /// `info` and `meter` are required. An interface that is there but lacks a function is an error
    /// and not a missing ability.
    pub(crate) fn find(
        driver: &str,
        face: &Face,
        linked: &InstancePre<State>,
    ) -> Result<Exports, LoadError> {
        let has = |name: &str| linked.component().get_export_index(None, name).is_some();
        let misfit = |error: wasmtime::Error| LoadError::Misfit {
            driver: driver.to_owned(),
            offered: CONTRACT,
            detail: format!("{error:#}"),
        };
        // In the driver's own version of the contract; the linker finds it under ours as well.
        for interface in ["info", "meter"] {
            let interface = format!("{PACKAGE}{interface}@{}", face.contract);
            if !has(&interface) {
                return Err(LoadError::MissingExport { driver: driver.to_owned(), interface });
            }
        }
        macro_rules! optional {
            ($interface:ident) => {
                has(&format!("{PACKAGE}{}@{}", stringify!($interface), face.contract))
                    .then(|| $interface::GuestIndices::new(linked))
                    .transpose()
                    .map_err(misfit)?
            };
        }
        Ok(Exports {
            info: info::GuestIndices::new(linked).map_err(misfit)?,
            meter: meter::GuestIndices::new(linked).map_err(misfit)?,
            purse: optional!(purse),
            supply: optional!(supply),
            settings: optional!(settings),
            frames: optional!(frames),
            bus: optional!(bus),
        })
    }

    /// Loading an interface compares its functions' types, so a wrong one is told at load and not at
    /// the first sale.
    pub(crate) fn check(&self, session: &mut Session) -> wasmtime::Result<()> {
        let Session { store, instance, .. } = session;
        self.info.load(&mut *store, instance)?;
        self.meter.load(&mut *store, instance)?;
        self.purse.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.supply.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.settings.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.frames.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.bus.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        Ok(())
    }
}
