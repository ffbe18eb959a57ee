//! A wireless telegram opened as far as its published key goes: whose it is, and its records.

use super::radio_keys::{chained, code, counted, key};
use polymeter_codec::mbus::wireless::Frame;
use polymeter_codec::mbus::{
    CompactFrame, Data, Derived, Encryption, Layers, Message, NotExpanded, SecondaryAddress, Upper,
    layers, message, mode_7_derivation, signature,
};

pub const VENDORS_CI: &str = "the CI (A0 to B7) announces the vendor's own protocol, of which the \
                              standard says nothing: whose telegram it is was compared";
pub const NO_RECORDS: &str = "the telegram has no record at all, only data of the vendor (DIF 0F, or \
                              VIF FF with its own inside), which wmbusmeters' driver knows";
pub const NO_KEY: &str = "it is encrypted, and no key is published";
pub const OTHER_MODE: &str = "it is encrypted in a mode that is not read here (mode 2, DES): named, \
                              not decoded";
pub const NO_FORMAT: &str = "a compact frame whose codes stand in no full telegram of the file; \
                             wmbusmeters has a built-in list of them";
pub const BAD_CHECK: &str = "a compact frame whose checksum is not that of its values (it is that of the \
                             full telegram before it): wmbusmeters tells them, we do not";
pub const OTHER_CI: &str = "the CI is of the standard, but carries no records of EN 13757-3";

/// What one telegram says.
#[derive(Debug, Default)]
pub struct Heard {
    /// By radio, and by its own header where it has one.
    pub identities: Vec<SecondaryAddress>,
    /// Access number and status, where there is a header.
    pub header: Option<(u8, u8)>,
    /// Records, in the clear.
    pub plain: Vec<u8>,
    /// Why there are none.
    pub unread: Option<&'static str>,
    /// The authentication code was looked at, and is right.
    pub proved: bool,
}

/// `formats`: records of full telegrams, by the signature of their codes.
pub type Formats = std::collections::BTreeMap<u16, Vec<u8>>;

/// One telegram without checksums. An error is what the decoder says of it.
pub fn hear(bytes: &[u8], published: Option<&[u8]>, formats: &Formats) -> Result<Heard, String> {
    let frame = Frame::new(bytes).map_err(|why| why.to_string())?;
    let mut heard = Heard { identities: vec![frame.sender], ..Heard::default() };
    let key = published.and_then(key);
    if (0xA0..=0xB7).contains(&frame.ci) {
        heard.unread = Some(VENDORS_CI);
        return Ok(heard);
    }
    let upper = layers(frame.ci, frame.data, Some(frame.sender)).map_err(|why| why.to_string())?;
    let opened;
    let told = match upper {
        Upper::Open(told) => told,
        Upper::Closed(closed) => {
            let Some(key) = key else {
                heard.unread = Some(NO_KEY);
                return Ok(heard);
            };
            opened = counted(&key, &closed.iv, closed.cipher);
            closed.opened(&opened).map_err(|why| why.to_string())?
        }
    };
    said(&mut heard, &told, key.as_ref(), formats)?;
    Ok(heard)
}

fn said(
    heard: &mut Heard,
    told: &Layers<'_>,
    key: Option<&[u8; 16]>,
    formats: &Formats,
) -> Result<(), String> {
    let (data, compact) = match message(told.ci, told.data).map_err(|why| why.to_string())? {
        Message::Data(data) => (data, false),
        Message::Compact(compact) => (compact.data(), true),
        Message::Fixed(_) | Message::Error(_) | Message::Other => {
            heard.unread = Some(OTHER_CI);
            return Ok(());
        }
    };
    if let Some(header) = data.header {
        heard.header = Some((header.access, header.status.0));
        heard.identities.extend(header.identity);
    }
    let radio = heard.identities[0];
    let meter = *heard.identities.last().unwrap_or(&radio);
    if let (Some(key), Some(authentication)) = (key, told.authentication) {
        let proof = authentication.proof().map_err(|why| why.to_string())?;
        let from = mode_7_derivation(Derived::CodeFromDevice, proof.counter, meter.number());
        let covered: Vec<u8> = proof.covered().collect();
        if !proof.is_proved_by(&code(&code(key, &from), &covered)) {
            return Err("the authentication code is another one".to_owned());
        }
        heard.proved = true;
    }
    let counter = told.authentication.and_then(|authentication| authentication.counter);
    let Some(plain) = plain(&data, radio, counter, key)? else {
        heard.unread = Some(match data.encryption() {
            Encryption::Other { .. } => OTHER_MODE,
            _ => NO_KEY,
        });
        return Ok(());
    };
    if !compact {
        heard.plain = plain;
        return Ok(());
    }
    let frame = CompactFrame::new(&plain).map_err(|why| why.to_string())?;
    match formats.get(&frame.signature) {
        None => heard.unread = Some(NO_FORMAT),
        Some(full) => match frame.expanded(full, &mut [0; 512]) {
            Ok(records) => heard.plain = records.to_vec(),
            Err(NotExpanded::Checksum { .. }) => heard.unread = Some(BAD_CHECK),
            Err(why) => return Err(why.to_string()),
        },
    }
    Ok(())
}

/// `None`: encrypted, and not to be opened.
fn plain(
    data: &Data<'_>,
    radio: SecondaryAddress,
    counter: Option<[u8; 4]>,
    key: Option<&[u8; 16]>,
) -> Result<Option<Vec<u8>>, String> {
    match data.encryption() {
        Encryption::None => return Ok(Some(data.body().to_vec())),
        Encryption::Other { .. } => return Ok(None),
        Encryption::Mode5 { .. } | Encryption::Mode7 { .. } => {}
    }
    let sealed = data.sealed(Some(radio), counter).map_err(|why| why.to_string())?;
    // Most were written down by a program that had deciphered them.
    if sealed.opened(sealed.cipher).is_ok() {
        return Ok(Some([sealed.cipher, sealed.plain].concat()));
    }
    let Some(key) = key else { return Ok(None) };
    let key = sealed.derivation.map_or(*key, |from| code(key, &from));
    let opened = chained(&key, &sealed.iv, sealed.cipher);
    sealed.opened(&opened).map_err(|why| why.to_string())?;
    Ok(Some([opened.as_slice(), sealed.plain].concat()))
}

/// Learns the codes of a full telegram.
pub fn learn(formats: &mut Formats, plain: &[u8]) {
    if let Ok(signature) = signature(plain) {
        formats.entry(signature).or_insert_with(|| plain.to_vec());
    }
}
