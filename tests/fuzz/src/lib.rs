//! Feeds the codecs bytes that nobody would send: mutations of the project's own transcripts and of
//! published frames, kept where they reach code that none before them reached.
//!
//! Invariant: a run depends on its seed and its inputs alone, but for what coverage keeps in a run
//! that is limited by time. A panic, a broken promise of a decoder, or an input that takes longer
//! than [`limits::SLOW`] is a finding: it is written to disk before it is reported, and played first
//! by every later run.
//!
//! A codec is one line in [`targets::TARGETS`]. Not here: drivers in their sandbox (`tests/e2e`).

pub mod corpus;
pub mod coverage;
pub mod limits;
pub mod mutate;
pub mod run;
pub mod targets;

/// xorshift64*: small, fast, the same everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Any seed will do.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// All 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// 0 to `count` - 1; 0 where there is none.
    pub fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.bits() % count).unwrap_or(0)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.bits().to_le_bytes()[3]
    }
}
