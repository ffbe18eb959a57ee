//! The running simulator and the handle to it. Every method is short and never waits for a wire, so
//! it may be called from asynchronous code.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::SimulatorError;
use crate::bus::Bus;
use crate::control;
use crate::device::{Device, State, devices};
use crate::event::{Event, Hub, Release, lock};
use crate::fault::{Fault, FaultKind};
use crate::lines::{Endpoint, Line};
use crate::modem::{Modem, ModemState};
use crate::plan::{BusKind, BusPlan, Plan};

/// A running plan. Dropping it closes every line and ends every thread.
#[derive(Debug)]
pub struct Simulator {
    // Before the world: the lines' threads use it.
    lines: Vec<Line>,
    world: Arc<World>,
}

/// The meters, their faults and their truth. A simulator dereferences to it; [`Simulator::world`]
/// gives a copy of the handle to other threads and tasks.
#[derive(Debug)]
pub struct World {
    buses: Vec<Arc<Bus>>,
    endpoints: Mutex<Vec<Endpoint>>,
    hub: Arc<Hub>,
}

impl Simulator {
    /// Opens all lines of a plan and serves them.
    pub fn start(plan: Plan) -> Result<Self, SimulatorError> {
        let hub = Arc::new(Hub::default());
        let mut names = HashSet::new();
        let mut buses = Vec::new();
        let mut kinds = Vec::new();
        for bus in plan.buses {
            if !names.insert(bus.name.clone()) {
                return Err(refused(&bus.name, "the name is taken"));
            }
            kinds.push((bus.kind, bus.port));
            buses.push(Arc::new(build(bus, Arc::clone(&hub))?));
        }
        let mut lines = Vec::new();
        for (bus, (kind, port)) in buses.iter().zip(kinds) {
            let serving = Arc::clone(bus);
            let line = match kind {
                BusKind::Tcp => Line::tcp(port, Arc::clone(&hub), move |stream| {
                    serving.serve_tcp(stream);
                }),
                BusKind::Pty => Line::pty(Arc::clone(&hub), move |port| serving.serve(port)),
            };
            let line =
                line.map_err(|source| SimulatorError::Open { bus: bus.name.clone(), source })?;
            lines.push(line);
        }
        let endpoints = Mutex::new(lines.iter().map(Line::endpoint).collect());
        Ok(Self { lines, world: Arc::new(World { buses, endpoints, hub }) })
    }

    /// A handle for other threads and tasks; it does not keep the lines open.
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// Serves the control port on the loopback (0: any port) for as long as the simulator lives.
    pub fn serve_control(&mut self, port: u16) -> Result<SocketAddr, SimulatorError> {
        let bus = "control".to_owned();
        let world = self.world();
        let hub = Arc::clone(&self.world.hub);
        let line = Line::tcp(port, hub, move |stream| control::serve(&world, stream))
            .map_err(|source| SimulatorError::Open { bus: bus.clone(), source })?;
        let Endpoint::Tcp(address) = line.endpoint() else {
            return Err(SimulatorError::UnknownBus { bus });
        };
        self.lines.push(line);
        Ok(address)
    }
}

impl Deref for Simulator {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl World {
    /// Where a host connects to this bus.
    pub fn endpoint(&self, bus: &str) -> Result<Endpoint, SimulatorError> {
        let found = self.endpoints().into_iter().find(|(name, _)| name == bus);
        found.map(|(_, end)| end).ok_or_else(|| SimulatorError::UnknownBus { bus: bus.into() })
    }

    /// All buses in the order of the plan.
    pub fn endpoints(&self) -> Vec<(String, Endpoint)> {
        let names = self.buses.iter().map(|bus| bus.name.clone());
        names.zip(lock(&self.endpoints).iter().cloned()).collect()
    }

    /// What the modem before a bus has had from its hosts; none: the bus has no modem.
    pub fn modem(&self, bus: &str) -> Option<ModemState> {
        let found = self.buses.iter().find(|known| known.name == bus)?;
        found.modem.as_ref().map(|modem| modem.state())
    }

    /// Queues a fault at a meter.
    pub fn fault(&self, meter: &str, fault: Fault) -> Result<(), SimulatorError> {
        if let FaultKind::GarbageBefore { hex }
        | FaultKind::GarbageInside { hex }
        | FaultKind::GarbageAfter { hex } = &fault.kind
            && hex::decode(hex).is_err()
        {
            return Err(SimulatorError::NotHex { text: hex.clone() });
        }
        self.with(meter, |device, _| device.faults.push(fault))
    }

    /// Takes back what still waits in a meter's queue.
    pub fn clear_faults(&self, meter: &str) -> Result<(), SimulatorError> {
        self.with(meter, |device, _| device.faults.clear())
    }

    /// The truth about one meter, named by its address, or `bus/address` where that is not unique.
    pub fn state(&self, meter: &str) -> Result<State, SimulatorError> {
        self.with(meter, |device, bus| device.state(bus))
    }

    /// The truth about what can be written into a meter and is money.
    pub fn settings_fen(&self, meter: &str) -> Result<Vec<(&'static str, u32)>, SimulatorError> {
        self.with(meter, |device, _| device.settings_fen())
    }

    /// The truth about all meters.
    pub fn states(&self) -> Vec<State> {
        let state = |bus: &Arc<Bus>| -> Vec<State> {
            lock(&bus.devices).iter().map(|device| device.state(&bus.name)).collect()
        };
        self.buses.iter().flat_map(state).collect()
    }

    /// All credit that came over the lines into all meters since the start, fen.
    pub fn credited_fen(&self) -> u64 {
        self.states().iter().map(|state| state.credited_fen).sum()
    }

    /// Everything that happens from now on. The channel works with and without a runtime
    /// (`recv().await`, `blocking_recv()`, `try_recv()`).
    pub fn events(&self) -> UnboundedReceiver<Event> {
        self.hub.listen()
    }

    /// Lets this time pass in every meter: clocks, loads, purses, delayed relays.
    pub fn advance(&self, seconds: u32) {
        for bus in &self.buses {
            for device in lock(&bus.devices).iter_mut() {
                device.advance(seconds);
            }
        }
    }

    /// Changes what a meter's customer draws.
    pub fn set_load(&self, meter: &str, watts: u32) -> Result<(), SimulatorError> {
        self.with(meter, |device, _| device.set_load(watts))
    }

    /// Somebody else's hand: the meter stands at `count`, its last purchase being of `last_fen`.
    pub fn become_another(
        &self,
        meter: &str,
        count: u32,
        last_fen: u32,
    ) -> Result<(), SimulatorError> {
        self.with(meter, |device, _| device.become_another(count, last_fen))
    }

    /// Somebody opens the meter's case and closes it again.
    pub fn open_cover(&self, meter: &str) -> Result<(), SimulatorError> {
        self.with(meter, |device, _| device.open_cover())
    }

    /// The meter is without power for so long.
    pub fn black_out(&self, meter: &str, seconds: u32) -> Result<(), SimulatorError> {
        self.with(meter, |device, _| device.black_out(seconds))
    }

    /// The customer's hand at the meter's button.
    pub fn press(&self, meter: &str) -> Result<(), SimulatorError> {
        self.with(meter, |device, _| device.press())
    }

    /// Requests and replies that wait now because of a hold.
    pub fn held(&self) -> usize {
        self.hub.held()
    }

    /// Lets everything go on that is held.
    pub fn release(&self, release: Release) {
        self.hub.release(release);
    }

    fn with<T>(
        &self,
        meter: &str,
        act: impl FnOnce(&mut Device, &str) -> T,
    ) -> Result<T, SimulatorError> {
        let unknown = || SimulatorError::UnknownMeter { meter: meter.to_owned() };
        let (on, name) = match meter.split_once('/') {
            Some((bus, name)) => (Some(bus), name),
            None => (None, meter),
        };
        let mut buses = self.buses.iter().filter(|bus| {
            on.is_none_or(|on| on == bus.name)
                && lock(&bus.devices).iter().any(|device| device.name == name)
        });
        let (Some(bus), None) = (buses.next(), buses.next()) else { return Err(unknown()) };
        let mut devices = lock(&bus.devices);
        let device = devices.iter_mut().find(|device| device.name == name).ok_or_else(unknown)?;
        Ok(act(device, &bus.name))
    }
}

fn build(plan: BusPlan, hub: Arc<Hub>) -> Result<Bus, SimulatorError> {
    let (protocols, devices) =
        devices(plan.meters).map_err(|reason| refused(&plan.name, &reason))?;
    let mut names = HashSet::new();
    if let Some(twice) = devices.iter().find(|device| !names.insert(&device.name)) {
        return Err(refused(&plan.name, &format!("address {} is taken", twice.name)));
    }
    if plan.modem.is_some() && (plan.kind != BusKind::Tcp || plan.baud.is_some()) {
        return Err(refused(&plan.name, "a modem's bus is TCP and has no baud rate"));
    }
    let modem = plan.modem.map(Modem::new).transpose();
    let modem = modem.map_err(|reason| refused(&plan.name, &reason))?;
    Ok(Bus {
        name: plan.name,
        protocols,
        reply_delay: Duration::from_millis(plan.reply_delay_ms),
        baud: plan.baud,
        modem: modem.map(Arc::new),
        devices: Mutex::new(devices),
        hub,
    })
}

fn refused(bus: &str, reason: &str) -> SimulatorError {
    SimulatorError::Plan { bus: bus.to_owned(), reason: reason.to_owned() }
}
