//! Plays transcripts natively against a driver, where a debugger works: one call, every byte on the
//! line in both directions, all that is asked of a card, every answer of the vault, and the result. It needs no meter and no key.
//!
//! Invariant: the driver must do exactly what the transcript says, in its order, to its end. The
//! first step that differs fails the play with the file and line, whatever the driver makes of it.
//!
//! Not here: the format (`polymeter-transcript` and `docs/transcripts.md`), WASM (the host's runtime
//! plays the same files against the component), recording.

#![deny(missing_docs)]

mod carried;
mod play;

#[doc(hidden)]
pub use polymeter_driver as driver;

/// The rest of a [`Host`](polymeter_driver::Host) for a test that has a line and no vault: nothing
/// comes late, nothing is logged, and a driver that asks the vault fails the test.
///
/// ```
/// use polymeter_driver::{Host, LineError};
///
/// /// A line that answers with what it was sent.
/// struct Echo(Vec<u8>);
///
/// impl Host for Echo {
///     fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
///         self.0 = bytes.to_vec();
///         Ok(())
///     }
///     fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
///         Ok(std::mem::take(&mut self.0))
///     }
///     polymeter_replay::no_vault!();
/// }
///
/// let mut host = Echo(Vec::new());
/// host.send(b"R")?;
/// assert_eq!(host.receive(1)?, b"R");
/// # Ok::<(), LineError>(())
/// ```
#[macro_export]
macro_rules! no_vault {
    () => {
        fn drain(&mut self) -> Result<u32, $crate::driver::LineError> {
            Ok(0)
        }
        fn mac(
            &mut self,
            _: &$crate::driver::Key,
            _: u16,
            _: &[u8],
            _: &[u8],
        ) -> Result<Vec<u8>, $crate::driver::VaultError> {
            panic!("the driver asked for a MAC, and this test has no vault")
        }
        fn encrypt(
            &mut self,
            _: &$crate::driver::Key,
            _: u16,
            _: &[u8],
            _: &[u8],
            _: &[u8],
        ) -> Result<Vec<u8>, $crate::driver::VaultError> {
            panic!("the driver asked to encrypt, and this test has no vault")
        }
        fn decrypt(
            &mut self,
            _: &$crate::driver::Key,
            _: u16,
            _: &[u8],
            _: &[u8],
            _: &[u8],
        ) -> Result<Vec<u8>, $crate::driver::VaultError> {
            panic!("the driver asked to decrypt, and this test has no vault")
        }
        fn random(&mut self, _: u32) -> Result<Vec<u8>, $crate::driver::VaultError> {
            panic!("the driver asked for random bytes, and this test has no vault")
        }
        fn log(&mut self, _: $crate::driver::Level, _: &str) {}
    };
}

pub use carried::value_text;
pub use play::{
    Player, ReplayError, check, check_card, check_card_folder, check_folder, perform, perform_card,
};
pub use polymeter_transcript::{
    Difference, Entry, Outcome, ParseError, Request, Step, Transcript, rendered,
};
