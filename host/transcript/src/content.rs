//! Bytes that may be a secret.
//!
//! Invariant: masked bytes cannot be had back; they can be recognised.

use sha2::{Digest, Sha256};

/// Enough to tell two contents apart by accident or malice, and half of what a search over all keys
/// would need.
const DIGEST_BYTES: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Plain(Vec<u8>),
    Masked {
        length: usize,
        /// The first bytes of SHA-256 over the content.
        digest: [u8; DIGEST_BYTES],
    },
}

impl Content {
    pub fn masked(bytes: &[u8]) -> Content {
        let mut digest = [0; DIGEST_BYTES];
        digest.iter_mut().zip(Sha256::digest(bytes)).for_each(|(to, from)| *to = from);
        Content::Masked { length: bytes.len(), digest }
    }

    /// Whether these bytes are the content, as far as can be told.
    pub fn is(&self, bytes: &[u8]) -> bool {
        match self {
            Content::Plain(content) => content == bytes,
            Content::Masked { .. } => *self == Content::masked(bytes),
        }
    }

    /// The content as it may be seen by anybody.
    #[must_use]
    pub fn hidden(self) -> Content {
        match self {
            Content::Plain(content) => Content::masked(&content),
            masked @ Content::Masked { .. } => masked,
        }
    }
}
