//! A key check value: six digits by which two people tell that they hold the same key, and from
//! which nobody gets it. 3DES, AES and SM4: the first three bytes of a block of zeros encrypted; HMAC:
//! of the HMAC of nothing; DLMS: of both keys, joined by `+`; DES and EA11 of STS: of a block of zeros;
//! what else STS has: of the HMAC of nothing.

use crate::kind::Kind;
use crate::refused::Refused;
use crate::secret::Secret;
use crate::soft::{Direction, Key};

const DIGIT_BYTES: usize = 3;

pub fn of(key: &Key) -> Result<String, Refused> {
    let answer = match key.kind() {
        Kind::TripleDes => key.ecb(Direction::Encrypt, &[0; 8])?,
        Kind::Aes | Kind::KeyWrap | Kind::Sm4 => key.ecb(Direction::Encrypt, &[0; 16])?,
        Kind::Hmac | Kind::StsKdf | Kind::StsEa07 | Kind::StsTables => key.hmac(&[])?,
        Kind::StsDes => key.ecb(Direction::Encrypt, &[0; 8])?,
        Kind::StsEa11 => key.sts_encrypt(None, 0)?.to_be_bytes().to_vec(),
        Kind::Dlms => {
            let (encryption, authentication) = key.bytes().expose().split_at(key.bytes().len() / 2);
            let half = |bytes: &[u8]| {
                let length = bytes.len();
                Key::new(Kind::Aes, Secret::new(bytes.to_vec()))
                    .ok_or(Refused::BadLength { what: "a key", length })
                    .and_then(|key| of(&key))
            };
            return Ok(format!("{}+{}", half(encryption)?, half(authentication)?));
        }
    };
    Ok(shown(&answer))
}

/// The first bytes of such an answer.
pub fn shown(answer: &[u8]) -> String {
    answer.iter().take(DIGIT_BYTES).map(|byte| format!("{byte:02X}")).collect()
}
