//! Keys and signatures in the forms of minisign, so that its programs and ours read each other.
//!
//! Invariant: a signature is taken in one spelling only: prehashed, its untrusted comment (which no
//! key covers) the one that minisign writes by default, every line as it would be written again.
//! Not here: which keys are trusted.

use ct_codecs::{Base64, Decoder as _};
use minisign::{KeyPair, SecretKeyBox, SignatureBox};
use std::fmt;
use std::io::Cursor;

/// No key covers this line, so it is the same in every package.
const UNTRUSTED_COMMENT: &str = "signature from minisign secret key";
/// 64 bytes in base64: 86 digits and two signs of padding.
const COMMENT_SIGNATURE_DIGITS: usize = 88;
/// A secret key's text in base64 begins with its algorithms; this one says that a password is on it.
const PROTECTED: &str = "RWRTY0Iy";

/// Why a text is no key that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("is no public key of minisign: write its line that begins with RW")]
    Public,
    #[error("is no secret key of minisign: make one with polymeter-sdk keygen")]
    Secret,
    #[error("is protected by a password, and none was given")]
    PasswordWanted,
    #[error("is protected by another password")]
    WrongPassword,
    #[error("could not be made: {0}")]
    NotMade(String),
}

/// Eight bytes that name a key; minisign prints them as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

impl KeyId {
    fn new(bytes: &[u8]) -> KeyId {
        KeyId(bytes.iter().rev().fold(0, |id, byte| (id << 8) | u64::from(*byte)))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// What a vendor publishes, and an admin pins.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(minisign::PublicKey);

impl PublicKey {
    /// The line that begins with RW, alone or in the two lines of a `.pub` file.
    pub fn parse(text: &str) -> Result<PublicKey, BadKey> {
        let line = text.trim().lines().last().unwrap_or_default().trim();
        let key = minisign::PublicKey::from_base64(line).map_err(|_| BadKey::Public)?;
        // `Ed` is the only algorithm there is; a text that is not spelled so is no key.
        let is_canonical = key.to_base64() == line && key.to_bytes().starts_with(b"Ed");
        if is_canonical { Ok(PublicKey(key)) } else { Err(BadKey::Public) }
    }

    pub fn id(&self) -> KeyId {
        KeyId::new(self.0.keynum())
    }

    /// Whether `signature`, the text of a `.minisig` file, is this key's of `text`.
    pub fn has_signed(&self, text: &str, signature: &str) -> bool {
        Signature::adopt(signature).is_ok_and(|signature| signature.is_of(text, self))
    }

    /// The text of a `.pub` file.
    pub fn to_file(&self) -> String {
        format!("untrusted comment: minisign public key {}\n{self}\n", self.id())
    }
}

/// The line that begins with RW.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// What a vendor keeps to itself. Never printed.
pub struct SecretKey(minisign::SecretKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, [redacted])", KeyId::new(self.0.keynum()))
    }
}

impl SecretKey {
    /// The text of a new secret key's file, and its public key. Without a password the text is the
    /// key.
    pub fn generate(password: Option<String>) -> Result<(String, PublicKey), BadKey> {
        let wrong = |error: minisign::PError| BadKey::NotMade(error.to_string());
        let pair = match password {
            None => KeyPair::generate_unencrypted_keypair().map_err(wrong)?,
            password => KeyPair::generate_encrypted_keypair(password).map_err(wrong)?,
        };
        let comment = "minisign secret key of a driver's vendor";
        let text = pair.sk.to_box(Some(comment)).map_err(wrong)?.into_string();
        Ok((text, PublicKey(pair.pk)))
    }

    /// Whether the text of a secret key's file needs a password.
    pub fn is_protected(text: &str) -> bool {
        text.lines().nth(1).is_some_and(|line| line.starts_with(PROTECTED))
    }

    /// From the text of its file, as minisign writes it.
    pub fn parse(text: &str, password: Option<String>) -> Result<SecretKey, BadKey> {
        let boxed = SecretKeyBox::from_string(text).map_err(|_| BadKey::Secret)?;
        if !Self::is_protected(text) {
            let key = boxed.into_unencrypted_secret_key().ok().or_else(|| without_checksum(text));
            return key.map(SecretKey).ok_or(BadKey::Secret);
        }
        // Without a password minisign would ask for one at the terminal.
        let password = password.ok_or(BadKey::PasswordWanted)?;
        boxed.into_secret_key(Some(password)).map(SecretKey).map_err(|error| match error.kind() {
            minisign::ErrorKind::Verify => BadKey::WrongPassword,
            _ => BadKey::Secret,
        })
    }

    pub fn public(&self) -> Result<PublicKey, BadKey> {
        minisign::PublicKey::from_secret_key(&self.0).map(PublicKey).map_err(|_| BadKey::Secret)
    }

    /// The text of a `.minisig` file for a text that lies beside it. `comment` is shown to people and
    /// covered by the signature.
    pub fn sign_text(&self, text: &str, comment: &str) -> Result<String, BadKey> {
        Ok(self.sign(text, comment)?.text().to_owned())
    }

    /// `comment` is shown to people and covered by the signature.
    pub(crate) fn sign(&self, data: &str, comment: &str) -> Result<Signature, BadKey> {
        let wrong = |error: minisign::PError| BadKey::NotMade(error.to_string());
        // With its public half, by which a damaged key is found before anybody is given a signature.
        let public = self.public()?;
        let data = Cursor::new(data.as_bytes());
        let (comment, untrusted) = (Some(comment), Some(UNTRUSTED_COMMENT));
        let made =
            minisign::sign(Some(&public.0), &self.0, data, comment, untrusted).map_err(wrong)?;
        Signature::parse(&made.into_string()).map_err(BadKey::NotMade)
    }
}

/// A key without a password as Debian's minisign 0.11 writes it: zeros where the checksum should be.
fn without_checksum(text: &str) -> Option<minisign::SecretKey> {
    let bytes = Base64::decode_to_vec(text.lines().nth(1)?, None).ok()?;
    let is_such = bytes.starts_with(b"Ed\0\0B2") && bytes.ends_with(&[0; 32]);
    if is_such { minisign::SecretKey::from_bytes(&bytes).ok() } else { None }
}

/// A signature of `contents`, or of a text that is no package.
#[derive(Clone)]
pub(crate) struct Signature {
    parsed: SignatureBox,
    text: String,
}

impl Signature {
    /// In the one spelling that a package may hold.
    pub fn parse(text: &str) -> Result<Signature, String> {
        let parsed = SignatureBox::from_string(text).map_err(|error| error.to_string())?;
        if !parsed.is_prehashed() {
            return Err("it is of the old kind that is not prehashed".to_owned());
        }
        if parsed.untrusted_comment().is_ok_and(|comment| comment != UNTRUSTED_COMMENT) {
            return Err(format!("its first line is not `untrusted comment: {UNTRUSTED_COMMENT}`"));
        }
        // A shorter one would be read past its end, a longer one only in part.
        let last = text.lines().nth(3).unwrap_or_default();
        if last.len() != COMMENT_SIGNATURE_DIGITS || !last.ends_with("==") {
            return Err("its last line is not a signature of 64 bytes".to_owned());
        }
        if parsed.to_string() != text {
            return Err("it is not spelled as minisign spells it".to_owned());
        }
        Ok(Signature { parsed, text: text.to_owned() })
    }

    /// From a file that minisign wrote, whatever untrusted comment it was told to write.
    pub fn adopt(text: &str) -> Result<Signature, String> {
        let (_, rest) = text.split_once('\n').ok_or("it has fewer than four lines")?;
        Signature::parse(&format!("untrusted comment: {UNTRUSTED_COMMENT}\n{rest}"))
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn key(&self) -> KeyId {
        KeyId::new(self.parsed.keynum())
    }

    pub fn is_of(&self, data: &str, key: &PublicKey) -> bool {
        let data = Cursor::new(data.as_bytes());
        minisign::verify(&key.0, &self.parsed, data, true, false, false).is_ok()
    }
}
