//! What can be spoken on a bus: where a frame of each protocol is, what it asks, how it is spoilt. The
//! protocols meet here and in the device, and nowhere else.

use crate::cjt188;
use crate::dlms;
use crate::dlt645::frame;
use crate::dlt698;
use crate::fault::{FaultKind, Parts, spoil};
use crate::mbus;
use crate::modbus;
use crate::rdk;

/// What a look for the first frame in a buffer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    Frame {
        start: usize,
        end: usize,
    },
    NeedMore,
    /// So many bytes can be no beginning of a frame.
    Skip(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Dlt645,
    Modbus,
    Rdk,
    Cjt188,
    Mbus,
    DlmsWrapper,
    DlmsHdlc,
    Dlt698,
}

/// A frame as its protocol understands it.
#[derive(Debug)]
pub enum Heard<'a> {
    Dlt645(frame::Request),
    Modbus(&'a [u8]),
    Rdk(rdk::Request<'a>),
    Cjt188(cjt188::Request<'a>),
    Mbus(mbus::Request<'a>),
    Dlms(Protocol, dlms::Request<'a>),
    Dlt698(dlt698::Request<'a>),
}

impl Heard<'_> {
    pub fn protocol(&self) -> Protocol {
        match self {
            Heard::Dlt645(_) => Protocol::Dlt645,
            Heard::Modbus(_) => Protocol::Modbus,
            Heard::Rdk(_) => Protocol::Rdk,
            Heard::Cjt188(_) => Protocol::Cjt188,
            Heard::Mbus(_) => Protocol::Mbus,
            Heard::Dlms(protocol, _) => *protocol,
            Heard::Dlt698(_) => Protocol::Dlt698,
        }
    }
}

impl Protocol {
    pub fn scan(self, buffer: &[u8]) -> Scan {
        match self {
            Protocol::Dlt645 => frame::scan(buffer),
            Protocol::Modbus => modbus::scan(buffer),
            Protocol::Rdk => rdk::scan(buffer),
            Protocol::Cjt188 => cjt188::scan(buffer),
            Protocol::Mbus => mbus::scan(buffer),
            Protocol::DlmsWrapper => dlms::scan_wrapped(buffer),
            Protocol::DlmsHdlc => dlms::scan_hdlc(buffer),
            Protocol::Dlt698 => dlt698::scan(buffer),
        }
    }

    pub fn hear(self, frame: &[u8]) -> Option<Heard<'_>> {
        match self {
            Protocol::Dlt645 => frame::parse(frame).map(Heard::Dlt645),
            Protocol::Modbus => Some(Heard::Modbus(frame)),
            Protocol::Rdk => rdk::parse(frame).map(Heard::Rdk),
            Protocol::Cjt188 => cjt188::parse(frame).map(Heard::Cjt188),
            Protocol::Mbus => mbus::parse(frame).map(Heard::Mbus),
            Protocol::DlmsWrapper => {
                dlms::parse_wrapped(frame).map(|request| Heard::Dlms(self, request))
            }
            Protocol::DlmsHdlc => dlms::parse_hdlc(frame).map(|request| Heard::Dlms(self, request)),
            Protocol::Dlt698 => dlt698::parse(frame).map(Heard::Dlt698),
        }
    }

    /// Silence in milliseconds after which a begun frame is given up.
    pub fn gap_ms(self) -> u64 {
        match self {
            // DL/T 645-2007 and DL/T 698.45: 500 ms between bytes.
            Protocol::Dlt645 | Protocol::Cjt188 | Protocol::Dlt698 => 500,
            // IEC 62056-46 says 20 ms at least; TCP has no such thing.
            Protocol::DlmsHdlc | Protocol::DlmsWrapper => 500,
            // Modbus RTU says 3.5 characters; a gateway may tear a frame more than that.
            Protocol::Modbus | Protocol::Rdk => 50,
            // EN 13757-2 says 22 bits in the middle of a telegram; a level converter may tear more.
            Protocol::Mbus => 100,
        }
    }

    /// Puts a scripted fault into a reply.
    pub fn spoil(self, reply: &mut Vec<u8>, fault: &FaultKind) {
        let end = reply.len().saturating_sub(2);
        match self {
            Protocol::Dlt645 => {
                let start = reply.iter().take_while(|&&byte| byte == 0xFE).count();
                // Read and prepay replies repeat the identifier before the values.
                let identifier = match reply.get(start + 8) {
                    Some(0x91 | 0x83) => 4,
                    _ => 0,
                };
                let seal = move |reply: &mut [u8]| {
                    let sum = frame::sum(reply.get(start..end).unwrap_or_default());
                    if let Some(check) = reply.get_mut(end) {
                        *check = sum;
                    }
                };
                let parts = Parts {
                    start,
                    address: start + 1,
                    function: start + 8,
                    data: start + frame::HEAD + identifier..end,
                    offset: frame::OFFSET,
                    seal: &seal,
                };
                spoil(reply, fault, &parts);
            }
            Protocol::Modbus => {
                let data = match reply.get(1) {
                    Some(0x03 | 0x04) => 3..end,
                    Some(0x80..) => 2..end,
                    _ => 4..end,
                };
                let seal = &modbus::seal;
                spoil(
                    reply,
                    fault,
                    &Parts { start: 0, address: 0, function: 1, data, offset: 0, seal },
                );
            }
            Protocol::Cjt188 => {
                let start = reply.iter().take_while(|&&byte| byte == 0xFE).count();
                let seal = move |reply: &mut [u8]| cjt188::seal(reply, start);
                let parts = Parts {
                    start,
                    address: start + 2,
                    function: start + 9,
                    data: start + cjt188::HEAD + 3..end,
                    offset: 0,
                    seal: &seal,
                };
                spoil(reply, fault, &parts);
            }
            Protocol::Mbus => {
                // Start, two lengths, start; then control, address, CI and what is said.
                let seal = &mbus::seal;
                let parts =
                    Parts { start: 0, address: 5, function: 4, data: 7..end, offset: 0, seal };
                spoil(reply, fault, &parts);
            }
            Protocol::DlmsWrapper => {
                // Version, source, destination, length, then the APDU.
                let seal = &|_: &mut [u8]| {};
                let data = 11..reply.len();
                spoil(
                    reply,
                    fault,
                    &Parts { start: 0, address: 3, function: 8, data, offset: 0, seal },
                );
            }
            Protocol::DlmsHdlc => dlms::spoil_hdlc(reply, fault),
            Protocol::Dlt698 => {
                let start = reply.iter().take_while(|&&byte| byte == 0xFE).count();
                let (apdu, address, function) = dlt698::places(reply, start);
                // Behind the service, its number and the attribute that is answered.
                let data = apdu.start + 7..apdu.end;
                let seal = move |reply: &mut [u8]| dlt698::seal(reply, start);
                spoil(
                    reply,
                    fault,
                    &Parts { start, address, function, data, offset: 0, seal: &seal },
                );
            }
            Protocol::Rdk => {
                let data = rdk::HEAD..reply.len().saturating_sub(1);
                let seal = &rdk::seal;
                let parts = Parts { start: 0, address: 5, function: 6, data, offset: 0, seal };
                spoil(reply, fault, &parts);
            }
        }
    }
}
