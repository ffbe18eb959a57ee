//! The records of one telegram, deciphered by the vault where they are encrypted.
//!
//! Invariant: bytes that are encrypted become records only where the vault's key makes them begin as
//! the standard says, and, where a code is sent with them, only where the vault makes the same code.

use crate::exchange::Reply;
use polymeter_codec::mbus::{
    Authentication, BadLayer, Data, Derived, Encryption, Fixed, Header, Item, Layers, Message,
    Order, Records, Sealed, SecondaryAddress, Upper, layers, message, mode_7_derivation,
};
use polymeter_driver::codes::{error, vault};
use polymeter_driver::{Call, Diversification, DriverError, Host, Key, Value};

pub const KEY_LABEL: &str = "key-label";
pub const KEY_DEFAULT: &str = "meter";

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    pub ci: u8,
    pub data: &'a [u8],
    /// Whose radio sent it; `None` on a wire.
    pub sender: Option<SecondaryAddress>,
}

impl<'a> From<&'a Reply> for Came<'a> {
    fn from(reply: &'a Reply) -> Came<'a> {
        Came { ci: reply.ci, data: &reply.data, sender: None }
    }
}

/// What a telegram says, as bytes that [`Told::items`] reads.
pub struct Told {
    pub header: Option<Header>,
    pub fixed: Option<Fixed>,
    /// It says that it is encrypted, and is not: whoever captured it had the key.
    pub came_deciphered: bool,
    plain: Vec<u8>,
    order: Order,
}

impl Told {
    /// Every element; an error says where the data stops being records.
    pub fn items(&self) -> Result<Vec<Item<'_>>, String> {
        Records::new(&self.plain, self.order)
            .collect::<Result<_, _>>()
            .map_err(|why| why.to_string())
    }
}

/// Who sent it, where the header tells; encrypted records do not hide whose they are.
pub fn identity(came: Came<'_>) -> Option<SecondaryAddress> {
    let Ok(Upper::Open(told)) = layers(came.ci, came.data, came.sender) else { return None };
    match message(told.ci, told.data).ok()? {
        Message::Data(data) => data.header?.identity,
        Message::Compact(compact) => compact.header()?.identity,
        Message::Fixed(_) | Message::Error(_) | Message::Other => None,
    }
}

fn garbled(why: impl ToString) -> DriverError {
    DriverError::new(error::GARBLED, why.to_string())
}

fn unsupported(why: impl ToString) -> DriverError {
    DriverError::new(error::UNSUPPORTED, why.to_string())
}

/// `host` is `None` for a captured telegram, which nobody has a key for.
pub fn told(host: Option<(&mut dyn Host, &Call)>, came: Came<'_>) -> Result<Told, DriverError> {
    let below = match layers(came.ci, came.data, came.sender) {
        Ok(Upper::Open(below)) => below,
        // Wires have no such layer, and nobody has a key for what a radio heard.
        Ok(Upper::Closed(_)) | Err(BadLayer::NoSender) => {
            return Err(unsupported("the extended link layer is encrypted"));
        }
        Err(why @ (BadLayer::Fragment { .. } | BadLayer::LinkSecurity(_))) => {
            return Err(unsupported(why));
        }
        Err(why) => return Err(garbled(why)),
    };
    let link_deciphered = below.link.is_some_and(|link| link.came_deciphered);
    match message(below.ci, below.data).map_err(garbled)? {
        Message::Fixed(fixed) => Ok(Told {
            header: None,
            fixed: Some(fixed),
            came_deciphered: link_deciphered,
            plain: Vec::new(),
            order: Order::LowFirst,
        }),
        Message::Error(no) => Err(DriverError {
            code: error::DEVICE_SAYS_NO,
            detail: no.name().to_owned(),
            device_code: Some(format!("{:02X}", no.0)),
        }),
        Message::Compact(_) => {
            Err(unsupported("a compact frame: its codes stand in a full telegram of the meter"))
        }
        Message::Other => Err(garbled(format!("CI {:02X} is not read here", below.ci))),
        Message::Data(data) => {
            let (plain, came_deciphered) = plain(host, &below, &data, came.sender)?;
            // Behind a short header it is the sender's own.
            let header = data
                .header
                .map(|header| Header { identity: header.identity.or(came.sender), ..header });
            let came_deciphered = came_deciphered || link_deciphered;
            Ok(Told { header, fixed: None, came_deciphered, plain, order: data.order() })
        }
    }
}

/// The records, and whether they came deciphered.
fn plain(
    host: Option<(&mut dyn Host, &Call)>,
    below: &Layers<'_>,
    data: &Data<'_>,
    sender: Option<SecondaryAddress>,
) -> Result<(Vec<u8>, bool), DriverError> {
    let encryption = data.encryption();
    if encryption == Encryption::None {
        return Ok((data.body().to_vec(), false));
    }
    let counter = below.authentication.and_then(|layer| layer.counter);
    let sealed = data.sealed(sender, counter);
    let Some((host, call)) = host else {
        // Without a key they are read only where they came in the clear.
        return match sealed {
            Ok(sealed) if sealed.opened(sealed.cipher).is_ok() => {
                Ok(([sealed.cipher, sealed.plain].concat(), true))
            }
            _ => Err(unsupported(format!("the records are {encryption}"))),
        };
    };
    let sealed = sealed.map_err(unsupported)?;
    let label = label(call)?;
    let number = data.header.and_then(|header| header.identity.or(sender));
    if let (Encryption::Mode7 { .. }, Some(layer), Some(meter)) =
        (encryption, &below.authentication, number)
    {
        prove(host, &label, layer, meter)?;
    }
    Ok((deciphered(host, label, &sealed)?, false))
}

/// Whether the code that was sent is the one that the key makes; a message without one is judged by how
/// it begins alone.
fn prove(
    host: &mut dyn Host,
    label: &str,
    layer: &Authentication<'_>,
    meter: SecondaryAddress,
) -> Result<(), DriverError> {
    if layer.mac.is_empty() {
        return Ok(());
    }
    let proof = layer.proof().map_err(unsupported)?;
    let factor = mode_7_derivation(Derived::CodeFromDevice, proof.counter, meter.number());
    let key = derived(label.to_owned(), Some(factor));
    let covered: Vec<u8> = proof.covered().collect();
    let code = host.mac(&key, vault::mac::AES_CMAC, &[], &covered)?;
    if proof.is_proved_by(&code) {
        return Ok(());
    }
    let detail =
        "the authentication code is another one: the key is wrong, or the message was changed";
    Err(DriverError::new(error::VAULT, detail))
}

fn deciphered(
    host: &mut dyn Host,
    label: String,
    sealed: &Sealed<'_>,
) -> Result<Vec<u8>, DriverError> {
    let key = derived(label, sealed.derivation);
    let opened = host.decrypt(&key, vault::cipher::AES_CBC, &sealed.iv, &[], sealed.cipher)?;
    if let Err(wrong) = sealed.opened(&opened) {
        return Err(DriverError::new(error::VAULT, wrong.to_string()));
    }
    Ok([opened.as_slice(), sealed.plain].concat())
}

/// The meter's key, or the one that is derived from it for one message.
fn derived(label: String, factor: Option<[u8; 16]>) -> Key {
    let step = factor.map(|factor| Diversification {
        algorithm: vault::diversification::AES_CMAC,
        factor: factor.to_vec(),
    });
    Key { label, path: step.into_iter().collect() }
}

fn label(call: &Call) -> Result<String, DriverError> {
    match call.parameters.iter().find(|(name, _)| name == KEY_LABEL) {
        None => Ok(KEY_DEFAULT.to_owned()),
        Some((_, Value::Text(label))) => Ok(label.clone()),
        Some(_) => {
            let detail = format!("`{KEY_LABEL}` is a text");
            Err(DriverError::new(error::BAD_PARAMETER, detail))
        }
    }
}
