//! The bad line between a driver and its device: a TCP end for the driver, the simulator on the other
//! side, and one fault in between.
//!
//! Invariant: one answer goes to one question; at most one answer of a call is damaged. Not here: what
//! the driver makes of it (judge).

use crate::device::Device;
use crate::fault::{Damage, Fault};
use anyhow::{Context, Result};
use polymeter_transport::{Endpoint, Line, LineSettings};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};

/// The reply timeout of a line that has a fault on it, and of one that has none.
const FAULTY_REPLY: Duration = Duration::from_millis(150);
const SOUND_REPLY: Duration = Duration::from_secs(5);
/// An answer whose bytes pause so long has ended.
const BYTE_PAUSE: Duration = Duration::from_millis(25);
/// For a simulator to deal with what it has heard, once the call is over.
const SETTLE: Duration = Duration::from_secs(5);

/// What was said on the line during one call.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Said {
    /// Each question with the device's own answer, whatever became of it on the way.
    pub exchanges: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of the driver after the last answer: no whole frame, or sent into a dead line.
    pub strange: Vec<u8>,
    /// Frames that add credit and did not reach the device; its twin heard them.
    pub credit_unheard: u64,
}

/// The device's end of a line.
#[derive(Debug)]
pub struct Wire {
    listener: TcpListener,
    pub device: Device,
    /// Started alike; hears what the device hears up to the fault, and then what that keeps from it.
    pub twin: Option<Device>,
    pub fault: Option<Fault>,
    /// For [`Damage::Other`]: the other device's answers, in order.
    pub others: Vec<Vec<u8>>,
}

impl Wire {
    /// The line as the driver gets it, and its far end.
    pub async fn new(
        device: Device,
        twin: Option<Device>,
        fault: Option<Fault>,
        others: Vec<Vec<u8>>,
    ) -> Result<(Line, Wire)> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.context("a port on the loopback")?;
        let line = Line::spawn(settings(listener.local_addr()?, fault.is_some()));
        Ok((line, Wire { listener, device, twin, fault, others }))
    }

    /// Carries until the driver's end is closed for good, which `over` says.
    pub async fn carry(
        mut self,
        mut over: tokio::sync::oneshot::Receiver<()>,
    ) -> Result<(Said, Device)> {
        let mut carried = Carried::default();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut over => break,
                accepted = self.listener.accept() => accepted,
            };
            let (socket, _) = accepted.context("the line's own end")?;
            socket.set_nodelay(true)?;
            self.serve(socket, &mut carried, &mut over).await?;
            if carried.over {
                break;
            }
        }
        while carried.open > 0 {
            carried.open -= 1;
            if timeout(SETTLE, self.device.next_truth()).await.is_err() {
                break;
            }
            // What it answered belongs to this call and not to the next.
            self.device.said()?;
        }
        carried.said.strange = carried.question;
        Ok((carried.said, self.device))
    }

    async fn serve(
        &mut self,
        mut socket: TcpStream,
        carried: &mut Carried,
        over: &mut tokio::sync::oneshot::Receiver<()>,
    ) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let late_at = carried.late.as_ref().map_or_else(far, |(at, _)| *at);
            tokio::select! {
                told = self.device.next_truth(), if carried.open > 0 => {
                    told?;
                    if self.answered(&mut socket, carried).await? == Going::HungUp {
                        return Ok(());
                    }
                }
                read = socket.read(&mut buffer) => {
                    let length = read.unwrap_or(0);
                    if length == 0 {
                        return Ok(());
                    }
                    let bytes = buffer.get(..length).unwrap_or_default();
                    if self.asked(bytes, &mut socket, carried).await? == Going::HungUp {
                        return Ok(());
                    }
                }
                () = sleep_until(late_at), if carried.late.is_some() => {
                    if let Some((_, bytes)) = carried.late.take() {
                        send(&mut socket, &bytes).await;
                    }
                }
                _ = &mut *over => {
                    carried.over = true;
                    return Ok(());
                }
            }
        }
    }

    /// The driver has sent something.
    async fn asked(
        &mut self,
        bytes: &[u8],
        socket: &mut TcpStream,
        carried: &mut Carried,
    ) -> Result<Going> {
        carried.question.extend_from_slice(bytes);
        if carried.dead {
            self.unheard(bytes, carried).await?;
            return Ok(Going::On);
        }
        let at_fault =
            self.fault.as_ref().filter(|fault| fault.exchange == carried.said.exchanges.len());
        if at_fault.is_some_and(|fault| !fault.heard) {
            // The twin knows when the question is whole, and what the answer would have been.
            return match self.unheard(bytes, carried).await? {
                Some(answer) => self.deliver(answer, socket, carried).await,
                None => Ok(Going::On),
            };
        }
        self.device.hear(bytes);
        if self.twin_follows(carried)
            && let Some(twin) = &mut self.twin
        {
            twin.hear(bytes);
        }
        carried.open += 1;
        Ok(Going::On)
    }

    /// The twin hears what the device hears up to the fault.
    fn twin_follows(&self, carried: &Carried) -> bool {
        self.fault.as_ref().is_some_and(|fault| {
            let at = carried.said.exchanges.len();
            at < fault.exchange || (fault.heard && at == fault.exchange)
        })
    }

    /// Bytes that the twin hears alone. Its answer, once the question is whole.
    async fn unheard(&mut self, bytes: &[u8], carried: &mut Carried) -> Result<Option<Vec<u8>>> {
        let Some(twin) = &mut self.twin else { return Ok(None) };
        let before = twin.truth.credit_frames;
        twin.hear(bytes);
        match timeout(SETTLE, twin.next_truth()).await {
            Ok(told) => told?,
            Err(_) => return Ok(None),
        }
        carried.said.credit_unheard += twin.truth.credit_frames.saturating_sub(before);
        twin.said().map(Some)
    }

    /// The device has dealt with what it heard.
    async fn answered(&mut self, socket: &mut TcpStream, carried: &mut Carried) -> Result<Going> {
        carried.open -= 1;
        let answer = self.device.said()?;
        if self.twin_follows(carried)
            && let Some(twin) = &mut self.twin
        {
            let _ = timeout(SETTLE, twin.next_truth()).await;
            twin.said()?;
        }
        self.deliver(answer, socket, carried).await
    }

    /// Sends an answer on, through the fault if this is its place.
    async fn deliver(
        &mut self,
        answer: Vec<u8>,
        socket: &mut TcpStream,
        carried: &mut Carried,
    ) -> Result<Going> {
        let exchange = carried.said.exchanges.len();
        let question = std::mem::take(&mut carried.question);
        carried.said.exchanges.push((question, answer.clone()));
        let Some(fault) = self.fault.as_ref().filter(|fault| fault.exchange == exchange) else {
            send(socket, &answer).await;
            return Ok(Going::On);
        };
        let spoiled = match fault.spoil(&answer) {
            Some(spoiled) => spoiled,
            None => self.others.get(exchange).cloned().unwrap_or_default(),
        };
        carried.dead = fault.then_dead;
        match fault.damage {
            Damage::HangUp => return Ok(Going::HungUp),
            Damage::Late => carried.late = Some((Instant::now() + FAULTY_REPLY * 5 / 4, spoiled)),
            _ => send(socket, &spoiled).await,
        }
        Ok(Going::On)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Going {
    On,
    HungUp,
}

#[derive(Debug, Default)]
struct Carried {
    said: Said,
    /// What the driver has sent since the last answer.
    question: Vec<u8>,
    /// Questions that the device has heard and has not told its state after. On a busy machine the
    /// driver may ask again before it has.
    open: usize,
    dead: bool,
    over: bool,
    late: Option<(Instant, Vec<u8>)>,
}

/// Nobody listens any more: the driver has given up, which is its own business.
async fn send(socket: &mut TcpStream, bytes: &[u8]) {
    let _ = socket.write_all(bytes).await;
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn settings(address: SocketAddr, faulty: bool) -> LineSettings {
    LineSettings {
        name: "certify".to_owned(),
        endpoint: Endpoint::Tcp { address: address.to_string() },
        inter_frame: Duration::ZERO,
        reply_timeout: if faulty { FAULTY_REPLY } else { SOUND_REPLY },
        byte_timeout: BYTE_PAUSE,
        total_timeout: Duration::from_secs(60),
    }
}
