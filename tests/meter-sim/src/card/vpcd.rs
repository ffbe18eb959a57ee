//! The side of vsmartcard's virtual reader that is a card: it connects to vpcd (TCP, port 35963 for the
//! first slot), which is to insert it, and closes to be pulled. Messages are two bytes of length, high
//! byte first, and that many bytes; one byte alone is an order (protocol page of vsmartcard).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::Card;

/// Where vpcd's first slot listens; the second one is at the next port.
pub const PORT: u16 = 35_963;

const POWER_OFF: u8 = 0;
const POWER_ON: u8 = 1;
const RESET: u8 = 2;
const TELL_ATR: u8 = 4;

/// A card in a slot of vpcd. Dropping it pulls the card.
#[derive(Debug)]
pub struct Inserted {
    stream: TcpStream,
    is_in: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Inserted {
    /// Puts a card into the slot that listens there.
    pub fn new(slot: SocketAddr, card: &Card) -> std::io::Result<Self> {
        let stream = TcpStream::connect(slot)?;
        stream.set_nodelay(true)?;
        let (serving, card) = (stream.try_clone()?, card.clone());
        let is_in = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&is_in);
        let thread = std::thread::spawn(move || {
            serve(&serving, &card);
            card.power_off();
            // A clone is kept for the pull, so only a shutdown tells vpcd.
            let _ = serving.shutdown(Shutdown::Both);
            told.store(false, Ordering::Release);
        });
        Ok(Self { stream, is_in, thread: Some(thread) })
    }

    /// Whether it still lies there: a fault may have pulled it, vpcd may have ended.
    pub fn is_in(&self) -> bool {
        self.is_in.load(Ordering::Acquire)
    }

    /// Takes the card out, now.
    pub fn pull(self) {
        drop(self);
    }
}

impl Drop for Inserted {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// vpcd sends length and message by two writes, and the second waits (Nagle) until the first is
/// acknowledged, which Linux puts off for 40 ms (tcp(7)): no chip is as slow as that.
fn acknowledge(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    // Without it the card is slow and as good.
    let _ = std::os::linux::net::TcpStreamExt::set_quickack(stream, true);
}

/// Until the card is pulled or vpcd goes.
fn serve(mut stream: &TcpStream, card: &Card) {
    loop {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        acknowledge(stream);
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut message).is_err() {
            return;
        }
        let reply = match message[..] {
            [] => continue,
            [POWER_OFF] => {
                card.power_off();
                continue;
            }
            [POWER_ON | RESET] => {
                card.power_on();
                continue;
            }
            [TELL_ATR] => card.atr(),
            [_] => continue,
            _ => match card.transmit(&message) {
                Ok(answer) => answer,
                Err(_) => return,
            },
        };
        let Ok(length) = u16::try_from(reply.len()) else { return };
        if stream.write_all(&[&length.to_be_bytes()[..], &reply].concat()).is_err() {
            return;
        }
    }
}
