//! A package as bytes ([`Sealed`]) and as what a host works with ([`Package`]).
//!
//! Invariant: a [`Sealed`] is canonical and its members are what `contents` says, so packing it anew
//! gives the same bytes; a [`Package`] came out of one and was judged.

use crate::contents;
use crate::error::{Flaw, PackageError, Role};
use crate::keys::{BadKey, KeyId, SecretKey, Signature};
use crate::limits::{MEMBERS, PACKAGE_BYTES};
use crate::manifest::Manifest;
use crate::member::{self, Ending, Kind};
use crate::tar;
use crate::trust::{Trust, Verdict};
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;

/// SHA-256 of `contents`, and so of everything that a signature covers; it stays the same when a
/// package is signed. `tar xOf x.pmdriver contents | sha256sum` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The first eight hexadecimal digits, for names of files.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// One conversation that the driver must have as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    pub ending: Ending,
    /// Without folder and extension.
    pub name: String,
    pub text: String,
}

impl Transcript {
    /// The member, e.g. "transcripts/ok/sell.transcript".
    pub fn member(&self) -> String {
        member::transcript_member(self.ending, &self.name)
    }
}

/// A licence of something that the component contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licence {
    pub name: String,
    pub text: String,
}

/// What a package is made of.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// The text of `driver.toml`.
    pub manifest: String,
    pub component: Vec<u8>,
    pub readme: String,
    pub transcripts: Vec<Transcript>,
    pub licences: Vec<Licence>,
}

/// A package that was opened and judged.
#[derive(Clone)]
pub struct Package {
    pub manifest: Manifest,
    pub component: Vec<u8>,
    pub transcripts: Vec<Transcript>,
    pub readme: String,
    pub licences: Vec<Licence>,
    pub digest: Digest,
    pub verdict: Verdict,
}

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { name, version, .. } = &self.manifest;
        write!(f, "Package({name} {version}, {}, {:?})", self.digest.short(), self.verdict)
    }
}

#[derive(Clone)]
struct Member {
    name: String,
    kind: Kind,
    content: Vec<u8>,
}

/// A package whose bytes are in order, and which nobody has vouched for yet.
#[derive(Clone)]
pub struct Sealed {
    file: String,
    contents: String,
    signature: Option<Signature>,
    counter_signature: Option<Signature>,
    /// Those that `contents` lists.
    members: Vec<Member>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}, {})", self.file, self.digest().short())
    }
}

impl Sealed {
    /// Reads no more than the limits allow: a file that is too large is refused by its size, one
    /// that is no package by its first block. What this driver's component may have is not known
    /// before its manifest is.
    pub fn read_file(path: &Path) -> Result<Sealed, PackageError> {
        let shown = path.display().to_string();
        let open = || -> Result<std::fs::File, Flaw> {
            // Looked at before it is opened: opening a pipe would wait for its writer.
            let found = std::fs::metadata(path).map_err(Flaw::Unreadable)?;
            if !found.is_file() {
                return Err(Flaw::NotAFile);
            }
            let file = std::fs::File::open(path).map_err(Flaw::Unreadable)?;
            let used = file.metadata().map_err(Flaw::Unreadable)?.len();
            if usize::try_from(used).map_or(true, |used| used > PACKAGE_BYTES) {
                return Err(Flaw::TooLarge { used, most: PACKAGE_BYTES });
            }
            Ok(file)
        };
        let file = open().map_err(|flaw| flaw.of(&shown))?;
        Self::read(&shown, std::io::BufReader::new(file))
    }

    /// `file` is named in errors.
    pub fn read(file: &str, from: impl Read) -> Result<Sealed, PackageError> {
        read(file, from).map_err(|flaw| flaw.of(file))
    }

    /// Packs `parts`, unsigned. Whoever packs sees the same problems as whoever reads.
    pub fn pack(file: &str, parts: Parts) -> Result<Sealed, PackageError> {
        let Parts { manifest, component, readme, transcripts, licences } = parts;
        let mut named = vec![
            (member::MANIFEST.to_owned(), manifest.into_bytes()),
            (member::COMPONENT.to_owned(), component),
            (member::README.to_owned(), readme.into_bytes()),
        ];
        named.extend(transcripts.into_iter().map(|it| (it.member(), it.text.into_bytes())));
        named.extend(
            licences.into_iter().map(|it| (member::licence_member(&it.name), it.text.into_bytes())),
        );
        let of = |flaw: Flaw| flaw.of(file);
        let mut members = Vec::new();
        for (name, content) in named {
            let Some(kind) = Kind::of(&name) else {
                return Err(of(Flaw::UnknownMember { name }));
            };
            members.push(Member { name, kind, content });
        }
        members.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        let contents = contents::render(listed(&members));
        let sealed = Sealed {
            file: file.to_owned(),
            contents,
            signature: None,
            counter_signature: None,
            members,
        };
        let bytes = sealed.to_bytes();
        let read = Self::read(file, bytes.as_slice())?;
        read.manifest()?;
        Ok(read)
    }

    /// Signed by `key`; an earlier signature of that role is replaced.
    pub fn sign(mut self, role: Role, key: &SecretKey) -> Result<Sealed, SignError> {
        let manifest = self.manifest()?;
        let comment = format!("Polymeter driver {} {}", manifest.name, manifest.version);
        let made = key.sign(&self.contents, &comment)?;
        *self.slot(role) = Some(made);
        Ok(self)
    }

    /// With the text of a signature of `contents` that minisign made.
    pub fn with_signature(mut self, role: Role, text: &str) -> Result<Sealed, PackageError> {
        let adopted = Signature::adopt(text)
            .map_err(|what| Flaw::NotASignature { role, what }.of(&self.file))?;
        *self.slot(role) = Some(adopted);
        Ok(self)
    }

    fn slot(&mut self, role: Role) -> &mut Option<Signature> {
        match role {
            Role::Vendor => &mut self.signature,
            Role::Operator => &mut self.counter_signature,
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let signatures =
            [(Role::Vendor, &self.signature), (Role::Operator, &self.counter_signature)];
        let mut out = Vec::new();
        tar::append(&mut out, member::CONTENTS, self.contents.as_bytes());
        for (role, signature) in signatures {
            if let Some(signature) = signature {
                tar::append(&mut out, role.member(), signature.text().as_bytes());
            }
        }
        for member in &self.members {
            tar::append(&mut out, &member.name, &member.content);
        }
        tar::finish(&mut out);
        out
    }

    /// Beside `path` first, then in its place, so that nobody ever sees half of it.
    pub fn write_file(&self, path: &Path) -> std::io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&self.to_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        // The name is safe when its folder is.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    pub fn digest(&self) -> Digest {
        Digest(contents::sha256(self.contents.as_bytes()))
    }

    /// The text that signatures cover.
    pub fn contents(&self) -> &str {
        &self.contents
    }

    /// The key that the package says it is signed by; whether that is true takes the key itself.
    pub fn claimed(&self, role: Role) -> Option<KeyId> {
        let signature = match role {
            Role::Vendor => &self.signature,
            Role::Operator => &self.counter_signature,
        };
        signature.as_ref().map(Signature::key)
    }

    /// Signature first, then the manifest: nothing of a package is interpreted before that.
    pub fn open(self, trust: &Trust) -> Result<Package, PackageError> {
        let verdict = trust
            .judge(&self.contents, self.signature.as_ref(), self.counter_signature.as_ref())
            .map_err(|flaw| flaw.of(&self.file))?;
        let file = self.file.clone();
        let package = self.into_package(verdict)?;
        if !package.manifest.is_for(&trust.vendor) {
            let says = package.manifest.vendors.iter().map(|it| it.code.to_string()).collect();
            let configured = trust.vendor.clone();
            return Err(Flaw::OtherVendor { says, configured }.of(&file));
        }
        Ok(package)
    }

    /// To look at a package without pins. Its verdict says that nobody vouched for it.
    pub fn open_unchecked(self) -> Result<Package, PackageError> {
        let claimed = self.claimed(Role::Vendor);
        self.into_package(Verdict::Unchecked { claimed })
    }

    fn manifest(&self) -> Result<Manifest, PackageError> {
        let of = |flaw: Flaw| flaw.of(&self.file);
        let member = self.members.iter().find(|member| member.kind == Kind::Manifest);
        let Some(member) = member else {
            return Err(of(Flaw::MissingMember { name: member::MANIFEST }));
        };
        let text = text(&member.name, member.content.clone()).map_err(of)?;
        Manifest::parse(Path::new(member::MANIFEST), &text)
            .map_err(|problems| of(Flaw::Manifest(problems)))
    }

    fn into_package(self, verdict: Verdict) -> Result<Package, PackageError> {
        let mut package = Package {
            manifest: self.manifest()?,
            component: Vec::new(),
            transcripts: Vec::new(),
            readme: String::new(),
            licences: Vec::new(),
            digest: self.digest(),
            verdict,
        };
        for Member { name, kind, content } in self.members {
            let text = |content| text(&name, content).map_err(|flaw| flaw.of(&self.file));
            match kind {
                Kind::Component => package.component = content,
                Kind::Readme => package.readme = text(content)?,
                Kind::Transcript => {
                    if let Some((ending, plain)) = member::transcript(&name) {
                        let (plain, text) = (plain.to_owned(), text(content)?);
                        package.transcripts.push(Transcript { ending, name: plain, text });
                    }
                }
                Kind::Licence => {
                    if let Some(plain) = member::licence(&name) {
                        let (plain, text) = (plain.to_owned(), text(content)?);
                        package.licences.push(Licence { name: plain, text });
                    }
                }
                Kind::Contents | Kind::Signature | Kind::CounterSignature | Kind::Manifest => {}
            }
        }
        Ok(package)
    }
}

/// Why a package was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("the secret key {0}")]
    Key(#[from] BadKey),
}

fn text(name: &str, content: Vec<u8>) -> Result<String, Flaw> {
    String::from_utf8(content).map_err(|_| Flaw::NotText { name: name.to_owned() })
}

fn listed(members: &[Member]) -> impl Iterator<Item = (&str, &[u8])> {
    members.iter().map(|member| (member.name.as_str(), member.content.as_slice()))
}

fn read(file: &str, from: impl Read) -> Result<Sealed, Flaw> {
    // One byte more than is allowed, so that a stream that is too long is seen to be.
    let most = u64::try_from(PACKAGE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut reader = tar::Reader::new(from.take(most));
    let mut members: Vec<Member> = Vec::new();
    while let Some((name, bytes)) = reader.next()? {
        let Some(kind) = Kind::of(&name) else { return Err(Flaw::UnknownMember { name }) };
        let most = kind.bytes_most();
        if bytes > most {
            return Err(Flaw::MemberTooLarge { name, used: bytes, most });
        }
        match members.last() {
            None if kind != Kind::Contents => return Err(Flaw::NotAPackage),
            Some(last) if (last.kind, &last.name) >= (kind, &name) => {
                return Err(Flaw::OutOfOrder { name, before: last.name.clone() });
            }
            _ if members.len() == MEMBERS => return Err(Flaw::TooManyMembers { most: MEMBERS }),
            _ => {}
        }
        let content = reader.content(bytes)?;
        members.push(Member { name, kind, content });
    }
    sealed(file, members)
}

/// The members in order and in their places.
fn sealed(file: &str, mut members: Vec<Member>) -> Result<Sealed, Flaw> {
    let rest = members.split_off(members.iter().take_while(|it| !it.kind.is_listed()).count());
    let mut sealed = Sealed {
        file: file.to_owned(),
        contents: String::new(),
        signature: None,
        counter_signature: None,
        members: rest,
    };
    for Member { name, kind, content } in members {
        let text = text(&name, content)?;
        let signature = |role| {
            Signature::parse(&text).map(Some).map_err(|what| Flaw::NotASignature { role, what })
        };
        match kind {
            Kind::Signature => sealed.signature = signature(Role::Vendor)?,
            Kind::CounterSignature => sealed.counter_signature = signature(Role::Operator)?,
            _ => sealed.contents = text,
        }
    }
    contents::check(&sealed.contents, listed(&sealed.members))?;
    for (kind, name) in [
        (Kind::Manifest, member::MANIFEST),
        (Kind::Component, member::COMPONENT),
        (Kind::Readme, member::README),
    ] {
        if !sealed.members.iter().any(|member| member.kind == kind) {
            return Err(Flaw::MissingMember { name });
        }
    }
    Ok(sealed)
}
