//! Where a driver's functions are, and how each is called: in a component, or in a native library.
//!
//! Invariant: an interface that is found has every function, each of the type that the contract gives
//! it; whoever calls one does not see which kind of driver answers. Not here: when they are called
//! (driver, replay, search), what the driver says of itself (description).

use crate::bindings::exports::polymeter::driver::{
    bus, card, clock, entry, frames, info, meter, purse, records, refund, settings, supply, token,
};
use crate::bindings::polymeter::driver::types;
use crate::carried::Carried;
use crate::contract::{CONTRACT, PACKAGE};
use crate::convert::Checked;
use crate::description::Abilities;
use crate::error::LoadError;
use crate::load::Face;
use crate::session::{Guest, Placed, Session};
use crate::state::State;
use polymeter_transcript::{CardAct, Request};
use std::sync::OnceLock;
use wasmtime::component::InstancePre;

/// The functions of a driver.
pub(crate) enum Functions {
    Component(Box<Exports>),
    /// What it can do is known once it has described itself.
    Library(OnceLock<Abilities>),
}

type Answer<T> = wasmtime::Result<Result<T, types::DriverError>>;

/// A session is made for the driver whose functions are called in it.
fn of_another() -> wasmtime::Error {
    wasmtime::Error::msg("this session is of another kind of driver")
}

/// Who asks has looked at the abilities.
fn not_exported() -> wasmtime::Error {
    wasmtime::Error::msg("the interface is not exported")
}

/// An interface that is known to be exported.
macro_rules! interface {
    ($exports:ident, $at:ident, $optional:ident) => {
        $exports.$optional.as_ref().ok_or_else(not_exported)?.load(&mut $at.store, &$at.instance)?
    };
}

/// Asks the component by an expression in which its interface is loaded, or the library by a request.
macro_rules! asked {
    ($functions:ident, $session:ident, $request:expr, $interface:ident.$call:ident($($argument:expr),*)) => {
        match ($functions, &mut $session.guest) {
            (Functions::Component(exports), Guest::Instance(at)) => {
                let interface = interface!(exports, at, $interface);
                interface.$call(&mut at.store, $($argument),*).await
            }
            (Functions::Library(_), Guest::Library(library)) => library.ask($request).await,
            (Functions::Component(_) | Functions::Library(_), _) => Err(of_another()),
        }
    };
}

/// One for each function of the contract.
impl Functions {
    pub(crate) fn abilities(&self) -> Abilities {
        match self {
            Functions::Component(exports) => exports.abilities(),
            Functions::Library(told) => told.get().copied().unwrap_or_default(),
        }
    }

    pub(crate) fn bus(&self) -> Option<&bus::GuestIndices> {
        match self {
            Functions::Component(exports) => exports.bus.as_ref(),
            Functions::Library(_) => None,
        }
    }

    pub(crate) fn records(&self) -> Option<&records::GuestIndices> {
        match self {
            Functions::Component(exports) => exports.records.as_ref(),
            Functions::Library(_) => None,
        }
    }

    /// The inner error: exports that do not fit.
    pub(crate) async fn describe(
        &self,
        session: &mut Session,
    ) -> Answer<Checked<info::Description>> {
        match (self, &mut session.guest) {
            (Functions::Component(exports), Guest::Instance(at)) => {
                if let Err(error) = exports.check(at) {
                    let what = format!("exports that do not fit contract {CONTRACT}: {error:#}");
                    return Ok(Ok(Err(what)));
                }
                let info = exports.info.load(&mut at.store, &at.instance)?;
                Ok(Ok(Ok(info.call_describe(&mut at.store).await?)))
            }
            (Functions::Library(told), Guest::Library(library)) => {
                Ok(library.describe().await?.map(|(description, abilities)| {
                    // What it said first holds.
                    let _ = told.set(abilities);
                    Ok(description)
                }))
            }
            (Functions::Component(_) | Functions::Library(_), _) => Err(of_another()),
        }
    }

    pub(crate) async fn probe(
        &self,
        session: &mut Session,
        call: &types::Call,
    ) -> Answer<meter::Identity> {
        let request = || Request::Probe(call.clone().carried());
        asked!(self, session, request(), meter.call_probe(call))
    }

    /// The component's interface is kept, because looking it up costs as much as calling it.
    pub(crate) async fn read(
        &self,
        session: &mut Session,
        call: &types::Call,
    ) -> Answer<meter::Snapshot> {
        match (self, &mut session.guest) {
            (Functions::Component(exports), Guest::Instance(at)) => {
                let Placed { store, instance, meter, .. } = &mut **at;
                let meter = match (meter, &exports.meter) {
                    (Some(meter), _) => meter,
                    (empty, Some(found)) => empty.insert(found.load(&mut *store, instance)?),
                    (None, None) => return Err(not_exported()),
                };
                meter.call_read(store, call).await
            }
            (Functions::Library(_), Guest::Library(library)) => {
                library.ask(Request::Read(call.clone().carried())).await
            }
            (Functions::Component(_) | Functions::Library(_), _) => Err(of_another()),
        }
    }

    pub(crate) async fn check(
        &self,
        session: &mut Session,
        call: &types::Call,
        count: Option<u32>,
    ) -> Answer<purse::Evidence> {
        let request = || Request::Check(call.clone().carried(), count);
        asked!(self, session, request(), purse.call_check(call, count))
    }

    pub(crate) async fn open(
        &self,
        session: &mut Session,
        call: &types::Call,
        opening: &purse::Opening,
    ) -> Answer<types::SellOutcome> {
        let request = || Request::Open(call.clone().carried(), opening.clone().carried());
        asked!(self, session, request(), purse.call_open(call, opening))
    }

    pub(crate) async fn sell(
        &self,
        session: &mut Session,
        call: &types::Call,
        order: &purse::Order,
    ) -> Answer<types::SellOutcome> {
        let request = || Request::Sell(call.clone().carried(), order.clone().carried());
        asked!(self, session, request(), purse.call_sell(call, order))
    }

    /// Of a driver that has the ability, which a library has not.
    pub(crate) async fn refund(
        &self,
        session: &mut Session,
        call: &types::Call,
        order: &purse::Order,
    ) -> Answer<types::SellOutcome> {
        let (Functions::Component(exports), Guest::Instance(at)) = (self, &mut session.guest)
        else {
            return Err(of_another());
        };
        let refund = interface!(exports, at, refund);
        refund.call_refund(&mut at.store, call, &order.customer_number, order.purchase).await
    }

    /// Of a driver that has the ability, which a library has not.
    pub(crate) async fn plan(
        &self,
        session: &mut Session,
        call: &types::Call,
        order: &token::Order,
        last: Option<u32>,
    ) -> Answer<token::Draft> {
        let (Functions::Component(exports), Guest::Instance(at)) = (self, &mut session.guest)
        else {
            return Err(of_another());
        };
        let token = interface!(exports, at, token);
        token.call_plan(&mut at.store, call, order, last).await
    }

    /// The same.
    pub(crate) async fn issue(
        &self,
        session: &mut Session,
        call: &types::Call,
        order: &token::Order,
        identifier: Option<u32>,
    ) -> Answer<token::Issued> {
        let (Functions::Component(exports), Guest::Instance(at)) = (self, &mut session.guest)
        else {
            return Err(of_another());
        };
        let token = interface!(exports, at, token);
        token.call_issue(&mut at.store, call, order, identifier).await
    }

    pub(crate) async fn clear(
        &self,
        session: &mut Session,
        call: &types::Call,
    ) -> Answer<types::SellOutcome> {
        let request = || Request::Clear(call.clone().carried());
        asked!(self, session, request(), purse.call_clear(call))
    }

    pub(crate) async fn control(
        &self,
        session: &mut Session,
        call: &types::Call,
        command: u16,
        valid_until: Option<types::LocalTime>,
    ) -> Answer<supply::ControlOutcome> {
        let request = || Request::Control {
            told: call.clone().carried(),
            command,
            valid_until: valid_until.carried(),
        };
        asked!(self, session, request(), supply.call_control(call, command, valid_until))
    }

    pub(crate) async fn set_parameters(
        &self,
        session: &mut Session,
        call: &types::Call,
        parameters: &types::Extras,
    ) -> Answer<settings::SetOutcome> {
        let request =
            || Request::SetParameters(call.clone().carried(), parameters.clone().carried());
        asked!(self, session, request(), settings.call_set_parameters(call, parameters))
    }

    /// Of a driver that has the ability, which a library has not.
    pub(crate) async fn set_clock(
        &self,
        session: &mut Session,
        call: &types::Call,
        way: u16,
    ) -> Answer<clock::ClockOutcome> {
        let (Functions::Component(exports), Guest::Instance(at)) = (self, &mut session.guest)
        else {
            return Err(of_another());
        };
        let clock = interface!(exports, at, clock);
        clock.call_set_clock(&mut at.store, call, way).await
    }

    /// Of a driver that has the ability, which a library has not.
    pub(crate) async fn enter(
        &self,
        session: &mut Session,
        call: &types::Call,
        digits: &str,
    ) -> Answer<entry::EntryOutcome> {
        let (Functions::Component(exports), Guest::Instance(at)) = (self, &mut session.guest)
        else {
            return Err(of_another());
        };
        let entry = interface!(exports, at, entry);
        entry.call_enter(&mut at.store, call, digits).await
    }

    /// Of a driver that has the ability, which a library has not.
    pub(crate) async fn read_records(
        &self,
        session: &mut Session,
        call: &types::Call,
        kind: &str,
        since: types::LocalTime,
        position: Option<&[u8]>,
        questions: u32,
    ) -> Answer<records::Entries> {
        let (Functions::Component(exports), Guest::Instance(at)) = (self, &mut session.guest)
        else {
            return Err(of_another());
        };
        let records = interface!(exports, at, records);
        records.call_read_records(&mut at.store, call, kind, since, position, questions).await
    }

    /// Of a driver that has the ability, which a library has not.
    pub(crate) async fn search(
        &self,
        session: &mut Session,
        call: &types::Call,
        way: &str,
        position: Option<&[u8]>,
        questions: u32,
    ) -> Answer<bus::Step> {
        let (Functions::Component(exports), Guest::Instance(at)) = (self, &mut session.guest)
        else {
            return Err(of_another());
        };
        let bus = interface!(exports, at, bus);
        bus.call_search(&mut at.store, call, way, position, questions).await
    }

    pub(crate) async fn card_identify(
        &self,
        session: &mut Session,
        call: &types::Call,
    ) -> Answer<Option<card::Identity>> {
        let request = || Request::CardIdentify(call.clone().carried());
        asked!(self, session, request(), card.call_identify(call))
    }

    pub(crate) async fn card_check(
        &self,
        session: &mut Session,
        call: &types::Call,
    ) -> Answer<card::Contents> {
        let request = || Request::CardCheck(call.clone().carried());
        asked!(self, session, request(), card.call_check(call))
    }

    pub(crate) async fn card_clear(
        &self,
        session: &mut Session,
        call: &types::Call,
    ) -> Answer<types::SellOutcome> {
        let request = || Request::CardClear(call.clone().carried());
        asked!(self, session, request(), card.call_clear(call))
    }

    /// One of the acts that an order describes.
    pub(crate) async fn card_act(
        &self,
        session: &mut Session,
        act: CardAct,
        call: &types::Call,
        order: &card::Order,
    ) -> Answer<types::SellOutcome> {
        let request = || Request::Card(act, call.clone().carried(), order.clone().carried());
        match act {
            CardAct::Open => asked!(self, session, request(), card.call_open(call, order)),
            CardAct::Sell => asked!(self, session, request(), card.call_sell(call, order)),
            CardAct::Replace => asked!(self, session, request(), card.call_replace(call, order)),
            CardAct::TakeBack => {
                asked!(self, session, request(), card.call_take_back(call, order))
            }
            CardAct::Make => asked!(self, session, request(), card.call_make(call, order)),
        }
    }

    /// Its error is a mere text.
    pub(crate) async fn decode(
        &self,
        session: &mut Session,
        frame: &[u8],
    ) -> wasmtime::Result<Result<frames::Explanation, String>> {
        let (Functions::Component(exports), Guest::Instance(at)) = (self, &mut session.guest)
        else {
            return Ok(Err("a native library explains no captured frames".to_owned()));
        };
        let Placed { store, instance, frames, .. } = &mut **at;
        let frames = match (frames, &exports.frames) {
            (Some(frames), _) => frames,
            (empty, Some(found)) => empty.insert(found.load(&mut *store, instance)?),
            (None, None) => return Err(not_exported()),
        };
        frames.call_decode(store, frame).await
    }
}

/// Where the functions are in a component; `None` for an interface that it does not export.
pub(crate) struct Exports {
    pub(crate) info: info::GuestIndices,
    pub(crate) meter: Option<meter::GuestIndices>,
    pub(crate) card: Option<card::GuestIndices>,
    pub(crate) purse: Option<purse::GuestIndices>,
    pub(crate) supply: Option<supply::GuestIndices>,
    pub(crate) settings: Option<settings::GuestIndices>,
    pub(crate) frames: Option<frames::GuestIndices>,
    pub(crate) bus: Option<bus::GuestIndices>,
    pub(crate) refund: Option<refund::GuestIndices>,
    pub(crate) token: Option<token::GuestIndices>,
    pub(crate) clock: Option<clock::GuestIndices>,
    pub(crate) entry: Option<entry::GuestIndices>,
    pub(crate) records: Option<records::GuestIndices>,
}

impl Exports {
    /// What is exported, whatever the driver says of itself.
    fn abilities(&self) -> Abilities {
        Abilities {
            meter: self.meter.is_some(),
            cards: self.card.is_some(),
            purse: self.purse.is_some(),
            supply: self.supply.is_some(),
            settings: self.settings.is_some(),
            frames: self.frames.is_some(),
            bus: self.bus.is_some(),
            refund: self.refund.is_some(),
            token: self.token.is_some(),
            clock: self.clock.is_some(),
            entry: self.entry.is_some(),
            records: self.records.is_some(),
        }
    }

    /// `info` and one of `meter` and `card` are required. An interface that is there but lacks a function is an error
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
        let full = |interface: &str| format!("{PACKAGE}{interface}@{}", face.contract);
        for (interface, other) in [("info", "info"), ("meter", "card")] {
            let interface = full(interface);
            if !has(&interface) && !has(&full(other)) {
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
            meter: optional!(meter),
            card: optional!(card),
            purse: optional!(purse),
            supply: optional!(supply),
            settings: optional!(settings),
            frames: optional!(frames),
            bus: optional!(bus),
            refund: optional!(refund),
            token: optional!(token),
            clock: optional!(clock),
            entry: optional!(entry),
            records: optional!(records),
        })
    }

    /// Loading an interface compares its functions' types, so a wrong one is told at load and not at
    /// the first sale.
    fn check(&self, at: &mut Placed) -> wasmtime::Result<()> {
        let Placed { store, instance, .. } = at;
        self.info.load(&mut *store, instance)?;
        self.meter.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.card.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.purse.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.supply.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.settings.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.frames.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.bus.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.refund.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.token.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.clock.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.entry.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        self.records.as_ref().map(|found| found.load(&mut *store, instance)).transpose()?;
        Ok(())
    }
}
