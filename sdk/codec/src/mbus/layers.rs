//! What stands between the link and a message: the extended link layer (EN 13757-4:2013, clause 12;
//! CI 8C to 8F), and above it that of authentication.
//!
//! Invariant: data behind a checksum is given out only where the checksum is right.
//!
//! Not here: the cipher. This says what the vault is to decipher and judges what came of it.

use super::authentication::Authentication;
use super::identity::SecondaryAddress;
use super::wireless::crc;
use core::fmt;

/// Control information of the layers here (EN 13757-7:2018, table 2).
pub mod layer_ci {
    /// Access and control alone.
    pub const LINK_I: u8 = 0x8C;
    /// With session and checksum, which may be encrypted.
    pub const LINK_II: u8 = 0x8D;
    /// With the address of the other side.
    pub const LINK_III: u8 = 0x8E;
    /// With both.
    pub const LINK_IV: u8 = 0x8F;
    /// Authentication and fragments.
    pub const AUTHENTICATION: u8 = 0x90;
}

/// The extended link layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkExtension {
    /// The communication control field.
    pub control: u8,
    /// Counts telegrams.
    pub access: u8,
    /// Who is meant, where it is told.
    pub other_side: Option<SecondaryAddress>,
    /// Session number, low byte first, where there is one.
    pub session: Option<[u8; 4]>,
    /// The session is an encrypted one, but the bytes came deciphered: their checksum is right as
    /// they stand.
    pub came_deciphered: bool,
}

/// The layers below a message, and the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers<'a> {
    /// Of the extended link, where there is one.
    pub link: Option<LinkExtension>,
    /// Of authentication, where there is one.
    pub authentication: Option<Authentication<'a>>,
    /// What the message is.
    pub ci: u8,
    /// What follows its CI.
    pub data: &'a [u8],
}

/// What stands behind a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upper<'a> {
    /// A message.
    Open(Layers<'a>),
    /// The extended link layer is encrypted.
    Closed(Closed<'a>),
}

/// What the vault has to decipher: AES-128 in counter mode. Any key makes bytes of it; the checksum
/// tells whether they are the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed<'a> {
    /// The layer itself.
    pub link: LinkExtension,
    /// The first counter block.
    pub iv: [u8; 16],
    /// Checksum, CI and data, as encrypted.
    pub cipher: &'a [u8],
}

/// Which layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The extended link.
    Link,
    /// Authentication and fragments.
    Authentication,
    /// What follows them.
    Message,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layer::Link => "extended link layer",
            Layer::Authentication => "authentication layer",
            Layer::Message => "message",
        })
    }
}

/// Why there is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLayer {
    /// Fewer bytes than the layer has.
    Cut {
        /// Which one.
        layer: Layer,
        /// Bytes that it has.
        needed: usize,
        /// Bytes that there are.
        came: usize,
    },
    /// The same layer stands in it twice.
    Twice(Layer),
    /// The checksum of the extended link layer is not that of the bytes.
    Checksum {
        /// What the layer says.
        told: u16,
        /// What the bytes make.
        made: u16,
    },
    /// What was deciphered has another checksum: the key is another one.
    WrongKey,
    /// A security mode of the extended link layer that is not read here.
    LinkSecurity(u8),
    /// Whose radio sent it is not told, without which there is no initial vector.
    NoSender,
    /// The authentication layer's length is not that of its fields.
    AuthenticationLength {
        /// What it says.
        told: u8,
        /// What its fields have at least.
        fields: usize,
    },
    /// A code of another length than its type says.
    MacLength {
        /// Of authentication, by the message control field.
        kind: u8,
        /// Bytes that there are.
        came: usize,
    },
    /// A part of a message.
    Fragment {
        /// Which one, from 1.
        number: u8,
    },
}

impl fmt::Display for BadLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadLayer::Cut { layer, needed, came } => {
                write!(f, "the {layer} has at least {needed} bytes, and {came} came")
            }
            BadLayer::Twice(layer) => write!(f, "there are two of the {layer}"),
            BadLayer::Checksum { told, made } => {
                write!(f, "the extended link layer's checksum is {told:04X}, its data's {made:04X}")
            }
            BadLayer::WrongKey => {
                f.write_str("what was deciphered has another checksum: the key is wrong")
            }
            BadLayer::LinkSecurity(mode) => {
                write!(f, "security mode {mode} of the extended link layer is not read here")
            }
            BadLayer::NoSender => {
                f.write_str("the extended link layer is encrypted, and whose it is was not told")
            }
            BadLayer::AuthenticationLength { told, fields } => {
                write!(f, "the authentication layer says {told} bytes, its fields have {fields}")
            }
            BadLayer::MacLength { kind, came } => {
                write!(f, "authentication of type {kind} has no code of {came} bytes")
            }
            BadLayer::Fragment { number } => {
                write!(f, "only part {number} of a message in several telegrams came")
            }
        }
    }
}

impl core::error::Error for BadLayer {}

/// Goes up to the message. `sender` is whose radio sent it, for the initial vector of an encrypted
/// link; a wired meter has no such layer.
///
/// ```
/// use polymeter_codec::mbus::{Upper, layers};
///
/// let Ok(Upper::Open(told)) = layers(0x8C, &[0x20, 0x75, 0x78, 0x01, 0x13, 0x07], None) else {
///     panic!("a message")
/// };
/// assert_eq!((told.ci, told.data), (0x78, &[0x01, 0x13, 0x07][..]));
/// assert_eq!(told.link.map(|link| link.access), Some(0x75));
/// ```
pub fn layers(
    ci: u8,
    data: &[u8],
    sender: Option<SecondaryAddress>,
) -> Result<Upper<'_>, BadLayer> {
    if !(layer_ci::LINK_I..=layer_ci::LINK_IV).contains(&ci) {
        return above(None, ci, data).map(Upper::Open);
    }
    let (mut link, rest) = extension(ci, data)?;
    let Some(session) = link.session else {
        let (ci, data) = message_of(rest)?;
        return above(Some(link), ci, data).map(Upper::Open);
    };
    let [.., high] = session;
    // The top three bits (EN 13757-4:2013, clause 12, session number field).
    let security = high >> 5;
    if security > 1 {
        return Err(BadLayer::LinkSecurity(security));
    }
    let (told, made, behind) = checked(rest)?;
    if told == made {
        link.came_deciphered = security == 1;
        let (ci, data) = message_of(behind)?;
        return above(Some(link), ci, data).map(Upper::Open);
    }
    if security == 0 {
        return Err(BadLayer::Checksum { told, made });
    }
    let sender = sender.ok_or(BadLayer::NoSender)?;
    Ok(Upper::Closed(Closed { link, iv: counter_block(sender, &link, session), cipher: rest }))
}

impl Closed<'_> {
    /// The message in what `deciphered` says, which is `cipher` deciphered.
    pub fn opened<'b>(&self, deciphered: &'b [u8]) -> Result<Layers<'b>, BadLayer> {
        if deciphered.len() != self.cipher.len() {
            return Err(BadLayer::WrongKey);
        }
        let (told, made, behind) = checked(deciphered)?;
        if told != made {
            return Err(BadLayer::WrongKey);
        }
        let (ci, data) = message_of(behind)?;
        above(Some(self.link), ci, data)
    }
}

/// Bits of the communication control field that a repeater sets, and that are therefore not part of
/// the counter block: hop count and repeated access (EN 13757-4:2013, clause 12).
const SET_BY_REPEATERS: u8 = 0x12;

/// Vendor, address, control field, session, then number of frame and block (EN 13757-4:2013, clause 12).
fn counter_block(sender: SecondaryAddress, link: &LinkExtension, session: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d, m0, m1, version, medium] = sender.to_wire();
    let [s0, s1, s2, s3] = session;
    let control = link.control & !SET_BY_REPEATERS;
    [m0, m1, a, b, c, d, version, medium, control, s0, s1, s2, s3, 0, 0, 0]
}

fn extension(ci: u8, data: &[u8]) -> Result<(LinkExtension, &[u8]), BadLayer> {
    let (with_session, with_address) = match ci {
        layer_ci::LINK_II => (true, false),
        layer_ci::LINK_III => (false, true),
        layer_ci::LINK_IV => (true, true),
        _ => (false, false),
    };
    let needed = 2_usize
        .saturating_add(if with_session { 4 } else { 0 })
        .saturating_add(if with_address { 8 } else { 0 });
    let cut = BadLayer::Cut { layer: Layer::Link, needed, came: data.len() };
    let ([control, access], mut rest) = data.split_first_chunk::<2>().ok_or(cut)?;
    let mut link = LinkExtension {
        control: *control,
        access: *access,
        other_side: None,
        session: None,
        came_deciphered: false,
    };
    if with_address {
        let (address, more) = rest.split_first_chunk::<8>().ok_or(cut)?;
        let [m0, m1, a, b, c, d, version, medium] = *address;
        let wire = [a, b, c, d, m0, m1, version, medium];
        link.other_side = Some(SecondaryAddress::from_wire(wire));
        rest = more;
    }
    if with_session {
        let (session, more) = rest.split_first_chunk::<4>().ok_or(cut)?;
        link.session = Some(*session);
        rest = more;
    }
    Ok((link, rest))
}

/// The checksum that begins `bytes`, low byte first; that of what follows; and what follows.
fn checked(bytes: &[u8]) -> Result<(u16, u16, &[u8]), BadLayer> {
    let cut = BadLayer::Cut { layer: Layer::Link, needed: 2, came: bytes.len() };
    let (told, behind) = bytes.split_first_chunk::<2>().ok_or(cut)?;
    Ok((u16::from_le_bytes(*told), crc(behind), behind))
}

fn message_of(bytes: &[u8]) -> Result<(u8, &[u8]), BadLayer> {
    let cut = BadLayer::Cut { layer: Layer::Message, needed: 1, came: 0 };
    bytes.split_first().map(|(ci, data)| (*ci, data)).ok_or(cut)
}

/// Above the extended link.
fn above(link: Option<LinkExtension>, ci: u8, data: &[u8]) -> Result<Layers<'_>, BadLayer> {
    match ci {
        layer_ci::LINK_I..=layer_ci::LINK_IV => Err(BadLayer::Twice(Layer::Link)),
        layer_ci::AUTHENTICATION => {
            let authentication = Authentication::new(data)?;
            let (ci, data) = message_of(authentication.message())?;
            match ci {
                layer_ci::AUTHENTICATION => Err(BadLayer::Twice(Layer::Authentication)),
                layer_ci::LINK_I..=layer_ci::LINK_IV => Err(BadLayer::Twice(Layer::Link)),
                _ => Ok(Layers { link, authentication: Some(authentication), ci, data }),
            }
        }
        _ => Ok(Layers { link, authentication: None, ci, data }),
    }
}
