//! Plays a *transcript* natively against a driver: one call, every byte on the line in both
//! directions, every answer of the vault, and the result. A transcript is evidence, a vendor's bug
//! report and a test at once; it needs no meter and no key.
//!
//! Invariant: the driver must do exactly what the transcript says, in its order, to its end. The
//! first step that differs fails the play with the file and line, whatever the driver makes of it.
//!
//! Not here: time (a reply comes at once, silence too), WASM (`tests/conformance` plays the same
//! files against the component), recording.
//!
//! # The format
//!
//! UTF-8, one item to a line; empty lines and lines that begin with `#` are skipped; a line that
//! begins with a space continues `call:` or `result:` above it. In `>` and `<` lines, text after
//! `#` is a comment. Bytes are hex digits, spaces allowed.
//!
//! ```text
//! source: synthetic, from DL/T 645-2007, 7.1
//! <standard>, <page> call: sell address=000000000001 customer=000000000007 count=17
//! amount=money:5000
//!   param.key-label=text:purse now=2026-03-02T10:11:12 nonce=000102030405060708090a0b0c0d0e0f
//! vault encrypt purse/1:0000000000000001 algorithm=1 data=0001020304050607 = 1122334455667788
//! > 68 01 00 00 00 00 00 68 ..      # host to meter
//! < 68 01 00 00 00 00 00 68 ..      # meter to host: the answer to one `receive`
//! vault mac purse algorithm=1 iv=0102030400000000 data=8432010c0c00001388 = 0102030405060708
//! > 68 ..
//! < (silence)
//! result: unknown ...
//! ```
//!
//! `source:` says where the bytes come from: `captured <date>, <meter>, ids redacted`, or
//! `<standard>, <page>`, or `synthetic, from ..`. `call:` comes next, `result:` last.
//!
//! **Call.** `describe`, `probe`, `read`, `open`, `sell`, `clear`, `check`, `control`,
//! `set-parameters` or `decode`, then `name=value`, in any order, without spaces in a value:
//!
//! | name | for | value |
//! |---|---|---|
//! | `address` | all but `describe`, `decode` | text, default empty |
//! | `param.<name>` | the same | a typed value: `call.parameters` |
//! | `now` | the same | `2026-03-02T10:11:12`, default `2026-01-01T00:00:00` |
//! | `nonce` | the same | hex, default `000102..0f` |
//! | `customer`, `count` | `open`, `sell` | customer number, purchase count |
//! | `amount` | `open`, `sell` | `money:<minor units>`, `energy:<Wh>`, `volume:<litres>` |
//! | `count` | `check` | optional |
//! | `command` | `control` | 1 to 5 |
//! | `valid-until` | `control` | as `now`, optional |
//! | `set.<name>` | `set-parameters` | a typed value |
//! | `frame` | `decode` | hex |
//!
//! A typed value is `number:186e-2` (mantissa, then `e` and the scale unless it is 0), `text:..`,
//! `flag:true`, `bytes:<hex>` or `time:2026-03-02T10:11:12`.
//!
//! **Vault.** `vault encrypt <key> algorithm=1 iv=<hex> associated=<hex> data=<hex> = <hex>`,
//! `vault decrypt` alike, `vault mac` without `associated`, `vault random 8 = <hex>`; `iv=` and
//! `associated=` are left out where they are empty. A key is its label and then
//! `/<algorithm>:<factor>` for each diversification. After `=` may stand `refused <code>` instead.
//!
//! **Line.** `> (refused <code>)` and `< (refused <code>)` are a `line-error`; `< (silence)` is
//! code 1.
//! `drain` is not written and answers 0; log lines are not written either.
//!
//! **Result.** The whole text must be equal, line by line; where an expected line ends in ` ...`
//! anything may follow. [`rendered`] writes, one to a line after the first:
//!
//! ```text
//! confirmed count=17 balance=money:7350      (sell, open, clear; no `balance` where unknown)
//! confirmed supply=1                         (control)
//! confirmed                                  (set-parameters)
//! refused code=7 device=0040 <detail>        (no `device` where the device gave no code)
//! unknown <why>
//! error code=1 <detail>                      (`device` as above)
//! identity address=000000000001 model=<text>
//! snapshot supply=2
//!   1.0.1.8.0.255 = number:186e-2 unit=256   (quality 0; otherwise: quality=1 value=.. unit=256)
//!   extra status-3 = text:0010
//! evidence count=17 purchase=17:money:5000 balance=money:7350   (`none` where there is none)
//! explanation address=000000000001           (decode; measurements and extras as in a snapshot)
//! failed <text>                              (decode)
//! description vendor=.. name=.. version=.. models=a,b proof=1 purse=1
//!   parameter key-label unit=255 default=text:purse
//! ```

mod call;
mod format;
mod play;
mod transcript;

pub use call::{Outcome, perform};
pub use format::{ReadError, rendered, value_text};
pub use play::{Player, ReplayError, check, check_folder};
pub use transcript::{Call, Event, ParseError, Transcript, VaultAct};
