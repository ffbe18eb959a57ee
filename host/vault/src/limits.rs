//! What one request to the vault may cost, and what a vault's file may cost to open.

/// Data and associated data together. No device takes a frame near this.
pub const DATA_BYTES: usize = 16 << 10;
/// Root, vendor, region, card and session: no scheme known derives deeper.
pub const PATH_STEPS: usize = 8;
/// The contract's bound on `random`.
pub const RANDOM_BYTES: u32 = 256;
/// The contract's bound on the factor of a derivation by CMAC.
pub const FACTOR_BYTES: usize = 64;
/// A vault of 10,000 keys has about 1 MiB.
pub const FILE_BYTES: u64 = 8 << 20;
/// Bounds on what a file may ask of argon2 before it is known to be ours.
pub const ARGON_MEMORY_KIB: u32 = 1 << 20;
pub const ARGON_PASSES: u32 = 16;
pub const ARGON_LANES: u32 = 16;
/// A PIN, a passphrase or a key in a file of its own.
pub const SECRET_FILE_BYTES: u64 = 4 << 10;
/// Shorter than this, a passphrase is guessed, argon2 or not.
pub const PASSPHRASE_BYTES_MIN: usize = 12;
