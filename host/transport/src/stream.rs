//! The open stream under a line: a serial port or a TCP connection.
//!
//! Invariant: a stream at its end is an error here, never a read of 0 bytes.
//! Not here: timing (`wire`), and who may use it (`owner`).

use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_serial::{SerialPort, SerialStream};

use crate::envelope::Enveloped;
use crate::limits::CONNECT_TIMEOUT;
use crate::settings::{Endpoint, Parity, SerialSettings};

/// Bytes both ways over anything else.
pub trait Channel: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin> Channel for T {}

/// Opens the far end of a line that is neither a port nor a socket, each time that it has to be opened.
#[derive(Clone)]
pub struct Opener(Arc<dyn Fn() -> io::Result<Box<dyn Channel>> + Send + Sync>);

impl Opener {
    pub fn new(open: impl Fn() -> io::Result<Box<dyn Channel>> + Send + Sync + 'static) -> Opener {
        Opener(Arc::new(open))
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

#[derive(Debug)]
pub(crate) enum Stream {
    Serial(SerialStream),
    Tcp {
        socket: TcpStream,
        /// The same socket, read past tokio, which answers "nothing there" from what it last
        /// heard of the kernel. A drain must see what has arrived since, or a late answer is
        /// taken for the next.
        direct: std::net::TcpStream,
    },
    Channel(Box<dyn Channel>),
}

impl Stream {
    pub(crate) fn of(opener: &Opener) -> io::Result<Stream> {
        Ok(Stream::Channel((opener.0)()?))
    }

    /// `byte_timeout`: quiet that ends what has begun ([`crate::LineSettings`]).
    pub(crate) async fn open(endpoint: &Endpoint, byte_timeout: Duration) -> io::Result<Stream> {
        match endpoint {
            Endpoint::Serial { path, baud, parity, stop_bits } => {
                let (baud, parity, stop_bits) = (*baud, *parity, *stop_bits);
                open_serial(path, SerialSettings { baud, parity, stop_bits }).await
            }
            Endpoint::Tcp { address } => {
                let socket = connect(address).await?;
                // The duplicate shares the socket's non-blocking mode.
                let direct = socket.as_fd().try_clone_to_owned()?.into();
                Ok(Stream::Tcp { socket, direct })
            }
            Endpoint::Enveloped { address, envelope } => {
                let socket = connect(address).await?;
                let inside = Enveloped::new(socket, envelope.clone(), byte_timeout);
                Ok(Stream::Channel(Box::new(inside)))
            }
        }
    }

    /// Other settings for an open port; nothing else has any.
    pub(crate) fn tune(&mut self, settings: SerialSettings) -> io::Result<()> {
        let Stream::Serial(port) = self else {
            let what = "only a serial line has baud rate and parity";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        };
        port.set_baud_rate(settings.baud)?;
        port.set_parity(parity_of(settings.parity))?;
        Ok(port.set_stop_bits(stop_bits_of(settings.stop_bits)?)?)
    }

    /// What is there now, without waiting; `None` when nothing is.
    pub(crate) fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match self {
            Stream::Serial(port) => port.try_read(buffer),
            Stream::Tcp { direct, .. } => direct.read(buffer),
            Stream::Channel(channel) => poll_once(channel, buffer),
        };
        match read {
            Ok(0) => Err(ended()),
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes of a connection that have arrived and nobody has read; no end to them at the end.
    #[cfg(test)]
    pub(crate) fn arrived(&self) -> usize {
        let Stream::Tcp { direct, .. } = self else { return 0 };
        direct
            .peek(&mut vec![0; 1 << 16])
            .map_or(0, |bytes| if bytes == 0 { usize::MAX } else { bytes })
    }

    /// What a port is set to.
    #[cfg(test)]
    pub(crate) fn baud(&self) -> Option<u32> {
        let Stream::Serial(port) = self else { return None };
        port.baud_rate().ok()
    }

    /// Waits for at least one byte.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Stream::Serial(port) => AsyncReadExt::read(port, buffer).await,
            Stream::Tcp { socket, .. } => socket.read(buffer).await,
            Stream::Channel(channel) => channel.read(buffer).await,
        };
        match read {
            Ok(0) => Err(ended()),
            other => other,
        }
    }

    /// Waits until the operating system takes at least one byte of a non-empty `bytes`.
    /// There is no flush: a socket has none, and a port's (tcdrain) blocks the thread for as long
    /// as the bytes are on the wire. `wire` reckons that time instead.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Stream::Serial(port) => AsyncWriteExt::write(port, bytes).await,
            Stream::Tcp { socket, .. } => socket.write(bytes).await,
            Stream::Channel(channel) => channel.write(bytes).await,
        };
        match written {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            other => other,
        }
    }
}

/// Nobody is woken later: whoever waits for bytes asks again.
fn poll_once(channel: &mut Box<dyn Channel>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = ReadBuf::new(buffer);
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(channel).poll_read(&mut context, &mut filled) {
        Poll::Ready(read) => read.map(|()| filled.filled().len()),
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let socket = connected.map_err(|_| {
        let waited_s = CONNECT_TIMEOUT.as_secs();
        io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {waited_s} s"))
    })??;
    // A frame is one small write that waits for its answer: the worst case for Nagle's delay.
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn parity_of(parity: Parity) -> tokio_serial::Parity {
    match parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    }
}

fn stop_bits_of(stop_bits: u8) -> io::Result<tokio_serial::StopBits> {
    match stop_bits {
        1 => Ok(tokio_serial::StopBits::One),
        2 => Ok(tokio_serial::StopBits::Two),
        other => Err(invalid(format!("{other} stop bits; a port has 1 or 2"))),
    }
}

async fn open_serial(path: &Path, settings: SerialSettings) -> io::Result<Stream> {
    let path = path.to_str().ok_or_else(|| invalid("the path is not UTF-8".to_owned()))?;
    let port = tokio_serial::new(path, settings.baud)
        .data_bits(tokio_serial::DataBits::Eight)
        .parity(parity_of(settings.parity))
        .stop_bits(stop_bits_of(settings.stop_bits)?)
        .flow_control(tokio_serial::FlowControl::None)
        .exclusive(true);
    // A USB adapter takes its settings by control transfers, which block.
    let opened = tokio::task::spawn_blocking(move || SerialStream::open(&port)).await;
    Ok(Stream::Serial(opened.map_err(io::Error::other)??))
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the far end closed the stream")
}
