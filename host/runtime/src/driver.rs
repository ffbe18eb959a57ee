//! A loaded driver, component or native library, and the calls that can be made of it.
//!
//! Invariant: every act that changes a device runs in a fresh instance and its ending is judged by
//! what the host saw leave; only `read` and `decode` may be answered by a warm one.

use crate::bindings::exports::polymeter::driver::purse;
use crate::bindings::polymeter::driver::types;
use crate::carried::Carried;
use crate::contract::CONTRACT;
use crate::convert::{self, outward};
use crate::description::{Abilities, Description};
use crate::engine::Shared;
use crate::error::{CallError, LoadError};
use crate::exports::{Exports, Functions};
use crate::limits::Limits;
use crate::linker::linker;
use crate::load::{DriverConfig, Face};
use crate::native::Native;
use crate::outcome::{Acted, Claim, Ended, SetOutcome};
use crate::records::{self, RecordKind};
use crate::search::{self, Way};
use crate::session::{Act, Callee, Session, Source};
use polymeter_domain::{
    ControlOutcome, CustomerNumber, Delivery, Evidence, LocalTime, Measurement, MeterAddress,
    Purchase, PurchaseCount, Receipt, Region, Snapshot, SupplyCommand, Value, VendorCode,
};
use polymeter_package::{Manifest, Meaning, Parameter};
use polymeter_transcript::Request;
use polymeter_transport::LineLease;
use std::sync::{Arc, OnceLock};
use wasmtime::component::Component;

/// The device a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub address: MeterAddress,
    pub parameters: Vec<(String, Value)>,
}

/// What a call is told beside its device; time and nonce come from the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub now: LocalTime,
    pub nonce: [u8; 16],
}

/// A captured frame, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The device's address as it stands in the frame.
    pub address: String,
    pub measurements: Vec<Measurement>,
    pub extras: Vec<(String, Value)>,
}

/// Who answered a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Fit to be a [`MeterAddress`].
    pub address: String,
    pub model: String,
    pub extras: Vec<(String, Value)>,
}

/// The first credit of a new account; zero money with count 0 opens an empty purse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub customer: CustomerNumber,
    pub purchase: Purchase,
}

/// A loaded driver. Calls may run at the same time; each takes the line it may use.
pub struct Driver {
    pub(crate) callee: Arc<Callee>,
    face: Face,
    pub(crate) functions: Functions,
    description: Description,
    /// Of the package that it came in, once it was held to it.
    manifest: OnceLock<Manifest>,
    pub(crate) ways: Vec<Way>,
    pub(crate) record_kinds: Vec<RecordKind>,
}

impl Driver {
    /// Links with the granted imports only, finds the exports, and asks the driver what it is.
    pub(crate) async fn new(
        shared: Arc<Shared>,
        config: DriverConfig,
        face: Face,
        component: &Component,
    ) -> Result<Driver, LoadError> {
        let misfit = |error: wasmtime::Error| LoadError::Misfit {
            driver: config.name.clone(),
            offered: CONTRACT,
            detail: format!("{error:#}"),
        };
        let linked = linker(component.engine(), &config.grants)
            .and_then(|linker| linker.instantiate_pre(component))
            .map_err(misfit)?;
        let exports = Exports::find(&config.name, &face, &linked)?;
        let functions = Functions::Component(Box::new(exports));
        Self::told(Callee::new(config, Source::Component(linked), shared), face, functions).await
    }

    /// Asks the library what it is, in a process of its own as for every call.
    pub(crate) async fn of_library(
        shared: Arc<Shared>,
        config: DriverConfig,
        native: Native,
    ) -> Result<Driver, LoadError> {
        let face = Face::of_library(&native);
        let functions = Functions::Library(OnceLock::new());
        let callee = Callee::new(config, Source::Library(Arc::new(native)), shared);
        Self::told(callee, face, functions).await
    }

    async fn told(callee: Callee, face: Face, functions: Functions) -> Result<Driver, LoadError> {
        let callee = Arc::new(callee);
        let description = describe(&callee, &functions).await?;
        let label = format!("{} {}", callee.name(), description.version);
        let _ = callee.label.set(label.into());
        let ways = search::told(&callee, &functions).await?;
        let record_kinds = records::told(&callee, &functions).await?;
        let manifest = OnceLock::new();
        Ok(Driver { callee, face, functions, description, manifest, ways, record_kinds })
    }

    pub(crate) fn callee(&self) -> &Arc<Callee> {
        &self.callee
    }

    pub fn name(&self) -> &str {
        self.callee.name()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.callee.config.limits
    }

    /// Whose keys it sees beside those of all regions.
    pub fn region(&self) -> Option<&Region> {
        self.callee.config.region.as_ref()
    }

    /// Whose meters it serves and whose keys it may use: the configured vendor, else the one it says.
    pub fn vendor(&self) -> &VendorCode {
        self.callee.config.vendor.as_ref().unwrap_or(&self.description.vendor_code)
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    pub(crate) fn keep_manifest(&self, manifest: &Manifest) {
        let mut manifest = manifest.clone();
        // What a dialect sets is what a meter gets that says nothing.
        for (name, value) in self.callee.config.cover.iter().flat_map(|cover| &cover.dialect) {
            if let Some(declared) = manifest.parameters.iter_mut().find(|it| it.name == *name) {
                declared.default = Some(value.clone());
            }
        }
        let _ = self.manifest.set(manifest);
    }

    /// What a meter may be told, from `driver.toml`; a driver without a package has none.
    pub fn parameters(&self) -> &[Parameter] {
        self.manifest.get().map_or(&[], |manifest| &manifest.parameters)
    }

    /// `None`: it did not come in a package.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.get()
    }

    /// What its purse counts in: a credit is a multiple of so many minor units, Wh or litres.
    pub fn purse_step(&self) -> u64 {
        self.manifest.get().map_or(1, |manifest| manifest.purse_step)
    }

    /// What a device's own code means in an answer of `interface` of the contract, by `driver.toml`.
    pub fn meaning_of(&self, interface: &str, device_code: &str) -> Option<Meaning> {
        self.manifest.get()?.meaning_of(interface, device_code)
    }

    /// The device's own parameters, and those of its vendor's dialect that it does not name.
    pub(crate) fn call_of(&self, device: &Device, moment: Moment) -> types::Call {
        self.call_with(device.address.as_str(), &device.parameters, moment)
    }

    /// About a device that nobody knows yet: the vendor's dialect alone.
    pub(crate) fn call_of_nobody(&self, moment: Moment) -> types::Call {
        self.call_with("", &[], moment)
    }

    fn call_with(&self, address: &str, own: &[(String, Value)], moment: Moment) -> types::Call {
        let Some(cover) = &self.callee.config.cover else { return call(address, own, moment) };
        let mut parameters = own.to_vec();
        let is_named = |name: &String| own.iter().any(|(known, _)| known == name);
        parameters.extend(cover.dialect.iter().filter(|(name, _)| !is_named(name)).cloned());
        call(address, &parameters, moment)
    }

    pub fn abilities(&self) -> Abilities {
        let exported = self.functions.abilities();
        let purse = exported.purse && self.description.purse.is_some();
        Abilities { purse, refund: purse && exported.refund, ..exported }
    }

    /// What the component imports, by full name, e.g. "polymeter:driver/line@1.0.0"; nothing of a
    /// native library.
    pub fn imports(&self) -> &[String] {
        &self.face.imports
    }

    /// The contract that it was built for, e.g. "1.0.0"; of a native library its function.
    pub fn contract(&self) -> &str {
        &self.face.contract
    }

    /// A vendor's native library, and no component.
    pub fn is_native(&self) -> bool {
        matches!(self.functions, Functions::Library(_))
    }
}

/// The calls. Those that change nothing come first.
impl Driver {
    pub async fn probe(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
    ) -> Result<Identity, CallError> {
        self.on_line("probe meters")?;
        let call = self.call_of(device, moment);
        let ask = async |session: &mut Session| {
            session.asked(|| Request::Probe(call.clone().carried()));
            let said = self.functions.probe(session, &call).await?;
            session.said(said)
        };
        self.callee.call(Act::Look, Some(line), ask, convert::identity).await.answer
    }

    pub async fn read(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
    ) -> Result<Snapshot, CallError> {
        self.on_line("read meters")?;
        let call = self.call_of(device, moment);
        let ask = async |session: &mut Session| {
            session.asked(|| Request::Read(call.clone().carried()));
            let said = self.functions.read(session, &call).await?;
            session.said(said)
        };
        self.callee.call(Act::LookWarm, Some(line), ask, convert::snapshot).await.answer
    }

    /// What the device remembers, of purchase `count` if one is asked about.
    pub async fn check(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        count: Option<PurchaseCount>,
    ) -> Result<Evidence, CallError> {
        self.purse("check")?;
        let call = self.call_of(device, moment);
        let ask = async |session: &mut Session| {
            let count = count.map(PurchaseCount::get);
            session.asked(|| Request::Check(call.clone().carried(), count));
            let said = self.functions.check(session, &call, count).await?;
            session.said(said)
        };
        self.callee.call(Act::Look, Some(line), ask, convert::evidence).await.answer
    }

    /// A captured frame explained; touches no line.
    pub async fn decode(&self, frame: &[u8]) -> Result<Explanation, CallError> {
        if !self.functions.abilities().frames {
            return Err(self.unable("explain frames"));
        }
        let ask = async |session: &mut Session| self.functions.decode(session, frame).await;
        self.callee.call(Act::LookWarm, None, ask, convert::explanation).await.answer
    }

    pub async fn open(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        opening: &Opening,
    ) -> Acted<Delivery> {
        let call = self.call_of(device, moment);
        let opening = purse::Opening {
            customer_number: opening.customer.as_str().to_owned(),
            credit: outward::credit(opening.purchase.credit),
            count: opening.purchase.count.get(),
        };
        self.deliver("open", line, async |session| {
            session.asked(|| Request::Open(call.clone().carried(), opening.clone().carried()));
            self.functions.open(session, &call, &opening).await
        })
        .await
    }

    pub async fn sell(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        customer: &CustomerNumber,
        purchase: Purchase,
    ) -> Acted<Delivery> {
        let call = self.call_of(device, moment);
        let order = purse::Order {
            customer_number: customer.as_str().to_owned(),
            purchase: outward::purchase(purchase),
        };
        self.deliver("sell", line, async |session| {
            session.asked(|| Request::Sell(call.clone().carried(), order.clone().carried()));
            self.functions.sell(session, &call, &order).await
        })
        .await
    }

    /// Takes credit back out of the purse; the device counts it as the purchase that `taken` says.
    pub async fn refund(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        customer: &CustomerNumber,
        taken: Purchase,
    ) -> Acted<Delivery> {
        if !self.abilities().refund {
            let unable = self.unable("take credit back").to_string();
            return Acted::unable(Delivery::NotSent(unable));
        }
        let call = self.call_of(device, moment);
        let order = purse::Order {
            customer_number: customer.as_str().to_owned(),
            purchase: outward::purchase(taken),
        };
        self.deliver("refund", line, async |session| {
            session.asked(|| Request::Refund(call.clone().carried(), order.clone().carried()));
            self.functions.refund(session, &call, &order).await
        })
        .await
    }

    /// Empties the purse and forgets the customer.
    pub async fn clear(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
    ) -> Acted<Delivery> {
        let call = self.call_of(device, moment);
        self.deliver("clear", line, async |session| {
            session.asked(|| Request::Clear(call.clone().carried()));
            self.functions.clear(session, &call).await
        })
        .await
    }

    pub async fn control(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        command: SupplyCommand,
        valid_until: Option<LocalTime>,
    ) -> Acted<ControlOutcome> {
        if !self.functions.abilities().supply {
            let unable = self.unable("control the supply").to_string();
            return Acted::unable(ControlOutcome::NotSent(unable));
        }
        let call = self.call_of(device, moment);
        let command = outward::command(command);
        let valid_until = valid_until.map(outward::local_time);
        let ask = async |session: &mut Session| {
            session.asked(|| Request::Control {
                told: call.clone().carried(),
                command,
                valid_until: valid_until.carried(),
            });
            let said = self.functions.control(session, &call, command, valid_until).await?;
            session.said(said)
        };
        let heard_before = line.bytes_heard();
        self.callee
            .call(Act::Change, Some(&mut *line), ask, convert::control)
            .await
            .acted(line.bytes_heard() > heard_before, self.name())
    }

    pub async fn set_parameters(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        parameters: &[(String, Value)],
    ) -> Acted<SetOutcome> {
        if !self.functions.abilities().settings {
            let unable = self.unable("set parameters").to_string();
            return Acted::unable(SetOutcome::NotSent(unable));
        }
        let call = self.call_of(device, moment);
        let parameters = outward::extras(parameters);
        let ask = async |session: &mut Session| {
            session.asked(|| {
                Request::SetParameters(call.clone().carried(), parameters.clone().carried())
            });
            let said = self.functions.set_parameters(session, &call, &parameters).await?;
            session.said(said)
        };
        let heard_before = line.bytes_heard();
        self.callee
            .call(Act::Change, Some(&mut *line), ask, convert::set)
            .await
            .acted(line.bytes_heard() > heard_before, self.name())
    }

    /// What `open`, `sell`, `refund` and `clear` have in common.
    async fn deliver(
        &self,
        verb: &'static str,
        line: &mut LineLease,
        ask: impl AsyncFnOnce(
            &mut Session,
        )
            -> wasmtime::Result<Result<types::SellOutcome, types::DriverError>>,
    ) -> Acted<Delivery> {
        if let Err(unable) = self.purse(verb) {
            return Acted::unable(Delivery::NotSent(unable.to_string()));
        }
        let ask = async |session: &mut Session| {
            let said = ask(session).await?;
            session.said(said)
        };
        let heard_before = line.bytes_heard();
        let ended: Ended<Claim<Receipt>> =
            self.callee.call(Act::Change, Some(&mut *line), ask, convert::receipt).await;
        ended.acted(line.bytes_heard() > heard_before, self.name())
    }

    fn on_line(&self, ability: &'static str) -> Result<(), CallError> {
        if self.functions.abilities().meter { Ok(()) } else { Err(self.unable(ability)) }
    }

    fn purse(&self, ability: &'static str) -> Result<(), CallError> {
        if self.abilities().purse { Ok(()) } else { Err(self.unable(ability)) }
    }

    pub(crate) fn unable(&self, ability: &'static str) -> CallError {
        CallError::Unable { driver: self.name().to_owned(), ability }
    }
}

async fn describe(callee: &Callee, functions: &Functions) -> Result<Description, LoadError> {
    let ask = async |session: &mut Session| functions.describe(session).await;
    let described = callee.call(Act::Look, None, ask, |said| Description::check(said?)).await;
    described.answer.map_err(|error| undescribed(callee.name(), error))
}

pub(crate) fn undescribed(driver: &str, error: CallError) -> LoadError {
    match error {
        CallError::BadResult { driver, what } => LoadError::BadDescription { driver, what },
        CallError::Library { driver, what } => LoadError::Library { driver, what },
        source => LoadError::Describe { driver: driver.to_owned(), source },
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("config", &self.callee.config)
            .field("face", &self.face)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

pub(crate) fn call(address: &str, parameters: &[(String, Value)], moment: Moment) -> types::Call {
    types::Call {
        address: address.to_owned(),
        parameters: outward::extras(parameters),
        now: outward::local_time(moment.now),
        nonce: moment.nonce.to_vec(),
    }
}
