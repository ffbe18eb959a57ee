//! The codes behind the first value information: what they make of the value (EN 13757-3:2013,
//! tables 15 and 16).
//!
//! Invariant: a code is never passed over; one without an entry is [`Qualifier::Unknown`].

use super::meaning::{Unit, time_unit};

/// One VIFE behind the one that names the quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// The device could not do what was asked of this record, or has no value (00 to 1F).
    Error(RecordError),
    /// The value is an average.
    Average,
    /// The data is a compact profile: see [`Record::profile`](super::Record::profile).
    Profile {
        /// From the newest value back.
        backwards: bool,
    },
    /// Its data is laid down by the standard.
    StandardContent,
    /// Per, or times, something else: the unit is not the plain one any more (20 to 38).
    Per(&'static str),
    /// Counted as the text says, e.g. forward flow only.
    Counted(&'static str),
    /// The data is an OBIS code's declaration.
    ObisDeclaration,
    /// A limit of the value.
    Limit(Bound),
    /// How often the value went over a limit.
    Exceeds(Bound),
    /// The data is when a limit was passed.
    ExceedTime {
        /// Which limit.
        bound: Bound,
        /// The last time, not the first.
        last: bool,
        /// The end, not the begin.
        end: bool,
    },
    /// The data is how long a limit was passed.
    ExceedDuration {
        /// Which limit.
        bound: Bound,
        /// The last time, not the first.
        last: bool,
        /// The unit of the data.
        unit: Unit,
    },
    /// The data is how long the first or last event took.
    Duration {
        /// The last time, not the first.
        last: bool,
        /// The unit of the data.
        unit: Unit,
    },
    /// The data is when the first or last event was.
    EventTime {
        /// The last time, not the first.
        last: bool,
        /// The end, not the begin.
        end: bool,
    },
    /// The data is when the value's period began.
    StartTime,
    /// A value of leakage, of overflow, or while a limit was passed.
    While(&'static str),
    /// Times ten to this.
    Times(i8),
    /// Plus ten to this of the unit that the VIF names.
    Plus(i8),
    /// The value is one of the future.
    Future,
    /// At or between phases, by quadrant.
    Phase(&'static str),
    /// Whole numbers have no sign.
    Unsigned,
    /// The data is bits.
    Bits,
    /// From here on, codes and data are the vendor's.
    VendorSpecific,
    /// No entry.
    Unknown(u8),
}

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The lower one.
    Lower,
    /// The upper one.
    Upper,
}

/// A device's own word on one record (EN 13757-3:2013, table 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordError(pub u8);

impl RecordError {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self.0 {
            0x01 => "too many DIFEs",
            0x02 => "no such storage number",
            0x03 => "no such unit number",
            0x04 => "no such tariff",
            0x05 => "no such function",
            0x06 => "no such class of data",
            0x07 => "no such size of data",
            0x0B => "too many VIFEs",
            0x0C => "illegal group of VIF",
            0x0D => "illegal exponent of VIF",
            0x0E => "VIF and DIF do not fit",
            0x0F => "no such action",
            0x15 => "no data available",
            0x16 => "data overflow",
            0x17 => "data underflow",
            0x18 => "data error",
            0x1C => "premature end of record",
            _ => "reserved error",
        }
    }
}

fn bound(code: u8) -> Bound {
    if code & 0x08 == 0 { Bound::Lower } else { Bound::Upper }
}

fn power(bits: u8, by: i8) -> i8 {
    i8::try_from(bits).unwrap_or_default().saturating_add(by)
}

impl Qualifier {
    /// By the low seven bits of a VIFE. Whether a 7C is followed by a code of the second table, the
    /// caller sees.
    pub(super) fn of(code: u8) -> Qualifier {
        match code {
            // 00: no error, which says nothing.
            0x00 => Qualifier::Counted("without error"),
            0x12 => Qualifier::Average,
            0x13 => Qualifier::Profile { backwards: true },
            0x1E | 0x1F => Qualifier::Profile { backwards: false },
            0x1D => Qualifier::StandardContent,
            0x01..=0x1F => Qualifier::Error(RecordError(code)),
            0x39 => Qualifier::StartTime,
            0x20..=0x38 => per(code),
            0x3A => Qualifier::Counted("at metering conditions, not corrected"),
            0x3B => Qualifier::Counted("forward only"),
            0x3C => Qualifier::Counted("backward only"),
            0x3E => Qualifier::Counted("at base conditions"),
            0x3F => Qualifier::ObisDeclaration,
            0x40 | 0x48 => Qualifier::Limit(bound(code)),
            0x41 | 0x49 => Qualifier::Exceeds(bound(code)),
            0x42 | 0x43 | 0x46 | 0x47 | 0x4A | 0x4B | 0x4E | 0x4F => Qualifier::ExceedTime {
                bound: bound(code),
                last: code & 4 != 0,
                end: code & 1 != 0,
            },
            0x50..=0x5F => Qualifier::ExceedDuration {
                bound: bound(code),
                last: code & 4 != 0,
                unit: time_unit(code),
            },
            0x60..=0x67 => Qualifier::Duration { last: code & 4 != 0, unit: time_unit(code) },
            0x68 => Qualifier::While("during a lower limit exceed"),
            0x69 => Qualifier::While("leakage"),
            0x6C => Qualifier::While("during an upper limit exceed"),
            0x6D => Qualifier::While("overflow"),
            0x6A | 0x6B | 0x6E | 0x6F => {
                Qualifier::EventTime { last: code & 4 != 0, end: code & 1 != 0 }
            }
            0x70..=0x77 => Qualifier::Times(power(code & 7, -6)),
            0x78..=0x7B => Qualifier::Plus(power(code & 3, -3)),
            0x7D => Qualifier::Times(3),
            0x7E => Qualifier::Future,
            0x7F => Qualifier::VendorSpecific,
            _ => Qualifier::Unknown(code),
        }
    }

    /// By the code behind a 7C (EN 13757-3:2013, table 16).
    pub(super) fn of_second_table(code: u8) -> Qualifier {
        match code {
            0x01 => Qualifier::Phase("L1"),
            0x02 => Qualifier::Phase("L2"),
            0x03 => Qualifier::Phase("L3"),
            0x04 => Qualifier::Phase("neutral"),
            0x05 => Qualifier::Phase("L1-L2"),
            0x06 => Qualifier::Phase("L2-L3"),
            0x07 => Qualifier::Phase("L3-L1"),
            0x08 => Qualifier::Phase("quadrant 1"),
            0x09 => Qualifier::Phase("quadrant 2"),
            0x0A => Qualifier::Phase("quadrant 3"),
            0x0B => Qualifier::Phase("quadrant 4"),
            0x0C => Qualifier::Counted("import minus export"),
            0x10 => Qualifier::Counted("forward and backward, absolute"),
            0x11 => Qualifier::Unsigned,
            0x12 => Qualifier::Bits,
            _ => Qualifier::Unknown(code),
        }
    }
}

fn per(code: u8) -> Qualifier {
    const PER: [&str; 25] = [
        "per second",
        "per minute",
        "per hour",
        "per day",
        "per week",
        "per month",
        "per year",
        "per revolution or measurement",
        "per input pulse, channel 0",
        "per input pulse, channel 1",
        "per output pulse, channel 0",
        "per output pulse, channel 1",
        "per litre",
        "per m3",
        "per kg",
        "per K",
        "per kWh",
        "per GJ",
        "per kW",
        "per K and litre",
        "per V",
        "per A",
        "times s",
        "times s per V",
        "times s per A",
    ];
    let nth = usize::from(code.wrapping_sub(0x20));
    PER.get(nth).map_or(Qualifier::Unknown(code), |text| Qualifier::Per(text))
}
