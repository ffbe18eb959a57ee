//! How large a package and its members may be. Checked before the bytes are read.
//!
//! The component has a limit of its own per driver (`component-bytes` in the configuration), to which
//! the runtime holds it once the manifest was read; what stands here is the most that any reader takes.

/// The whole file. A Python driver has 18 MiB, a Rust one 100 KiB.
pub const PACKAGE_BYTES: usize = 64 << 20;
/// `driver.wasm`.
pub const COMPONENT_BYTES: usize = 48 << 20;
/// `driver.toml`.
pub const MANIFEST_BYTES: usize = 256 << 10;
/// `README.md`, one licence.
pub const PAGE_BYTES: usize = 1 << 20;
/// One transcript.
pub const TRANSCRIPT_BYTES: usize = 1 << 20;
/// `contents`: a line of up to 170 bytes for each member.
pub const CONTENTS_BYTES: usize = MEMBERS * 170;
/// A signature has about 300 bytes; its trusted comment may be longer than usual.
pub const SIGNATURE_BYTES: usize = 1 << 10;
/// Members, hence transcripts and licences together.
pub const MEMBERS: usize = 4_096;
/// A member's name: what a plain tar header holds.
pub const NAME_BYTES: usize = 100;
