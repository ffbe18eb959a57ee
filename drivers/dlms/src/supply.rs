//! The switch: class 70, disconnect control (IEC 62056-6-2, 4.5.8). An accepted command is not an
//! executed one: what the object says afterwards decides.

use crate::association;
use crate::session::{Got, Session};
use crate::settings::Settings;
use crate::words::refused;
use polymeter_codec::dlms::{Attribute, Data, Method};
use polymeter_driver::codes::{command, error, refusal, supply};
use polymeter_driver::{Call, ControlOutcome, DriverError, Host, LocalTime, Refusal};

const CLASS: u16 = 70;
const OUTPUT: i8 = 2;
const STATE: i8 = 3;
const MODE: i8 = 4;
const DISCONNECT: i8 = 1;
const RECONNECT: i8 = 2;
/// How often the state is read before it is called unknown.
const LOOKS: usize = 3;
const DENIED: &str = "this association may not switch the supply";

/// What the object says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switch {
    /// Whether the supply is really there; some meters do not say.
    output: Option<bool>,
    /// 0 disconnected, 1 connected, 2 ready for reconnection.
    state: Option<u8>,
    /// 0 never; 2 and 4 close at once when told to, 1, 3, 5 and 6 wait for a hand.
    mode: Option<u8>,
}

impl Switch {
    pub fn attributes(settings: &Settings) -> [Attribute; 3] {
        let object = settings.switch;
        [OUTPUT, STATE, MODE].map(|attribute| Attribute { class: CLASS, object, attribute })
    }

    /// Of the answers to [`Switch::attributes`].
    pub fn of(got: &[Got]) -> Switch {
        let data = |nth: usize| match got.get(nth).map(Got::data) {
            Some(Ok(Ok(data))) => Some(data),
            _ => None,
        };
        let number = |nth| match data(nth) {
            Some(Data::Enum(value)) => Some(value),
            _ => None,
        };
        let output = match data(0) {
            Some(Data::Bool(output)) => Some(output),
            _ => None,
        };
        Switch { output, state: number(1), mode: number(2) }
    }

    /// A code of `snapshot.supply`. Where output and state contradict each other nobody knows.
    pub fn supply(self) -> u16 {
        match (self.state, self.output) {
            (Some(0), None | Some(false)) => supply::DISCONNECTED,
            (Some(1), None | Some(true)) => supply::CONNECTED,
            (Some(2), None | Some(false)) => supply::READY_FOR_RECONNECTION,
            _ => supply::UNKNOWN,
        }
    }

    fn closes_at_once(self) -> bool {
        matches!(self.mode, Some(2 | 4))
    }
}

pub fn control(
    host: &mut dyn Host,
    call: &Call,
    command: u16,
    valid_until: Option<LocalTime>,
) -> Result<ControlOutcome, DriverError> {
    let settings = Settings::of(call)?;
    if valid_until.is_some() {
        return Err(DriverError::new(error::BAD_PARAMETER, "a command of DLMS has no end"));
    }
    let number = match command {
        command::DISCONNECT => DISCONNECT,
        command::CONNECT | command::ALLOW_CONNECTION => RECONNECT,
        other => {
            let why = format!("disconnect control has no supply command {other}");
            return Err(DriverError::new(error::UNSUPPORTED, why));
        }
    };
    let mut session = association::open(host, &settings, call)?;
    let before = Switch::of(&session.get_all(&Switch::attributes(&settings))?);
    if let Some(no) = impossible(command, before) {
        session.close();
        return Ok(ControlOutcome::Refused(no));
    }
    let method = Method { class: CLASS, object: settings.switch, attribute: number };
    // The argument is an integer that means nothing.
    let accepted = match session.act(method, Some(Data::Signed { value: 0, bytes: 1 })) {
        Ok(done) if done.refusal != 0 => {
            session.close();
            return Ok(ControlOutcome::Refused(refused(done.refusal, DENIED)));
        }
        Ok(_) => true,
        Err(lost) if lost.code == error::LINE => return Ok(ControlOutcome::Unknown(lost.detail)),
        // Perhaps only the answer was lost.
        Err(_) => false,
    };
    if accepted {
        let now = look(&mut session, &settings);
        session.close();
        if let Some(confirmed) = now.and_then(|now| confirmed(command, before, now, accepted)) {
            return Ok(confirmed);
        }
    }
    Ok(judged(host, call, &settings, command, before, accepted))
}

/// Reads the state in associations of their own until it is what was asked for, a few times.
fn judged(
    host: &mut dyn Host,
    call: &Call,
    settings: &Settings,
    command: u16,
    before: Switch,
    accepted: bool,
) -> ControlOutcome {
    let mut last = None;
    for _ in 0..LOOKS {
        let Ok(mut session) = association::open(host, settings, call) else { continue };
        last = look(&mut session, settings);
        session.close();
        if let Some(confirmed) = last.and_then(|now| confirmed(command, before, now, accepted)) {
            return confirmed;
        }
    }
    let accepted = if accepted { "accepted" } else { "not acknowledged" };
    ControlOutcome::Unknown(match last {
        Some(Switch { output, state, .. }) => {
            let told =
                |number: Option<u8>| number.map_or("unknown".to_owned(), |it| it.to_string());
            let output = told(output.map(u8::from));
            format!(
                "the command was {accepted}, the control state is {}, the output {output}",
                told(state)
            )
        }
        None => format!("the command was {accepted}, and the control state could not be read"),
    })
}

fn look(session: &mut Session<'_>, settings: &Settings) -> Option<Switch> {
    let got = session.get_all(&Switch::attributes(settings)).ok()?;
    Some(Switch::of(&got))
}

/// A lost command is proved by a change alone: a supply that was so before may be so for another
/// reason.
fn confirmed(command: u16, before: Switch, now: Switch, accepted: bool) -> Option<ControlOutcome> {
    let (state, proved) = (now.supply(), accepted || now.supply() != before.supply());
    let done = match command {
        command::DISCONNECT => state == supply::DISCONNECTED,
        command::ALLOW_CONNECTION => {
            matches!(state, supply::READY_FOR_RECONNECTION | supply::CONNECTED)
        }
        // In a mode that waits for a hand, "ready" is all that the command does.
        _ => {
            state == supply::CONNECTED
                || (state == supply::READY_FOR_RECONNECTION && !now.closes_at_once())
        }
    };
    (done && proved).then_some(ControlOutcome::Confirmed(state))
}

/// What the mode says can never come of it.
fn impossible(command: u16, before: Switch) -> Option<Refusal> {
    let no = |detail: &str| {
        let (code, device_code) = (refusal::NO_SUCH_FUNCTION, None);
        Some(Refusal { code, detail: detail.to_owned(), device_code })
    };
    match (command, before.mode) {
        (_, Some(0)) => no("control mode 0: the meter never switches its supply"),
        (command::ALLOW_CONNECTION, Some(2 | 4)) => {
            no("this meter's control mode closes at once: there is nothing to allow")
        }
        _ => None,
    }
}
