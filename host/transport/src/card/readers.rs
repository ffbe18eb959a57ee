//! The readers of this machine: which there are, and what comes and goes in those that PC/SC has.
//!
//! Invariant: one thread watches all PC/SC readers and changes nothing; it comes back by itself when
//! pcscd does, and when libpcsclite is installed. Where only ports are configured PC/SC is not asked
//! for. A reader that was once listed stays listed.
//! Not here: the cards (`worker`), readers at ports (`serial`).

use std::ffi::CString;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pcsc::{Context, Error, PNP_NOTIFICATION, Scope, State};
use tokio::sync::watch;

use super::libpcsclite;
use super::limits::{BUSY_AFTER, LOOK_WAIT, READERS_MAX, RECONNECT_WAIT};
use super::pcsc_slot::{BUSY, PcscSlot, Place, SharedPlace, reason};
use super::profile::ReaderProfiles;
use super::reader::CardReader;
use super::serial::{self, Keeper};
use super::slot::SlotEvents;
use super::state::{LOOKING, ReaderState};
use super::template::name_fits;
use super::worker::Order;
use crate::settings::Endpoint;

/// One reader of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderSettings {
    pub name: String,
    pub place: ReaderPlace,
}

/// Where a reader is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderPlace {
    /// A PC/SC name, in which `*` stands for any text and `?` for any one character. The first
    /// reader that fits and is no other's is it.
    Pcsc(String),
    /// A serial reader's port, which is this program's alone.
    Port(Endpoint),
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct ReaderList {
    pub readers: Vec<CardReader>,
    /// Why none can be used, and what to do about it.
    pub trouble: Option<String>,
    /// PC/SC was asked at least once.
    looked: bool,
}

/// The readers, watched until this is dropped.
#[derive(Clone)]
pub struct CardReaders {
    list: watch::Receiver<ReaderList>,
    _watching: Arc<Watching>,
}

/// What keeps the list true, until nobody wants it any more.
struct Watching {
    pcsc: Option<Arc<Stop>>,
    _ports: Vec<Keeper>,
    /// Of a list that is what it is.
    _shown: Option<watch::Sender<ReaderList>>,
}

impl fmt::Debug for CardReaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardReaders").field("list", &*self.list.borrow()).finish()
    }
}

#[derive(Default)]
struct Stop {
    asked: AtomicBool,
    /// What the thread waits in.
    context: Mutex<Option<Context>>,
}

impl CardReaders {
    /// Watches these readers; without any, every reader that PC/SC has, each under its PC/SC name.
    pub fn start(settings: Vec<ReaderSettings>, profiles: ReaderProfiles) -> CardReaders {
        let (shown, list) = watch::channel(ReaderList::default());
        let stop = Arc::new(Stop::default());
        let mut watcher = Watcher {
            every: settings.is_empty(),
            profiles,
            entries: Vec::new(),
            readers: Vec::new(),
            shown,
            stop: Arc::clone(&stop),
        };
        let mut ports = Vec::new();
        for ReaderSettings { name, place } in settings {
            match place {
                ReaderPlace::Pcsc(pattern) => watcher.add(name, pattern),
                ReaderPlace::Port(endpoint) => {
                    let (reader, keeper) = serial::start(&name, endpoint, &watcher.profiles);
                    watcher.readers.push(reader);
                    ports.push(keeper);
                }
            }
        }
        if watcher.entries.is_empty() && !watcher.every {
            watcher.show(None, true);
            let shown = Some(watcher.shown);
            let watching = Watching { pcsc: None, _ports: ports, _shown: shown };
            return CardReaders { list, _watching: Arc::new(watching) };
        }
        watcher.show(None, false);
        let thread = std::thread::Builder::new().name("card readers".to_owned());
        if let Err(error) = thread.spawn(move || watcher.run()) {
            tracing::error!(%error, "no thread for the card readers");
        }
        let watching = Watching { pcsc: Some(stop), _ports: ports, _shown: None };
        CardReaders { list, _watching: Arc::new(watching) }
    }

    /// These and no others, whatever PC/SC has.
    pub fn of(readers: Vec<CardReader>) -> CardReaders {
        let (shown, list) = watch::channel(ReaderList { readers, trouble: None, looked: true });
        let watching = Watching { pcsc: None, _ports: Vec::new(), _shown: Some(shown) };
        CardReaders { list, _watching: Arc::new(watching) }
    }

    pub fn all(&self) -> Vec<CardReader> {
        self.list.borrow().readers.clone()
    }

    pub fn find(&self, name: &str) -> Option<CardReader> {
        self.list.borrow().readers.iter().find(|reader| reader.name() == name).cloned()
    }

    pub fn list(&self) -> ReaderList {
        self.list.borrow().clone()
    }

    /// Tells when readers are added, and when there is trouble or none any more.
    pub fn changes(&self) -> watch::Receiver<ReaderList> {
        self.list.clone()
    }

    /// The list as soon as PC/SC was asked and each reader's card was looked at.
    pub async fn looked(&self) -> ReaderList {
        let mut changes = self.list.clone();
        let list = changes.wait_for(|list| list.looked).await.map(|list| list.clone());
        let list = list.unwrap_or_else(|_| self.list());
        for reader in &list.readers {
            // An error here: its thread has ended, and its state says so.
            let _ = reader.changes().wait_for(ReaderState::is_known).await;
        }
        list
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let Some(stop) = &self.pcsc else { return };
        stop.asked.store(true, Ordering::Relaxed);
        let context = stop.context.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*context {
            // An error, or a moment too early: the thread looks by itself every second.
            let _ = context.cancel();
        }
    }
}

struct Watcher {
    /// No configuration: take what there is.
    every: bool,
    profiles: ReaderProfiles,
    entries: Vec<Entry>,
    /// All, as they are listed.
    readers: Vec<CardReader>,
    shown: watch::Sender<ReaderList>,
    stop: Arc<Stop>,
}

struct Entry {
    reader: CardReader,
    events: SlotEvents,
    pattern: String,
    place: SharedPlace,
    /// What was told of the slot last: whether a card is in it, and PC/SC's count of comings and
    /// goings.
    told: Option<(bool, u32)>,
}

impl Entry {
    fn place(&self) -> std::sync::MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&mut self, reason: &str) {
        self.place().reader = None;
        self.told = None;
        self.events.gone(reason);
    }

    fn tell(&mut self, state: State, count: u32) {
        let now = (state.contains(State::PRESENT), count);
        if self.told == Some(now) {
            return;
        }
        self.told = Some(now);
        if now.0 {
            self.events.inserted();
        } else {
            self.events.removed();
        }
    }
}

impl Watcher {
    fn add(&mut self, name: String, pattern: String) {
        let place = SharedPlace::default();
        let slot = Box::new(PcscSlot::new(Arc::clone(&place)));
        let looking = ReaderState::Gone(LOOKING.to_owned());
        let profile = self.profiles.of(&name);
        let (reader, events) = CardReader::starting(&name, profile, slot, looking);
        self.readers.push(reader.clone());
        self.entries.push(Entry { reader, events, pattern, place, told: None });
    }

    fn show(&self, trouble: Option<String>, looked: bool) {
        let readers = self.readers.clone();
        self.shown.send_if_modified(|list| {
            let other = list.readers.len() != readers.len()
                || list.trouble != trouble
                || list.looked != looked;
            *list = ReaderList { readers, trouble, looked };
            other
        });
    }

    fn stopped(&self) -> bool {
        self.stop.asked.load(Ordering::Relaxed)
    }

    fn run(mut self) {
        while !self.stopped() {
            let Err(trouble) = self.watch() else { continue };
            for entry in &mut self.entries {
                entry.gone(&trouble);
            }
            self.show(Some(trouble), true);
            *self.stop.context.lock().unwrap_or_else(PoisonError::into_inner) = None;
            std::thread::sleep(RECONNECT_WAIT);
        }
    }

    /// Until the service fails (why), or the readers are no longer wanted.
    fn watch(&mut self) -> Result<(), String> {
        libpcsclite::ready()?;
        let context = Context::establish(Scope::System).map_err(reason)?;
        *self.stop.context.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.clone());
        while !self.stopped() {
            let names = match context.list_readers_owned() {
                Ok(names) => names,
                // One came between the two questions.
                Err(Error::InsufficientBuffer) => continue,
                Err(error) => return Err(reason(error)),
            };
            self.bind(names);
            self.show(self.none_there(), true);
            self.follow(&context).map_err(reason)?;
        }
        Ok(())
    }

    fn none_there(&self) -> Option<String> {
        let none = self.entries.iter().all(|entry| entry.place().reader.is_none());
        none.then(|| "no card reader is plugged in".to_owned())
    }

    /// Which reader is whose.
    fn bind(&mut self, mut names: Vec<CString>) {
        names.truncate(READERS_MAX);
        for entry in &mut self.entries {
            let bound = entry.place().reader.clone();
            match bound {
                Some(bound) if names.contains(&bound) => names.retain(|name| *name != bound),
                Some(_) => entry.gone("the reader is unplugged"),
                None => {}
            }
        }
        if self.every {
            for name in &names {
                let name = name.to_string_lossy().into_owned();
                let known = self.entries.iter().any(|entry| entry.reader.name() == name);
                if !known && self.entries.len() < READERS_MAX {
                    self.add(name.clone(), name);
                }
            }
        }
        for entry in &mut self.entries {
            if entry.place().reader.is_some() {
                continue;
            }
            let fits = |name: &CString| {
                let name = name.to_string_lossy();
                // A name of PC/SC's own is no pattern, whatever characters are in it.
                entry.pattern == name || name_fits(&entry.pattern, &name)
            };
            let Some(index) = names.iter().position(fits) else {
                entry.events.gone(format!("no reader \"{}\" is plugged in", entry.pattern));
                continue;
            };
            let name = names.remove(index);
            entry.events.tell(Order::Profile(self.profiles.of(&name.to_string_lossy())));
            entry.place().reader = Some(name);
        }
    }

    /// Until the readers are others than they were.
    fn follow(&mut self, context: &Context) -> Result<(), Error> {
        let mut states = vec![pcsc::ReaderState::new(PNP_NOTIFICATION(), State::UNAWARE)];
        let mut watched: Vec<&mut Entry> = Vec::new();
        for entry in &mut self.entries {
            let reader = entry.place().reader.clone();
            if let Some(reader) = reader {
                states.push(pcsc::ReaderState::new(reader, State::UNAWARE));
                watched.push(entry);
            }
        }
        loop {
            match context.get_status_change(LOOK_WAIT, &mut states) {
                Ok(()) => {}
                Err(Error::Timeout) => {
                    for entry in &watched {
                        let waiting = entry.place().waiting;
                        if waiting.is_some_and(|since| since.elapsed() > BUSY_AFTER) {
                            entry.events.busy(BUSY);
                        }
                    }
                    // And look for readers: their coming is not told by every pcscd.
                    return Ok(());
                }
                Err(Error::UnknownReader | Error::ReaderUnavailable | Error::Cancelled) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            let mut other = false;
            for (index, state) in states.iter_mut().enumerate() {
                let event = state.event_state();
                other |= event.intersects(State::UNKNOWN | State::UNAVAILABLE | State::IGNORE);
                let count = state.event_count();
                match index.checked_sub(1).and_then(|index| watched.get_mut(index)) {
                    Some(entry) if !other => entry.tell(event, count),
                    Some(_) => {}
                    None => {
                        other |= state.current_state() != State::UNAWARE
                            && event.contains(State::CHANGED)
                    }
                }
                state.sync_current_state();
            }
            if other {
                return Ok(());
            }
        }
    }
}
