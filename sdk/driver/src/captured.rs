//! What a driver tells of a captured frame beside what the frame says: which protocol it is of, why,
//! and what stands around it. These are extras with names that the contract gives them
//! (`docs/contract.md`, decode), by which a host tells apart whose frame it is.

use crate::{Decimal, Explanation, Extras, Measurement, Value};

/// Where a frame stood in a capture, and what proves that it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised<'a> {
    /// The protocol as its standard calls it, e.g. "DL/T 645-2007".
    pub protocol: &'a str,
    /// What was checked and holds, in words.
    pub checks: String,
    /// How many bits of the frame were checked: one in two to this power of random bytes would
    /// pass. An estimate; it compares one driver's reading of the same bytes with another's.
    pub check_bits: u32,
    /// Bytes of the capture before the frame.
    pub before: usize,
    /// Bytes of the capture behind it.
    pub after: usize,
}

impl Recognised<'_> {
    /// The explanation of what the frame says, with these facts first.
    pub fn explained(
        self,
        address: String,
        measurements: Vec<Measurement>,
        said: Extras,
    ) -> Explanation {
        let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
        let count = |name: &str, count: u64| {
            let mantissa = i64::try_from(count).unwrap_or(i64::MAX);
            (name.to_owned(), Value::Number(Decimal { mantissa, scale: 0 }))
        };
        let mut extras = vec![
            text("protocol", self.protocol.to_owned()),
            text("checks", self.checks),
            count("check-bits", self.check_bits.into()),
        ];
        for (name, bytes) in [("bytes-before", self.before), ("bytes-after", self.after)] {
            if bytes > 0 {
                extras.push(count(name, u64::try_from(bytes).unwrap_or(u64::MAX)));
            }
        }
        extras.extend(said);
        Explanation { address, measurements, extras }
    }
}
