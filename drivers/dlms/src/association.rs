//! How an association is opened (IEC 62056-5-3, 9.4): what is proposed, who we are, who the meter is.
//!
//! Invariant: with GMAC both sides have proved that they know the key before anything else is asked.
//! The counter is the meter's own, read by the public client, plus one: a driver remembers nothing
//! (ADR 0038).

use crate::cipher::Cipher;
use crate::link::{APDU_BYTES_MAX, Line, Link};
use crate::session::{Agreed, Session, expect};
use crate::settings::{PUBLIC_CLIENT, Security, Settings};
use polymeter_codec::dlms::acse::{
    Association, CURRENT_ASSOCIATION, InitiateRequest, InitiateResponse, Open, User,
};
use polymeter_codec::dlms::{Apdu, Attribute, Data, Method};
use polymeter_driver::codes::error;
use polymeter_driver::{Call, DriverError, Host};

const LOGICAL_NAMES: u8 = 1;
const CIPHERED: u8 = 3;
const LOW: u8 = 1;
const GMAC: u8 = 5;
/// GET with blocks and lists, SET, ACTION, selective access (IEC 62056-5-3, 9.5).
const CONFORMANCE: [u8; 3] = [0x00, 0x12, 0x1D];
/// Of the second byte: several attributes in one question; SET in blocks, proposed by whom writes.
const SEVERAL: u8 = 0x02;
const BLOCKS_OF_SET: u8 = 0x08;
/// AARE: more of the authentication is due.
const MORE_IS_DUE: u8 = 14;
const INITIATE_REQUEST: u8 = 0x21;
/// The beginning of our titles, where the parameter names none.
const MAKER: [u8; 3] = *b"PLM";
/// Who may be challenged with less than this many bytes, or with more, is no meter (9.2.7.2).
const CHALLENGE_BYTES: std::ops::RangeInclusive<usize> = 8..=64;

/// An open session as `settings` want it.
pub fn open<'a>(
    host: &'a mut dyn Host,
    settings: &Settings,
    call: &Call,
) -> Result<Session<'a>, DriverError> {
    over(Line::new(host), settings, call)
}

/// The same, over a line that may be limited.
pub fn over<'a>(
    mut line: Line<'a>,
    settings: &Settings,
    call: &Call,
) -> Result<Session<'a>, DriverError> {
    match &settings.security {
        Security::None => plain(line, settings, settings.client, None),
        Security::Low(password) => plain(line, settings, settings.client, Some(password)),
        Security::Gmac => {
            let (counter, sent) = counter(line.lent(), settings)?;
            line.spend(sent);
            proved(line, settings, call, counter)
        }
    }
}

/// Without ciphers: nobody, or somebody with a password.
fn plain<'a>(
    line: Line<'a>,
    settings: &Settings,
    client: u8,
    password: Option<&str>,
) -> Result<Session<'a>, DriverError> {
    let mut session = Session::new(Link::open(line, settings, client)?, None);
    greet(&mut session, settings, password)?;
    Ok(session)
}

/// Opens an association without ciphers over a link.
pub fn greet(
    session: &mut Session<'_>,
    settings: &Settings,
    password: Option<&str>,
) -> Result<(), DriverError> {
    let authentication = password.map(|password| (LOW, password.as_bytes()));
    let proposal = proposal(settings)?;
    let open = Open { context: LOGICAL_NAMES, title: None, authentication, proposal: &proposal };
    let answer = session.knock(&aarq(&open)?)?;
    let answer = accepted(&answer, LOGICAL_NAMES, 0)?;
    let Some(User::Response(response)) = answer.user else {
        return Err(garbled("an AARE without what is agreed to"));
    };
    session.agreed = agreed(&response);
    Ok(())
}

/// The highest counter that the meter has seen with the key, plus one, and how many frames were sent.
fn counter(line: Line<'_>, settings: &Settings) -> Result<(u32, u32), DriverError> {
    let mut session = plain(line, settings, PUBLIC_CLIENT, None)?;
    let object = settings.counter;
    let got = session.get(Attribute { class: 1, object, attribute: 2 })?;
    let sent = session.close();
    let counter = match got.data()? {
        Ok(Data::Unsigned { value, bytes: 4 }) => u32::try_from(value).ok(),
        _ => None,
    };
    let counter = counter.ok_or_else(|| {
        let why = "the public client is not told the key's counter: see the parameter `counter`";
        DriverError::new(error::NO_SUCH_DATA, why)
    })?;
    let next = counter.checked_add(1).ok_or_else(|| {
        DriverError::new(error::DEVICE_SAYS_NO, "the key's counter is used up: change the key")
    })?;
    Ok((next, sent))
}

/// With ciphers, both sides proved.
fn proved<'a>(
    line: Line<'a>,
    settings: &Settings,
    call: &Call,
    counter: u32,
) -> Result<Session<'a>, DriverError> {
    let challenge = call.nonce.as_slice();
    let cipher = Cipher::new(settings.key.clone(), title(settings, call), counter);
    let mut session = Session::new(Link::open(line, settings, settings.client)?, Some(cipher));
    let proposal = session.sealed(INITIATE_REQUEST, &proposal(settings)?)?;
    let open = Open {
        context: CIPHERED,
        title: session.title(),
        authentication: Some((GMAC, challenge)),
        proposal: &proposal,
    };
    let answer = session.knock(&aarq(&open)?)?;
    let answer = accepted(&answer, CIPHERED, MORE_IS_DUE)?;
    let title = answer.title.and_then(|title| title.try_into().ok());
    let title = title.ok_or_else(|| garbled("an AARE without a system title of 8 bytes"))?;
    let Some(Some(theirs)) =
        answer.authentication.map(|it| CHALLENGE_BYTES.contains(&it.len()).then_some(it))
    else {
        return Err(garbled("an AARE without a challenge of 8 to 64 bytes"));
    };
    let Some(User::Ciphered(sealed)) = answer.user else {
        return Err(garbled("an AARE whose agreement is not under the key"));
    };
    session.meet(title);
    let opened = session.opened(&sealed)?;
    match Apdu::decode(&opened) {
        Ok(Apdu::InitiateResponse(response)) => session.agreed = agreed(&response),
        _ => return Err(garbled("an AARE without what is agreed to")),
    }
    prove(&mut session, theirs, challenge)?;
    Ok(session)
}

/// Answers the meter's challenge, and judges its answer to ours.
fn prove(session: &mut Session<'_>, theirs: &[u8], ours: &[u8]) -> Result<(), DriverError> {
    let proof = session.proof(theirs)?;
    let method = Method { class: 15, object: CURRENT_ASSOCIATION, attribute: 1 };
    let done = session.act(method, Some(Data::Octets(&proof)))?;
    if done.refusal != 0 {
        let mut no = DriverError::new(error::DEVICE_SAYS_NO, "the meter does not take our proof");
        no.device_code = Some(format!("{:02X}", done.refusal));
        return Err(no);
    }
    let answer = done.answer.as_deref().map(Data::decode);
    match answer {
        Some(Ok(Data::Octets(proof))) => session.proves(proof, ours),
        _ => Err(garbled("the meter gives no proof")),
    }
}

/// As the parameter says; else ours and five bytes that no call before had. A meter looks at the
/// counter of a key, and not at whose it is; so a counter that was forged towards us makes no nonce
/// that was used before.
fn title(settings: &Settings, call: &Call) -> [u8; 8] {
    settings.title.unwrap_or_else(|| {
        let mut title = [0; 8];
        let bytes = MAKER.iter().chain(&call.nonce);
        title.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        title
    })
}

fn proposal(settings: &Settings) -> Result<Vec<u8>, DriverError> {
    let [first, mut second, third] = CONFORMANCE;
    if settings.writes {
        second |= BLOCKS_OF_SET;
    }
    let proposal = InitiateRequest {
        dedicated_key: None,
        response_allowed: true,
        quality: None,
        version: 6,
        conformance: [first, second, third],
        apdu_max: APDU_BYTES_MAX,
    };
    let mut bytes = vec![0; 32];
    let length = proposal.encode(&mut bytes).map_err(|why| garbled(&why.to_string()))?;
    bytes.truncate(length);
    Ok(bytes)
}

fn aarq(open: &Open<'_>) -> Result<Vec<u8>, DriverError> {
    let mut bytes = vec![0; 512];
    let length = open.encode(&mut bytes).map_err(|why| garbled(&why.to_string()))?;
    bytes.truncate(length);
    Ok(bytes)
}

fn agreed(response: &InitiateResponse) -> Agreed {
    let [_, second, _] = response.conformance;
    Agreed {
        several: second & SEVERAL != 0,
        blocks_of_set: second & BLOCKS_OF_SET != 0,
        apdu_bytes_max: response.apdu_max,
    }
}

/// The AARE, where it accepts what was asked for.
fn accepted(apdu: &[u8], context: u8, diagnostic: u8) -> Result<Association<'_>, DriverError> {
    let Apdu::Aare(answer) = expect(apdu)? else {
        return Err(DriverError::new(error::OTHER_DEVICE, "no AARE"));
    };
    let why = answer.diagnostic.unwrap_or(0);
    if answer.result != Some(0) {
        let reason = match why {
            2 => "the meter does not know this application context",
            11 => "the meter does not know this security",
            13 => "the meter does not take the password or the key",
            14 => "the meter wants a security",
            _ => "the meter rejects the association",
        };
        let mut no = DriverError::new(error::DEVICE_SAYS_NO, reason);
        no.device_code = Some(format!("{why:02X}"));
        return Err(no);
    }
    if answer.context != Some(context) || why != diagnostic {
        let told = format!("{:?} and {why}", answer.context.unwrap_or(0));
        let why = format!("an association of context and diagnostic {told}, not as asked for");
        return Err(DriverError::new(error::OTHER_DEVICE, why));
    }
    Ok(answer)
}

fn garbled(why: &str) -> DriverError {
    DriverError::new(error::GARBLED, why)
}
