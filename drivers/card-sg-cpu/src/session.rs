//! One card and what is said to it: selection, both authentications, reading and writing under a MAC.
//! The maths is PBOC's, with the keys left in the host's vault; see the README.
//!
//! Invariant: nothing that a card counts is presented before the card has proved that it has our keys,
//! and a command that changes it is sent once.
//!
//! Not here: what stands in the files.

use polymeter_driver::codes::{card, refusal, vault};
use polymeter_driver::ending::Stop;
use polymeter_driver::{Call, Diversification, Host, Key, Refusal};

/// ATR of the cards that meters take: `3B 69 xx xx` and nine historical bytes, of which the last eight
/// are the serial.
const ATR_START: [u8; 2] = [0x3B, 0x69];
const SERIAL_AT: usize = 5;
const SERIAL_BYTES: usize = 8;

const OK: u16 = 0x9000;
/// GET RESPONSE and the same question again, together, for one command.
const FOLLOWED_MAX: usize = 4;
const MAC_BYTES: usize = 4;

/// A file by its short identifier, as P1 of READ and UPDATE BINARY has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    pub sfi: u8,
    pub name: &'static str,
    /// CLA INS P1 P2 of the command in which a MAC that is read can be used.
    header: [u8; 4],
}

const fn file(sfi: u8, name: &'static str) -> File {
    File { sfi, name, header: [0x04, 0xD6, 0x80 | sfi, 0x00] }
}

pub const PARAMETERS: File = file(1, "parameters");
/// The MAC of the purse is for the meter's box, which adds.
pub const PURSE: File = File { header: [0x84, 0x32, 0x01, 0x0C], ..file(2, "purse") };
pub const PRICES: File = file(3, "prices");
pub const PRICES_NEXT: File = file(4, "next prices");
pub const WRITTEN_BACK: File = file(5, "write-back");

pub struct Session<'a> {
    host: &'a mut dyn Host,
    serial: [u8; SERIAL_BYTES],
    /// Whether a command that may have changed the card was begun.
    pub changed: bool,
}

impl<'a> Session<'a> {
    /// Selects the application. None: a card of another kind, or without it.
    pub fn begin(host: &'a mut dyn Host) -> Result<Option<Session<'a>>, Stop> {
        let inserted = host.inserted()?;
        let serial = inserted.atr.get(SERIAL_AT..).and_then(|rest| rest.first_chunk()).copied();
        let (Some(serial), true) = (serial, inserted.atr.starts_with(&ATR_START)) else {
            return Ok(None);
        };
        if inserted.kind != card::CPU {
            return Ok(None);
        }
        let mut session = Session { host, serial, changed: false };
        for name in [[0x3F, 0x00], [0xDF, 0x01]] {
            let command = [&[0x00, 0xA4, 0x00, 0x00, 0x02], &name[..]].concat();
            let (_, status) = session.exchange(&command)?;
            if status != OK {
                return Ok(None);
            }
        }
        Ok(Some(session))
    }

    /// The card's own number, as digits.
    pub fn serial(&self) -> String {
        self.serial.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// What anybody may read: so many bytes, or fewer where the file is shorter.
    pub fn read_plain(&mut self, file: File, length: u8) -> Result<Vec<u8>, Stop> {
        let (data, status) = self.exchange(&[0x00, 0xB0, 0x80 | file.sfi, 0x00, length])?;
        done(status, || format!("reading the {}", file.name))?;
        Ok(data)
    }

    /// Whether the card has our key: it enciphers eight random bytes as we do.
    pub fn prove_card(&mut self, call: &Call) -> Result<(), Stop> {
        let Some(random) = call.nonce.first_chunk::<8>() else {
            return Err(Stop::garbled("the nonce is too short"));
        };
        let key = self.key("card-internal");
        let ours = self.host.encrypt(&key, vault::cipher::TRIPLE_DES_ECB, &[], &[], random)?;
        let command = [&[0x00, 0x88, 0x00, 0x01, 0x08], &random[..]].concat();
        let (theirs, status) = self.exchange(&command)?;
        done(status, || "the card's authentication".to_owned())?;
        if ours.is_empty() || theirs != ours {
            return Err(Stop::refused(
                refusal::NOT_AUTHENTICATED,
                "the card has other keys: another region's, or not one of ours",
            ));
        }
        Ok(())
    }

    /// Proves us to the card, which has been proved to us before.
    pub fn prove_us(&mut self) -> Result<(), Stop> {
        let challenge = self.challenge(8)?;
        let key = self.key("card-external");
        let cipher =
            self.host.encrypt(&key, vault::cipher::TRIPLE_DES_ECB, &[], &[], &challenge)?;
        let command = [&[0x00, 0x82, 0x00, 0x02, 0x08], &cipher[..]].concat();
        let (_, status) = self.exchange(&command)?;
        done(status, || "our authentication".to_owned())
    }

    /// A file, or its first `length` bytes, with a MAC that is checked.
    pub fn read(&mut self, file: File, length: usize) -> Result<Vec<u8>, Stop> {
        let with_mac = length.saturating_add(MAC_BYTES);
        let Ok(counted) = u8::try_from(with_mac) else {
            return Err(Stop::garbled("more than one answer can hold"));
        };
        let random = self.host.random(4)?;
        let header = [&file.header[..], &[counted]].concat();
        let head = [0x04, 0xB0, 0x80 | file.sfi, 0x00, 0x09];
        let (answer, status) = self.exchange(&[&head, &random[..], &header].concat())?;
        done(status, || format!("reading the {} under a MAC", file.name))?;
        let answer = whole(file, answer, with_mac)?;
        let Some((data, theirs)) = answer.split_last_chunk::<MAC_BYTES>() else {
            return Err(Stop::garbled("an answer without a MAC"));
        };
        let ours = self.mac(&random, &[&header, data].concat())?;
        if ours != *theirs {
            return Err(Stop::garbled(format!("a wrong MAC on the {}", file.name)));
        }
        Ok(data.to_vec())
    }

    /// The whole file in one command, under a MAC. Sent once.
    pub fn write(&mut self, file: File, bytes: &[u8]) -> Result<(), Stop> {
        let Ok(counted) = u8::try_from(bytes.len().saturating_add(MAC_BYTES)) else {
            return Err(Stop::garbled("more than one command can hold"));
        };
        let challenge = self.challenge(4)?;
        let head = [0x04, 0xD6, 0x80 | file.sfi, 0x00, counted];
        let message = [&head, bytes].concat();
        let mac = self.mac(&challenge, &message)?;
        self.changed = true;
        let (_, status) = self.exchange(&[&message[..], &mac].concat())?;
        done(status, || format!("writing the {}", file.name))
    }

    fn challenge(&mut self, length: u8) -> Result<Vec<u8>, Stop> {
        let (challenge, status) = self.exchange(&[0x00, 0x84, 0x00, 0x00, length])?;
        done(status, || "a challenge".to_owned())?;
        if challenge.len() != usize::from(length) {
            return Err(Stop::garbled(format!("a challenge of {} bytes", challenge.len())));
        }
        Ok(challenge)
    }

    /// The four random bytes begin the initial value.
    fn mac(&mut self, random: &[u8], message: &[u8]) -> Result<[u8; MAC_BYTES], Stop> {
        let iv = [random, &[0; 4]].concat();
        let mac = self.host.mac(&self.key("card-mac"), vault::mac::PBOC, &iv, message)?;
        let first = mac.first_chunk().copied();
        first.ok_or_else(|| Stop::garbled("a MAC of the vault that is too short"))
    }

    fn key(&self, label: &str) -> Key {
        let step = Diversification {
            algorithm: vault::diversification::PBOC,
            factor: self.serial.to_vec(),
        };
        Key { label: label.to_owned(), path: vec![step] }
    }

    /// One command, with what the card makes us fetch; the data and the status. A question is asked
    /// again only where the card says that it wants another length, which is of reading alone.
    fn exchange(&mut self, command: &[u8]) -> Result<(Vec<u8>, u16), Stop> {
        let mut data = Vec::new();
        let mut next = command.to_vec();
        for _ in 0..=FOLLOWED_MAX {
            let answer = self.host.transmit(&next)?;
            let Some((part, [first, second])) = answer.split_last_chunk::<2>() else {
                return Err(Stop::garbled(format!("an answer of {} bytes", answer.len())));
            };
            data.extend_from_slice(part);
            match (*first, next.as_slice()) {
                (0x61, _) => next = vec![0x00, 0xC0, 0x00, 0x00, *second],
                (0x6C, [class, instruction, p1, p2, _]) => {
                    next = vec![*class, *instruction, *p1, *p2, *second];
                }
                _ => return Ok((data, u16::from_be_bytes([*first, *second]))),
            }
        }
        Err(Stop::garbled("the card has always more to fetch"))
    }
}

fn whole(file: File, data: Vec<u8>, length: usize) -> Result<Vec<u8>, Stop> {
    if data.len() == length {
        return Ok(data);
    }
    let name = file.name;
    Err(Stop::garbled(format!("{} bytes of the {name} in place of {length}", data.len())))
}

/// The card's no, by its status bytes (ISO/IEC 7816-4, 5.1.3; 6988 as PBOC has it).
fn done(status: u16, what: impl FnOnce() -> String) -> Result<(), Stop> {
    if status == OK {
        return Ok(());
    }
    let (code, why) = match status {
        0x6982 => (refusal::NOT_AUTHENTICATED, "it wants an authentication first".to_owned()),
        0x6983 => (refusal::NOT_AUTHENTICATED, "its authentication is blocked".to_owned()),
        0x6300..=0x63FF => {
            let left = status & 0x000F;
            (
                refusal::NOT_AUTHENTICATED,
                format!("it does not take our proof, {left} tries are left"),
            )
        }
        0x6987 | 0x6988 => (refusal::WRONG_MAC, "wrong MAC".to_owned()),
        _ => (refusal::OTHER, format!("status {status:04X}")),
    };
    Err(Stop::Refused(Refusal {
        code,
        detail: format!("{}: the card says no, {why}", what()),
        device_code: Some(format!("{status:04X}")),
    }))
}
