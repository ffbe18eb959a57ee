//! One line: bytes in, frames to the meters that hear them, replies out when the wire and the
//! script allow. A thread per connection reads, works and writes, with no hand-over between, so
//! that a reply without delay leaves within microseconds. No meter is locked while anything waits.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::device::{Device, Heard, Protocol, Scan};
use crate::event::{Event, Hub, Release, lock};
use crate::fault::FaultKind;
use crate::modem::{Link, Modem};

/// A buffer that grew beyond this holds no frame of either protocol.
const BUFFER_BYTES_MAX: usize = 4_096;
/// The registers of an upload: byte count 60H (protocols.md 3.4).
const UPLOADED: u16 = 0x0200;
const UPLOADED_COUNT: u8 = 0x30;
/// Start, 8 data, parity or second stop, stop.
const BITS_PER_BYTE: u32 = 11;

#[derive(Debug)]
pub struct Bus {
    pub name: String,
    /// Each has its own ear: all of them hear every byte.
    pub protocols: Vec<Protocol>,
    pub reply_delay: Duration,
    pub baud: Option<u32>,
    pub modem: Option<Arc<Modem>>,
    pub devices: Mutex<Vec<Device>>,
    pub hub: Arc<Hub>,
}

/// The far end of a connection.
#[derive(Debug)]
pub enum Port {
    Tcp(TcpStream),
    Modem(Link),
    /// Our side and the host's side of a pseudo-terminal.
    Pty {
        master: File,
        slave: File,
    },
}

impl Port {
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(match self {
            Port::Tcp(stream) => Port::Tcp(stream.try_clone()?),
            Port::Modem(link) => Port::Modem(link.try_clone()?),
            Port::Pty { master, slave } => {
                Port::Pty { master: master.try_clone()?, slave: slave.try_clone()? }
            }
        })
    }

    pub fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Port::Tcp(stream) => stream.read(buffer),
            Port::Modem(link) => link.read(buffer),
            Port::Pty { master, slave } => {
                let count = master.read(buffer)?;
                allow_other_hosts(slave);
                Ok(count)
            }
        }
    }

    pub fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Port::Tcp(stream) => stream.write_all(bytes),
            Port::Modem(link) => link.write_all(bytes),
            Port::Pty { master, .. } => master.write_all(bytes),
        }
    }

    /// Whether the host still holds its end. A pseudo-terminal cannot tell: its slave is kept open.
    fn connected(&self) -> bool {
        let stream = match self {
            Port::Tcp(stream) => stream,
            Port::Modem(link) => link.stream(),
            Port::Pty { .. } => return true,
        };
        let soon = stream.set_read_timeout(Some(Duration::from_millis(1)));
        let seen = stream.peek(&mut [0]);
        let _ = soon.and_then(|()| stream.set_read_timeout(None));
        match seen {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// A host opens its serial port for itself alone (TIOCEXCL). On a pseudo-terminal that outlives the
/// host, so that the successor of a killed one would be refused; hence it is taken back.
fn allow_other_hosts(slave: &File) {
    #[expect(unsafe_code, reason = "an ioctl without argument, on a descriptor that is open here")]
    // SAFETY: TIOCNXCL reads and writes no memory of ours. Its failure leaves the line as it was.
    let _ = unsafe { nix::libc::ioctl(slave.as_raw_fd(), nix::libc::TIOCNXCL) };
}

/// What the host has set a pseudo-terminal to; nothing on it is ever sent at that rate. Its parity the
/// kernel does not keep.
fn host_baud(slave: &File) -> Option<u32> {
    #[expect(unsafe_code, reason = "an ioctl that fills a struct of ours, of the kernel's layout")]
    // SAFETY: all zero is a `termios2`, and TCGETS2 writes one of that size into it.
    let settings = unsafe {
        let mut settings: nix::libc::termios2 = std::mem::zeroed();
        let done = nix::libc::ioctl(slave.as_raw_fd(), nix::libc::TCGETS2, &raw mut settings);
        (done == 0).then_some(settings)
    };
    settings.map(|settings| settings.c_ospeed)
}

/// One meter's share in a request.
struct Share {
    at: usize,
    fault: Option<FaultKind>,
}

impl Bus {
    /// Serves a host that has connected to it, or to its modem.
    pub fn serve_tcp(&self, stream: TcpStream) {
        self.serve(match &self.modem {
            None => Port::Tcp(stream),
            Some(modem) => Port::Modem(Link::new(stream, Arc::clone(modem), self.uploaded())),
        });
    }

    /// What the first meter says of the registers that uploads carry, and its name.
    fn uploaded(&self) -> Option<(String, Vec<u8>)> {
        let mut devices = lock(&self.devices);
        let device = devices.first_mut()?;
        let [high, low] = UPLOADED.to_be_bytes();
        let unit = device.name.parse().ok()?;
        let mut request = vec![unit, 0x03, high, low, 0, UPLOADED_COUNT, 0, 0];
        crate::modbus::seal(&mut request);
        let reply = device.answer(&Heard::Modbus(&request)).reply?;
        Some((device.name.clone(), reply))
    }

    /// Serves one connection until its host or the simulator ends it.
    pub fn serve(&self, mut port: Port) {
        let Ok(sink) = port.try_clone() else { return };
        let sink = Arc::new(Mutex::new(sink));
        let ear = |protocol: &Protocol| (*protocol, Vec::new());
        let mut ears: Vec<(Protocol, Vec<u8>)> = self.protocols.iter().map(ear).collect();
        let mut chunk = [0; 512];
        let mut last_byte = Instant::now();
        while !self.hub.stopping() {
            let count = match port.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            if !self.understands(&port) {
                continue;
            }
            let now = Instant::now();
            for (protocol, buffer) in &mut ears {
                let gap = Duration::from_millis(protocol.gap_ms());
                if now.duration_since(last_byte) > gap || buffer.len() > BUFFER_BYTES_MAX {
                    buffer.clear();
                }
                buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                self.drain(*protocol, buffer, &port, &sink);
            }
            // After the work, so that a held line does not throw away what came meanwhile.
            last_byte = Instant::now();
        }
    }

    /// Meters with a baud rate hear a host at another one as noise. A gateway has its own towards
    /// them, so that only a pseudo-terminal tells what its host has set.
    fn understands(&self, port: &Port) -> bool {
        match (port, self.baud) {
            (Port::Pty { slave, .. }, Some(baud)) => host_baud(slave).is_none_or(|set| set == baud),
            _ => true,
        }
    }

    fn drain(
        &self,
        protocol: Protocol,
        buffer: &mut Vec<u8>,
        port: &Port,
        sink: &Arc<Mutex<Port>>,
    ) {
        loop {
            match protocol.scan(buffer) {
                Scan::NeedMore => return,
                Scan::Skip(0) => return,
                Scan::Skip(count) => drop(buffer.drain(..count.min(buffer.len()))),
                Scan::Frame { start, end } => {
                    let frame = buffer.get(start..end).unwrap_or_default().to_vec();
                    buffer.drain(..end.min(buffer.len()));
                    self.exchange(protocol, &frame, port, sink);
                }
            }
        }
    }

    fn exchange(&self, protocol: Protocol, frame: &[u8], port: &Port, sink: &Arc<Mutex<Port>>) {
        let Some(heard) = protocol.hear(frame) else { return };
        sleep_some(self.air_time(frame.len()));
        let mut replies = Vec::new();
        for share in self.notice(frame, &heard) {
            if let Some(reply) = self.act(&share, &heard, frame.len(), port, sink) {
                replies.push(reply);
            }
        }
        let Some(reply) = collide(replies) else { return };
        sleep_some(self.reply_delay);
        self.send(&reply, sink);
    }

    /// Who hears the request, and what goes wrong there.
    fn notice(&self, frame: &[u8], heard: &Heard) -> Vec<Share> {
        let mut shares = Vec::new();
        for (at, device) in lock(&self.devices).iter_mut().enumerate() {
            let Some(kind) = device.notice(heard) else { continue };
            let fault = device.faults.take(kind);
            if self.hub.watched() {
                let meter = device.name.clone();
                self.hub.tell(Event::Request {
                    meter: meter.clone(),
                    kind,
                    hex: hex::encode(frame),
                });
                if let Some(fault) = &fault {
                    self.hub.tell(Event::Fault { meter, on: kind, fault: fault.clone() });
                }
            }
            shares.push(Share { at, fault });
        }
        shares
    }

    /// One meter's reply as it goes onto the wire now; none: it is silent, or speaks later.
    fn act(
        &self,
        share: &Share,
        heard: &Heard,
        frame_bytes: usize,
        port: &Port,
        sink: &Arc<Mutex<Port>>,
    ) -> Option<Vec<u8>> {
        match &share.fault {
            Some(FaultKind::NoReply | FaultKind::CutRequest { .. }) => return None,
            Some(FaultKind::Refuse { word }) => {
                return lock(&self.devices).get(share.at)?.refuse(heard, *word);
            }
            Some(FaultKind::Hold { after_bytes }) => {
                let through = after_bytes.unwrap_or(frame_bytes).min(frame_bytes);
                let release = self.hold(share.at, through, frame_bytes);
                let torn = through < frame_bytes;
                // The rest of a torn request comes only from a host that still lives.
                if release == Release::Vanish || (torn && !port.connected()) {
                    return None;
                }
            }
            _ => {}
        }
        let mut reply = self.apply(share.at, heard)?;
        let Some(fault) = &share.fault else { return Some(reply) };
        match fault {
            FaultKind::LostAfterApply => return None,
            FaultKind::HoldReply { after_bytes } => {
                let through = after_bytes.unwrap_or(0).min(reply.len());
                let rest = reply.split_off(through);
                if !reply.is_empty() {
                    self.send(&reply, sink);
                }
                let release = self.hold(share.at, through, through + rest.len());
                return (release == Release::Deliver).then_some(rest);
            }
            FaultKind::Late { wait_ms } => {
                let (wait, sink) = (Duration::from_millis(*wait_ms), Arc::clone(sink));
                spawn(move || {
                    sleep(wait);
                    // A host that has gone does not matter to a late reply.
                    let _ = lock(&sink).write_all(&reply);
                });
                return None;
            }
            other => heard.protocol().spoil(&mut reply, other),
        }
        Some(reply)
    }

    fn apply(&self, at: usize, heard: &Heard) -> Option<Vec<u8>> {
        let mut devices = lock(&self.devices);
        let device = devices.get_mut(at)?;
        let answer = device.answer(heard);
        if let Some(credit) = answer.credit
            && self.hub.watched()
        {
            self.hub.tell(Event::Credit {
                meter: device.name.clone(),
                count: credit.count,
                amount_fen: credit.amount_fen,
            });
        }
        answer.reply
    }

    fn hold(&self, at: usize, bytes: usize, of: usize) -> Release {
        let meter = lock(&self.devices).get(at).map(|device| device.name.clone());
        self.hub.hold(meter.unwrap_or_default(), bytes, of)
    }

    fn air_time(&self, bytes: usize) -> Duration {
        let Some(baud) = self.baud else { return Duration::ZERO };
        let bits = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(BITS_PER_BYTE);
        Duration::from_secs(1) * bits / baud.max(1)
    }

    fn send(&self, reply: &[u8], sink: &Mutex<Port>) {
        let byte_time = self.air_time(1);
        let mut sink = lock(sink);
        if byte_time.is_zero() {
            // The read side sees a broken connection and ends the thread.
            let _ = sink.write_all(reply);
            return;
        }
        for byte in reply {
            sleep(byte_time);
            if sink.write_all(&[*byte]).is_err() {
                return;
            }
        }
    }
}

fn sleep_some(time: Duration) {
    if !time.is_zero() {
        sleep(time);
    }
}

/// Meters that answer at the same time pull the same two wires: what any of them pulls low is low.
fn collide(mut replies: Vec<Vec<u8>>) -> Option<Vec<u8>> {
    replies.sort_by_key(|reply| std::cmp::Reverse(reply.len()));
    replies.into_iter().reduce(|mut wire, reply| {
        wire.iter_mut().zip(reply).for_each(|(level, byte)| *level &= byte);
        wire
    })
}
