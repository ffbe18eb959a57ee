//! Why a package is refused, in a sentence that names the file, what is wrong and what to do.

use crate::keys::KeyId;
use crate::problem::Problems;
use polymeter_domain::VendorCode;
use std::io;

/// `file` is the package's, as the reader was told it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {flaw}")]
pub struct PackageError {
    pub file: String,
    pub flaw: Flaw,
}

/// Which of the two signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Vendor,
    /// The operator's counter-signature.
    Operator,
}

impl Role {
    /// The member that holds it.
    pub fn member(self) -> &'static str {
        match self {
            Role::Vendor => crate::member::SIGNATURE,
            Role::Operator => crate::member::COUNTER_SIGNATURE,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("is no plain file; name a .pmdriver file")]
    NotAFile,
    #[error("is no driver package; make one with polymeter-sdk pack")]
    NotAPackage,
    #[error("has {used} bytes, a package has at most {most}; it was not read")]
    TooLarge { used: u64, most: usize },
    #[error("is cut short after byte {at}; copy it again")]
    CutShort { at: usize },
    #[error("is not packed as packages are: byte {at}: {what}; pack it with polymeter-sdk pack")]
    NotCanonical { at: usize, what: String },
    #[error("has more than {most} members")]
    TooManyMembers { most: usize },
    #[error("has a member `{name}`, which no package may have")]
    UnknownMember { name: String },
    #[error("has no {name}; pack it with polymeter-sdk pack")]
    MissingMember { name: &'static str },
    #[error("{name} stands behind {before}, or twice; pack it with polymeter-sdk pack")]
    OutOfOrder { name: String, before: String },
    #[error("{name} has {used} bytes, at most {most} are taken")]
    MemberTooLarge { name: String, used: usize, most: usize },
    #[error("{name} is no text in UTF-8")]
    NotText { name: String },
    #[error(
        "{name} does not match contents: it was changed after it was packed; take a fresh copy"
    )]
    Changed { name: String },
    #[error("contents does not list the members that are there; take a fresh copy")]
    WrongContents,
    /// Each problem names line and fix.
    #[error("driver.toml is refused:\n{0}")]
    Manifest(Problems),
    #[error("{} is no signature of minisign: {what}; sign it again", role.member())]
    NotASignature { role: Role, what: String },
    #[error(
        "the signature in {} by key {key} does not match contents: one of them was changed; take a \
         fresh copy",
        role.member()
    )]
    BadSignature { role: Role, key: KeyId },
    #[error(
        "is not signed, and {vendor} does not allow-unsigned; ask {vendor} for a signed package"
    )]
    Unsigned { vendor: VendorCode },
    #[error(
        "is signed by key {signed_by}, {vendor} pins {}; take a package of {vendor}'s, or pin its \
         new key under [[vendor]]",
        list(pinned)
    )]
    WrongKey { signed_by: KeyId, vendor: VendorCode, pinned: Vec<KeyId> },
    #[error(
        "is signed by key {signed_by}, but no key of {vendor} is pinned; add [[vendor]] code = \
         \"{vendor}\" with the vendor's public key as signer"
    )]
    NoKeyPinned { signed_by: KeyId, vendor: VendorCode },
    #[error(
        "has no counter-signature, {vendor} wants one by key {wanted}; counter-sign it with \
         polymeter-sdk sign --operator"
    )]
    NoCounterSignature { vendor: VendorCode, wanted: KeyId },
    #[error("is counter-signed by key {signed_by}, {vendor} wants key {wanted}")]
    WrongCounterKey { signed_by: KeyId, vendor: VendorCode, wanted: KeyId },
    #[error(
        "is for {}, its [[driver]] entry says vendor = \"{configured}\"; correct one of them",
        says.join(" and ")
    )]
    OtherVendor { says: Vec<String>, configured: VendorCode },
}

impl Flaw {
    pub(crate) fn of(self, file: &str) -> PackageError {
        PackageError { file: file.to_owned(), flaw: self }
    }
}

fn list(keys: &[KeyId]) -> String {
    let keys: Vec<String> = keys.iter().map(KeyId::to_string).collect();
    keys.join(" and ")
}
