//! Time and randomness, injected: nothing in this crate asks the system what time it is, so that a
//! test can say. Not here: secrets, which come from the system's own source (operator.rs), because
//! what a test may pin down must never make a password.

use crate::error::{Result, invalid};
use polymeter_domain::LocalTime;
use polymeter_domain::tariff::{Date, Moment};
use polymeter_runtime::Moment as DeviceMoment;
use std::sync::Arc;
use uuid::Uuid;

/// Milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMs(pub i64);

/// The one source of time and randomness, injected. `local` is the site's civil time.
#[derive(Clone)]
pub struct Clock {
    /// The same moment twice: for our records, and as devices at the site keep it.
    pub now: Arc<dyn Fn() -> (UnixMs, LocalTime) + Send + Sync>,
    /// The site's civil time at any moment, also a past one.
    pub local: Arc<dyn Fn(UnixMs) -> LocalTime + Send + Sync>,
    /// 16 fresh random bytes at every call.
    pub nonce: Arc<dyn Fn() -> [u8; 16] + Send + Sync>,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Clock {
    pub(crate) fn at(&self) -> UnixMs {
        (self.now)().0
    }

    /// The site's day and second at a moment.
    pub(crate) fn civil(&self, at: UnixMs) -> Result<Moment> {
        let local = (self.local)(at);
        Moment::of(local).ok_or_else(|| invalid("clock", format!("{local:?} is not a day")))
    }

    /// The site's day.
    pub(crate) fn today(&self) -> Result<Date> {
        let LocalTime { year, month, day, .. } = (self.now)().1;
        let date = Date::new(year, month, day);
        date.ok_or_else(|| invalid("clock", format!("{year}-{month}-{day} is not a day")))
    }

    /// What a driver is told beside its device.
    pub(crate) fn moment(&self) -> DeviceMoment {
        DeviceMoment { now: (self.now)().1, nonce: (self.nonce)() }
    }

    /// A UUIDv7: sorts by the time it was made (RFC 9562, 5.7).
    pub(crate) fn id(&self) -> Uuid {
        let [a, b, c, d, e, f, g, h, i, j, ..] = (self.nonce)();
        let at_ms = u64::try_from(self.at().0).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(at_ms, &[a, b, c, d, e, f, g, h, i, j])
            .into_uuid()
    }
}
