//! The frame between host and library: `68 C L DATA CS 16`, the structure of GB/T 18460.2.
//!
//! Invariant: no bytes make this panic, and what decodes encodes to the same bytes. Not here: what
//! stands in the data (item, ask, answer).

/// GB/T 18460.2 writes these two; `CS` is the sum of all bytes between the first mark and itself.
const START: u8 = 0x68;
const END: u8 = 0x16;
/// Start, command and the two bytes of the length, high byte first.
const HEAD: usize = 4;
const TAIL: usize = 2;

/// What `sendstr` and `recvstr` have room for: one page on most machines.
pub const FRAME_BYTES_MOST: usize = 4096;
/// The data of one frame.
pub const DATA_BYTES_MOST: usize = FRAME_BYTES_MOST - HEAD - TAIL;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub command: u8,
    pub data: Vec<u8>,
}

/// What is wrong with bytes that should be a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame that begins with {0:02X} instead of 68")]
    Start(u8),
    #[error("a frame that is cut short")]
    Short,
    #[error("a frame with {0} bytes of data, more than {DATA_BYTES_MOST}")]
    Long(usize),
    #[error("a frame with the checksum {is:02X} where {should:02X} is right")]
    Checksum { is: u8, should: u8 },
    #[error("a frame that ends with {0:02X} instead of 16")]
    End(u8),
}

impl Frame {
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let length = self.data.len();
        let says = u16::try_from(length).map_err(|_| FrameError::Long(length))?;
        if length > DATA_BYTES_MOST {
            return Err(FrameError::Long(length));
        }
        let mut bytes = vec![START, self.command];
        bytes.extend(says.to_be_bytes());
        bytes.extend(&self.data);
        bytes.push(sum(bytes.get(1..).unwrap_or_default()));
        bytes.push(END);
        Ok(bytes)
    }

    /// The frame at the beginning of `bytes`; what follows it is nobody's business, because a library
    /// is given more room than it needs.
    pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
        let head: &[u8; HEAD] = bytes.first_chunk().ok_or(FrameError::Short)?;
        let [start, command, high, low] = *head;
        if start != START {
            return Err(FrameError::Start(start));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > DATA_BYTES_MOST {
            return Err(FrameError::Long(length));
        }
        let end = HEAD + length;
        let data = bytes.get(HEAD..end).ok_or(FrameError::Short)?;
        let &[is, mark] = bytes.get(end..end + TAIL).ok_or(FrameError::Short)? else {
            return Err(FrameError::Short);
        };
        let should = sum(bytes.get(1..end).unwrap_or_default());
        if is != should {
            return Err(FrameError::Checksum { is, should });
        }
        if mark != END {
            return Err(FrameError::End(mark));
        }
        Ok(Frame { command, data: data.to_vec() })
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_frame_of_the_document() {
        // docs/native-libraries.md: an empty describe.
        let bytes = [0x68, 0x00, 0x00, 0x00, 0x00, 0x16];
        let frame = Frame { command: 0, data: vec![] };
        assert_eq!(frame.encode(), Ok(bytes.to_vec()));
        assert_eq!(Frame::decode(&bytes), Ok(frame));
        let frame = Frame { command: 0x02, data: vec![0x01, 0x01, 0x00, 0x01, 0x37] };
        let bytes = [0x68, 0x02, 0x00, 0x05, 0x01, 0x01, 0x00, 0x01, 0x37, 0x41, 0x16];
        assert_eq!(frame.encode(), Ok(bytes.to_vec()));
        assert_eq!(Frame::decode(&bytes), Ok(frame));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = Frame { command: 0x84, data: vec![1, 2, 3] }.encode().expect("short");
        let check = |at: usize, byte: u8, error: FrameError| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(Frame::decode(&bytes), Err(error));
        };
        check(0, 0x00, FrameError::Start(0));
        check(2, 0xFF, FrameError::Long(0xFF03));
        check(3, 4, FrameError::Short);
        check(5, 9, FrameError::Checksum { is: good[7], should: good[7] + 7 });
        check(8, 0x17, FrameError::End(0x17));
        for length in 0..good.len() {
            assert_eq!(Frame::decode(&good[..length]), Err(FrameError::Short), "{length} bytes");
        }
        let long = Frame { command: 0, data: vec![0; DATA_BYTES_MOST + 1] };
        assert_eq!(long.encode(), Err(FrameError::Long(DATA_BYTES_MOST + 1)));
    }

    proptest! {
        #[test]
        fn any_frame_comes_back(command: u8, data in prop::collection::vec(any::<u8>(), 0..5000)) {
            let frame = Frame { command, data };
            match frame.encode() {
                Ok(bytes) => {
                    prop_assert!(bytes.len() <= FRAME_BYTES_MOST);
                    prop_assert_eq!(Frame::decode(&bytes), Ok(frame));
                }
                Err(error) => prop_assert_eq!(error, FrameError::Long(frame.data.len())),
            }
        }

        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(frame) = Frame::decode(&bytes) {
                let again = frame.encode().expect("it came from bytes");
                prop_assert!(bytes.starts_with(&again));
            }
        }
    }
}
