//! The clock in a device, put right: the ability `clock` of a driver.
//!
//! Invariant: an act like any other, in an instance of its own and judged by what the host saw leave. What
//! the clock shows afterwards is the device's word; whether that is right is the caller's to judge.

use crate::convert;
use crate::driver::{Device, Driver, Moment};
use crate::outcome::{Acted, ClockOutcome};
use crate::session::{Act, Session};
use polymeter_transcript::Request;
use polymeter_transport::LineLease;

/// How a clock is put right (校时).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockWay {
    /// As the protocol lets anybody on the line do it, within its rules.
    Adjust,
    /// With the driver's authority, by any amount.
    Set,
}

impl ClockWay {
    pub const ALL: [ClockWay; 2] = [ClockWay::Adjust, ClockWay::Set];

    pub fn name(self) -> &'static str {
        match self {
            ClockWay::Adjust => "adjust",
            ClockWay::Set => "set",
        }
    }

    pub fn from_name(name: &str) -> Option<ClockWay> {
        ClockWay::ALL.into_iter().find(|way| way.name() == name)
    }

    fn code(self) -> u16 {
        match self {
            ClockWay::Adjust => 1,
            ClockWay::Set => 2,
        }
    }
}

impl Driver {
    /// Sets the device's clock to the moment's civil time.
    pub async fn set_clock(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        way: ClockWay,
    ) -> Acted<ClockOutcome> {
        if !self.abilities().clock {
            let unable = self.unable("set a clock").to_string();
            return Acted::unable(ClockOutcome::NotSent(unable));
        }
        let (call, way) = (self.call_of(device, moment), way.code());
        let ask = async |session: &mut Session| {
            session.asked(|| {
                let told = crate::carried::Carried::carried(call.clone());
                Request::SetClock(told, way)
            });
            let said = self.functions.set_clock(session, &call, way).await?;
            session.said(said)
        };
        let heard_before = line.bytes_heard();
        self.callee
            .call(Act::Change, Some(&mut *line), ask, convert::clock)
            .await
            .acted(line.bytes_heard() > heard_before, self.name())
    }
}
