//! Whose signature makes a package fit to be loaded.
//!
//! Invariant: with a pinned signer no signature but its own, of these very bytes, passes; without a
//! signature, or without a pinned signer, nothing passes unless the admin said `allow-unsigned`.

use crate::error::{Flaw, Role};
use crate::keys::{KeyId, PublicKey, Signature};
use polymeter_domain::VendorCode;

/// What the admin has decided for the meters of one vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The vendor code that the driver is configured for; the manifest must name it.
    pub vendor: VendorCode,
    /// Keys of the vendor, of which one must have signed. More than one while it changes keys.
    pub signers: Vec<PublicKey>,
    /// The operator's own key, where packages must have been looked at in house too.
    pub counter_signer: Option<PublicKey>,
    /// Take a package that nobody vouches for, as long as no key of this vendor is pinned or the
    /// package bears no signature at all.
    pub allow_unsigned: bool,
}

/// How a package came to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Signed {
        signer: KeyId,
        counter_signer: Option<KeyId>,
    },
    /// Taken because `allow-unsigned` said so; to be shown in red wherever the driver is shown.
    Unsigned {
        /// The key that it claims to be signed by, which nobody pins.
        claimed: Option<KeyId>,
    },
    /// Looked at without any pins; not to be loaded for meters.
    Unchecked {
        claimed: Option<KeyId>,
    },
}

impl Verdict {
    pub fn is_signed(&self) -> bool {
        self.signer().is_some()
    }

    /// The pinned key that signed it; `None`: nobody whom the admin knows.
    pub fn signer(&self) -> Option<KeyId> {
        match self {
            Verdict::Signed { signer, .. } => Some(*signer),
            Verdict::Unsigned { .. } | Verdict::Unchecked { .. } => None,
        }
    }
}

impl Trust {
    pub(crate) fn judge(
        &self,
        contents: &str,
        signature: Option<&Signature>,
        counter_signature: Option<&Signature>,
    ) -> Result<Verdict, Flaw> {
        let vendor = || self.vendor.clone();
        let signer = match signature {
            None if self.allow_unsigned => None,
            None => return Err(Flaw::Unsigned { vendor: vendor() }),
            Some(signature) if self.signers.is_empty() => {
                if !self.allow_unsigned {
                    let signed_by = signature.key();
                    return Err(Flaw::NoKeyPinned { signed_by, vendor: vendor() });
                }
                None
            }
            Some(signature) => Some(self.signed(contents, signature)?),
        };
        let counter_signer = match (&self.counter_signer, counter_signature) {
            (None, _) => None,
            (Some(wanted), None) => {
                return Err(Flaw::NoCounterSignature { vendor: vendor(), wanted: wanted.id() });
            }
            (Some(wanted), Some(signature)) => {
                let signed_by = signature.key();
                if signed_by != wanted.id() {
                    let wanted = wanted.id();
                    return Err(Flaw::WrongCounterKey { signed_by, vendor: vendor(), wanted });
                }
                if !signature.is_of(contents, wanted) {
                    return Err(Flaw::BadSignature { role: Role::Operator, key: signed_by });
                }
                Some(signed_by)
            }
        };
        Ok(match signer {
            Some(signer) => Verdict::Signed { signer, counter_signer },
            None => Verdict::Unsigned { claimed: signature.map(Signature::key) },
        })
    }

    fn signed(&self, contents: &str, signature: &Signature) -> Result<KeyId, Flaw> {
        let signed_by = signature.key();
        let mut candidates = self.signers.iter().filter(|key| key.id() == signed_by).peekable();
        if candidates.peek().is_none() {
            let pinned = self.signers.iter().map(PublicKey::id).collect();
            return Err(Flaw::WrongKey { signed_by, vendor: self.vendor.clone(), pinned });
        }
        // A key id is eight bytes that anybody may choose, so two keys may share one.
        if candidates.any(|key| signature.is_of(contents, key)) {
            return Ok(signed_by);
        }
        Err(Flaw::BadSignature { role: Role::Vendor, key: signed_by })
    }
}
