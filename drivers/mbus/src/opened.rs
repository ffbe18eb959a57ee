//! The records of one telegram, deciphered by the vault where they are encrypted.
//!
//! Invariant: bytes that are encrypted become records only where the vault's key makes them begin as
//! the standard says.

use crate::exchange::Reply;
use polymeter_codec::mbus::{
    Data, Encryption, Fixed, Header, Item, Message, Order, Records, SecondaryAddress, message,
};
use polymeter_driver::codes::{error, vault::cipher};
use polymeter_driver::{Call, DriverError, Host, Key, Value};

pub const KEY_LABEL: &str = "key-label";
pub const KEY_DEFAULT: &str = "meter";

/// What a telegram says, as bytes that [`Told::items`] reads.
pub struct Told {
    pub header: Option<Header>,
    pub fixed: Option<Fixed>,
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
pub fn identity(reply: &Reply) -> Option<SecondaryAddress> {
    match message(reply.ci, &reply.data).ok()? {
        Message::Data(data) => data.header?.identity,
        Message::Fixed(_) | Message::Error(_) | Message::Other => None,
    }
}

/// `host` is `None` for a captured telegram, which nobody has a key for.
pub fn told(host: Option<(&mut dyn Host, &Call)>, reply: &Reply) -> Result<Told, DriverError> {
    let garbled = |why: String| DriverError::new(error::GARBLED, why);
    match message(reply.ci, &reply.data).map_err(|why| garbled(why.to_string()))? {
        Message::Fixed(fixed) => {
            Ok(Told { header: None, fixed: Some(fixed), plain: Vec::new(), order: Order::LowFirst })
        }
        Message::Error(no) => Err(DriverError {
            code: error::DEVICE_SAYS_NO,
            detail: no.name().to_owned(),
            device_code: Some(format!("{:02X}", no.0)),
        }),
        Message::Other => Err(garbled(format!("CI {:02X} is not read here", reply.ci))),
        Message::Data(data) => Ok(Told {
            header: data.header,
            fixed: None,
            plain: plain(host, &data)?,
            order: data.order(),
        }),
    }
}

fn plain(host: Option<(&mut dyn Host, &Call)>, data: &Data<'_>) -> Result<Vec<u8>, DriverError> {
    let encryption = data.encryption();
    if encryption == Encryption::None {
        return Ok(data.body().to_vec());
    }
    let unsupported = |why: String| DriverError::new(error::UNSUPPORTED, why);
    let Some((host, call)) = host else {
        return Err(unsupported(format!("the records are {encryption}")));
    };
    if !matches!(encryption, Encryption::Mode5 { .. }) {
        // Mode 7 needs the message counter of a layer that no wired meter was seen to send.
        return Err(unsupported(format!("the records are {encryption}")));
    }
    let sealed = data.sealed(None).map_err(|why| unsupported(why.to_string()))?;
    let label = match call.parameters.iter().find(|(name, _)| name == KEY_LABEL) {
        None => KEY_DEFAULT.to_owned(),
        Some((_, Value::Text(label))) => label.clone(),
        Some(_) => {
            let detail = format!("`{KEY_LABEL}` is a text");
            return Err(DriverError::new(error::BAD_PARAMETER, detail));
        }
    };
    let key = Key { label, path: vec![] };
    let opened = host.decrypt(&key, cipher::AES_CBC, &sealed.iv, &[], sealed.cipher)?;
    if let Err(wrong) = sealed.opened(&opened) {
        return Err(DriverError::new(error::VAULT, wrong.to_string()));
    }
    Ok([opened.as_slice(), sealed.plain].concat())
}
