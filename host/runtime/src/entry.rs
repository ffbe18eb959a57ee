//! Entering a token over a device's line: the ability `entry` of a driver.
//!
//! Invariant: an act like any other, in an instance of its own and judged by what the host saw leave. Not
//! here: what the digits are (`token`, which asks another driver), and when they are entered (service).

use crate::convert;
use crate::driver::{Device, Driver, Moment};
use crate::outcome::{Acted, SetOutcome};
use crate::session::{Act, Session};
use polymeter_transcript::Request;
use polymeter_transport::LineLease;

impl Driver {
    /// Has the device take one token, whose digits come without blanks.
    pub async fn enter_token(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        digits: &str,
    ) -> Acted<SetOutcome> {
        if !self.abilities().entry {
            let unable = self.unable("enter a token").to_string();
            return Acted::unable(SetOutcome::NotSent(unable));
        }
        let call = self.call_of(device, moment);
        let ask = async |session: &mut Session| {
            session.asked(|| {
                let told = crate::carried::Carried::carried(call.clone());
                Request::Enter(told, digits.to_owned())
            });
            let said = self.functions.enter(session, &call, digits).await?;
            session.said(said)
        };
        let heard_before = line.bytes_heard();
        self.callee
            .call(Act::Change, Some(&mut *line), ask, convert::entry)
            .await
            .acted(line.bytes_heard() > heard_before, self.name())
    }
}
