//! The line against a real socket and a real pseudo-terminal.
//!
//! Not here: the order of the queue by itself (`queue`). Nothing in this crate is replaced.

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::limits::{
    DISCARD_BYTES, DISCARD_READS_MAX, RECEIVE_BYTES_MAX, SILENT_EXCHANGES_MAX, WAITING_MAX,
};
use crate::{
    Endpoint, Envelope, Line, LineCounters, LineError, LineLease, LineSettings, Parity, Part,
    Priority, SerialSettings, SiteClock, SiteTime,
};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

fn settings(endpoint: Endpoint) -> LineSettings {
    LineSettings {
        name: "L1".to_owned(),
        endpoint,
        inter_frame: Duration::ZERO,
        reply_timeout: LONG,
        byte_timeout: SHORT,
        total_timeout: LONG,
    }
}

/// A listening gateway, and the settings of a line to it.
async fn gateway() -> (TcpListener, LineSettings) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, settings(Endpoint::Tcp { address }))
}

/// A lease of a new line, and the far end of its connection.
async fn connected(settings: LineSettings, listener: &TcpListener) -> (Line, LineLease, TcpStream) {
    let line = Line::spawn(settings);
    let lease = sale(&line).await;
    let far = accept(listener).await;
    (line, lease, far)
}

async fn sale(line: &Line) -> LineLease {
    within(line.lease(Priority::Sale)).await.unwrap()
}

async fn accept(listener: &TcpListener) -> TcpStream {
    within(listener.accept()).await.unwrap().0
}

/// So that a broken line fails its test and does not hang it.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("this should have happened by now")
}

/// One request and its answer, told apart by their bytes.
async fn exchange(lease: &mut LineLease, far: &mut TcpStream, ask: &[u8], answer: &[u8]) {
    lease.send(ask).await.unwrap();
    expect(far, ask).await;
    far.write_all(answer).await.unwrap();
    assert_eq!(lease.receive(answer.len()).await.unwrap(), answer);
}

async fn expect(far: &mut TcpStream, bytes: &[u8]) {
    let mut heard = vec![0; bytes.len()];
    far.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, bytes);
}

/// Runs a future once and says whether it is done.
async fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

fn down_kind(error: &LineError) -> Option<ErrorKind> {
    match error {
        LineError::Down { source, .. } => Some(source.kind()),
        LineError::Busy { .. }
        | LineError::Silent { .. }
        | LineError::OutOfTime { .. }
        | LineError::Lent { .. } => None,
    }
}

/// A pseudo-terminal: its master, its slave's path, and the slave kept open as a cable would be.
fn terminal() -> (std::fs::File, PathBuf, OwnedFd) {
    let pair = nix::pty::openpty(None, None).unwrap();
    let path = nix::unistd::ttyname(&pair.slave).unwrap();
    (pair.master.into(), path, pair.slave)
}

#[tokio::test]
async fn a_round_trip_over_tcp_is_counted() {
    let (listener, settings) = gateway().await;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    exchange(&mut lease, &mut far, b"ask", b"reply").await;
    exchange(&mut lease, &mut far, b"more", b"yes").await;
    assert_eq!(lease.bytes_sent(), 7);
    let expected =
        LineCounters { frames_sent: 2, bytes_sent: 7, bytes_received: 8, ..Default::default() };
    assert_eq!(line.counters(), expected);
}

/// What the gateway says of itself comes first, between and behind, and never reaches the lease.
#[tokio::test]
async fn an_envelope_is_taken_off_and_put_on() {
    let clock = SiteClock::new(|| SiteTime {
        year: 26,
        month: 3,
        day: 2,
        weekday: 1,
        hour: 10,
        minute: 11,
        second: 12,
    });
    let envelope = Envelope {
        name: "test".to_owned(),
        start: b"{{".to_vec(),
        end: b"}}".to_vec(),
        through: 0x90,
        answers: vec![(0x84, vec![]), (0x93, vec![Part::Hour, Part::Byte(0x2A)])],
        clock,
    };
    let framed = |command: u8, payload: &[u8]| envelope_frame(&envelope, command, payload);
    let (listener, mut settings) = gateway().await;
    let Endpoint::Tcp { address } = settings.endpoint else { panic!("a gateway") };
    settings.endpoint = Endpoint::Enveloped { address, envelope: envelope.clone() };
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    // A registration is answered though nobody has sent or asked for anything.
    far.write_all(&framed(0x84, b"serial")).await.unwrap();
    within(expect(&mut far, &framed(0x84, b""))).await;
    lease.send(b"ask").await.unwrap();
    within(expect(&mut far, &framed(0x90, b"ask"))).await;
    let heartbeat = [framed(0x94, b""), framed(0x93, b"serial")].concat();
    far.write_all(&[heartbeat.as_slice(), &framed(0x90, b"rep}}ly"), &heartbeat].concat())
        .await
        .unwrap();
    assert_eq!(within(lease.receive(8)).await.unwrap(), b"rep}}ly");
    assert_eq!((lease.bytes_sent(), lease.bytes_heard()), (3, 7));
    let told = [framed(0x93, &[10, 0x2A]), framed(0x93, &[10, 0x2A])].concat();
    within(expect(&mut far, &told)).await;

    // A connection that ended is opened anew by the next lease.
    drop(far);
    let gone = within(lease.receive(1)).await.unwrap_err();
    assert_eq!(down_kind(&gone), Some(ErrorKind::UnexpectedEof));
    drop(lease);
    let mut lease = sale(&line).await;
    let mut far = accept(&listener).await;
    lease.send(b"again").await.unwrap();
    within(expect(&mut far, &framed(0x90, b"again"))).await;
}

/// Start, command, payload, CRC of both, end.
fn envelope_frame(envelope: &Envelope, command: u8, payload: &[u8]) -> Vec<u8> {
    let body = [&[command], payload].concat();
    let crc =
        body.iter().fold(0xFFFF_u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 }
            })
        });
    [envelope.start.as_slice(), &body, &crc.to_le_bytes(), &envelope.end].concat()
}

#[tokio::test]
async fn a_round_trip_over_a_serial_port_with_each_parity() {
    for parity in [Parity::None, Parity::Even, Parity::Odd] {
        let (mut master, path, _slave) = terminal();
        let endpoint = Endpoint::Serial { path, baud: 9600, parity, stop_bits: 1 };
        let line = Line::spawn(settings(endpoint));
        let mut lease = sale(&line).await;
        // Bytes that a terminal which is not raw would change or act on.
        let frame = [0x68, 0x00, 0x03, 0x0A, 0x0D, 0x11, 0x13, 0x7F, 0xFF, 0x16];
        lease.send(&frame).await.unwrap();
        let meter = tokio::task::spawn_blocking(move || {
            let mut heard = [0; 10];
            master.read_exact(&mut heard).unwrap();
            heard.reverse();
            master.write_all(&heard).unwrap();
            master
        });
        let answer = lease.receive(10).await.unwrap();
        assert!(answer.iter().rev().eq(&frame), "{parity:?}: {answer:02X?}");
        // The far end goes: the lease learns it, and the port cannot be opened again.
        drop(meter.await.unwrap());
        let error = lease.receive(1).await.unwrap_err();
        assert!(down_kind(&error).is_some(), "{error}");
        drop(lease);
        assert!(down_kind(&line.lease(Priority::Sale).await.unwrap_err()).is_some());
    }
}

#[test]
fn a_byte_on_a_serial_line_takes_its_bits() {
    let check = |parity, stop_bits, baud, expected_us| {
        let endpoint = Endpoint::Serial { path: PathBuf::new(), baud, parity, stop_bits };
        assert_eq!(endpoint.byte_time().as_micros(), expected_us, "{endpoint:?}");
    };
    check(Parity::None, 1, 9600, 1041);
    check(Parity::Even, 1, 2400, 4583);
    check(Parity::None, 2, 1200, 9166);
    check(Parity::None, 1, 0, 10_000_000); // Hostile, yet no division by zero.
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_opened_is_down_with_its_cause() {
    let serial = |path: &str, stop_bits| Endpoint::Serial {
        path: PathBuf::from(path),
        baud: 9600,
        parity: Parity::None,
        stop_bits,
    };
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cases = [
        (Endpoint::Tcp { address: free.to_string() }, ErrorKind::ConnectionRefused),
        (Endpoint::Tcp { address: "no port here".to_owned() }, ErrorKind::InvalidInput),
        (serial("/dev/there-is-no-such-port", 1), ErrorKind::NotFound),
        (serial("/dev/null", 3), ErrorKind::InvalidInput),
    ];
    for (endpoint, expected) in cases {
        let line = Line::spawn(settings(endpoint.clone()));
        let error = line.lease(Priority::RoutineRead).await.unwrap_err();
        assert_eq!(down_kind(&error), Some(expected), "{endpoint:?}: {error:?}");
        assert_eq!(line.counters(), LineCounters::default());
    }
}

#[tokio::test]
async fn a_dead_gateway_is_not_tried_by_every_caller_and_is_found_when_it_is_back() {
    let (listener, settings) = gateway().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let line = Line::spawn(settings);
    assert!(line.lease(Priority::Sale).await.is_err());
    let listener = TcpListener::bind(address).await.unwrap();
    let error = line.lease(Priority::Sale).await.unwrap_err();
    assert_eq!(down_kind(&error), Some(ErrorKind::ConnectionRefused), "remembered, not tried");
    let mut lease = loop {
        match line.lease(Priority::Sale).await {
            Ok(lease) => break lease,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let mut far = accept(&listener).await;
    exchange(&mut lease, &mut far, b"ask", b"reply").await;
}

#[tokio::test]
async fn everybody_in_the_queue_learns_that_the_line_is_down() {
    let (listener, settings) = gateway().await;
    let (line, lease, far) = connected(settings, &listener).await;
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let line = line.clone();
            tokio::spawn(async move { line.lease(Priority::AlarmRead).await.map(drop) })
        })
        .collect();
    within(line.until_waiting(3)).await;
    drop((far, listener));
    within(lease.until_arrived(1)).await;
    drop(lease);
    for waiter in waiters {
        let error = waiter.await.unwrap().unwrap_err();
        assert_eq!(down_kind(&error), Some(ErrorKind::ConnectionRefused));
    }
}

#[tokio::test]
async fn an_answer_may_trickle_be_cut_short_or_be_longer_than_wanted() {
    let (listener, settings) = gateway().await;
    let (_line, mut lease, mut far) = connected(settings, &listener).await;
    far.set_nodelay(true).unwrap();
    lease.send(b"trickle").await.unwrap();
    let (answer, ()) = tokio::join!(lease.receive(5), async {
        for byte in b"bytes" {
            tokio::task::yield_now().await;
            far.write_all(&[*byte]).await.unwrap();
        }
    });
    assert_eq!(answer.unwrap(), b"bytes");

    lease.send(b"cut").await.unwrap();
    far.write_all(b"by").await.unwrap();
    let asked_at = Instant::now();
    assert_eq!(lease.receive(5).await.unwrap(), b"by");
    assert!(asked_at.elapsed() >= SHORT, "quiet for the byte timeout came first");

    lease.send(b"longer").await.unwrap();
    far.write_all(b"bytes").await.unwrap();
    assert_eq!(lease.receive(0).await.unwrap(), b"bytes", "never empty, and all that is there");
}

#[tokio::test]
async fn one_receive_is_bounded_and_the_next_has_the_rest() {
    let (listener, settings) = gateway().await;
    let (_line, mut lease, mut far) = connected(settings, &listener).await;
    lease.send(b"flood").await.unwrap();
    let flood = vec![7; RECEIVE_BYTES_MAX + 100];
    far.write_all(&flood).await.unwrap();
    let mut heard = 0;
    while heard < flood.len() {
        let part = lease.receive(usize::MAX).await.unwrap();
        assert!(part.len() <= RECEIVE_BYTES_MAX, "{} bytes at once", part.len());
        heard += part.len();
    }
    assert_eq!(heard, flood.len());
}

#[tokio::test]
async fn nothing_within_the_reply_timeout_is_silence() {
    let (listener, mut settings) = gateway().await;
    settings.reply_timeout = SHORT;
    let (_line, mut lease, _far) = connected(settings, &listener).await;
    let asked_at = Instant::now();
    lease.send(b"ask").await.unwrap();
    let error = lease.receive(1).await.unwrap_err();
    assert!(matches!(error, LineError::Silent { .. }), "{error}");
    assert!(asked_at.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_late_answer_is_thrown_away_and_never_matched_to_the_next_ask() {
    let (listener, mut settings) = gateway().await;
    settings.reply_timeout = SHORT;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    lease.send(b"one").await.unwrap();
    assert!(lease.receive(4).await.is_err());
    expect(&mut far, b"one").await;
    far.write_all(b"late").await.unwrap();
    within(lease.until_arrived(4)).await;
    exchange(&mut lease, &mut far, b"two", b"this").await;
    assert_eq!(line.counters().bytes_late, 4);

    // The same across leases, and when drained by hand.
    far.write_all(b"noise").await.unwrap();
    within(lease.until_arrived(5)).await;
    drop(lease);
    let mut lease = sale(&line).await;
    exchange(&mut lease, &mut far, b"three", b"that").await;
    far.write_all(b"!!").await.unwrap();
    within(lease.until_arrived(2)).await;
    assert_eq!(lease.drain().await.unwrap(), 2);
    assert_eq!(lease.drain().await.unwrap(), 0);
    assert_eq!(line.counters().bytes_late, 11);
}

#[tokio::test]
async fn more_late_bytes_than_one_round_takes_are_all_thrown_away() {
    let round = DISCARD_BYTES * DISCARD_READS_MAX;
    let (listener, settings) = gateway().await;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    far.write_all(&vec![0x55; round + 5000]).await.unwrap();
    within(lease.until_arrived(round + 5000)).await;
    exchange(&mut lease, &mut far, b"ask", b"reply").await;
    assert_eq!(line.counters().bytes_late, u64::try_from(round + 5000).unwrap());
}

#[tokio::test]
async fn after_a_cancelled_exchange_the_next_waits_for_its_answer_and_throws_it_away() {
    let (listener, mut settings) = gateway().await;
    settings.inter_frame = SHORT;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    lease.send(b"one").await.unwrap();
    expect(&mut far, b"one").await;
    assert!(tokio::time::timeout(Duration::ZERO, lease.receive(3)).await.is_err());
    drop(lease);

    let mut lease = sale(&line).await;
    let (sent, old_at) = tokio::join!(lease.send(b"two"), async {
        far.write_all(b"old").await.unwrap();
        let old_at = Instant::now();
        expect(&mut far, b"two").await;
        old_at
    });
    sent.unwrap();
    assert!(old_at.elapsed() >= SHORT, "the gap was not kept");
    far.write_all(b"new").await.unwrap();
    assert_eq!(lease.receive(3).await.unwrap(), b"new");
    assert_eq!(line.counters().bytes_late, 3);
}

#[tokio::test]
async fn an_answer_cancelled_half_way_is_waited_out() {
    let (listener, settings) = gateway().await;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    lease.send(b"one").await.unwrap();
    far.write_all(b"half").await.unwrap();
    {
        let mut receive = pin!(lease.receive(8));
        while line.counters().bytes_received < 4 {
            assert!(!is_ready(&mut receive).await);
            tokio::task::yield_now().await;
        }
    }
    drop(lease);
    let mut lease = sale(&line).await;
    let (sent, ()) = tokio::join!(lease.send(b"two"), async {
        far.write_all(b"rest").await.unwrap();
    });
    sent.unwrap();
    far.write_all(b"new").await.unwrap();
    assert_eq!(lease.receive(3).await.unwrap(), b"new");
    assert_eq!(line.counters().bytes_late, 4);
}

#[tokio::test]
async fn an_answer_that_never_came_is_waited_for_no_longer_than_its_time() {
    let (listener, mut settings) = gateway().await;
    settings.reply_timeout = Duration::from_millis(80);
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    let sent_at = Instant::now();
    lease.send(b"one").await.unwrap();
    drop(lease);
    let mut lease = sale(&line).await;
    lease.send(b"two").await.unwrap();
    assert!(sent_at.elapsed() >= Duration::from_millis(80), "two frames were in flight");
    expect(&mut far, b"onetwo").await;
}

#[tokio::test]
async fn the_gap_is_kept_after_either_side_spoke_and_across_leases() {
    let (listener, mut settings) = gateway().await;
    settings.inter_frame = Duration::from_millis(60);
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    for _ in 0..2 {
        exchange(&mut lease, &mut far, b"ask", b"reply").await;
        let heard_at = Instant::now();
        drop(lease);
        lease = sale(&line).await;
        lease.send(b"next").await.unwrap();
        assert!(heard_at.elapsed() >= Duration::from_millis(59), "{:?}", heard_at.elapsed());
        expect(&mut far, b"next").await;
        far.write_all(b"ok").await.unwrap();
        lease.receive(2).await.unwrap();
    }
}

#[tokio::test]
async fn a_serial_answer_is_waited_for_from_when_the_last_byte_left_the_port() {
    let (_master, path, _slave) = terminal();
    // 12 bytes of 10 bits at 1200 baud are 100 ms on the wire, though the kernel takes them at
    // once.
    let endpoint = Endpoint::Serial { path, baud: 1200, parity: Parity::None, stop_bits: 1 };
    let line = Line::spawn(LineSettings { reply_timeout: SHORT, ..settings(endpoint) });
    let mut lease = sale(&line).await;
    let sent_at = Instant::now();
    lease.send(&[0x55; 12]).await.unwrap();
    assert!(matches!(lease.receive(1).await, Err(LineError::Silent { .. })));
    assert!(sent_at.elapsed() >= Duration::from_millis(129), "{:?}", sent_at.elapsed());
}

#[tokio::test]
async fn other_settings_of_a_port_end_with_their_lease() {
    let (_master, path, _slave) = terminal();
    let endpoint = Endpoint::Serial { path, baud: 115_200, parity: Parity::None, stop_bits: 1 };
    let line = Line::spawn(LineSettings { reply_timeout: SHORT, ..settings(endpoint) });
    let mut lease = sale(&line).await;
    assert_eq!(lease.baud(), Some(115_200));
    let slow = SerialSettings { baud: 1200, parity: Parity::Even, stop_bits: 1 };
    assert_eq!(slow.to_string(), "1200 8E1");
    lease.tune(slow).unwrap();
    assert_eq!(lease.baud(), Some(1200));
    // 12 bytes of 11 bits are 110 ms on the wire, and the silence is reckoned from their end.
    let sent_at = Instant::now();
    lease.send(&[0x55; 12]).await.unwrap();
    assert!(matches!(lease.receive(1).await, Err(LineError::Silent { .. })));
    assert!(sent_at.elapsed() >= Duration::from_millis(139), "{:?}", sent_at.elapsed());
    let odd = SerialSettings { stop_bits: 3, ..slow };
    assert!(lease.tune(odd).unwrap_err().to_string().contains("down"));
    // In another's hands it is the same port.
    let taken = lease.take();
    assert!(matches!(lease.tune(slow), Err(LineError::Lent { .. })));
    drop((taken, lease));
    assert_eq!(sale(&line).await.baud(), Some(115_200));

    let (listener, settings) = gateway().await;
    let (_line, mut lease, _far) = connected(settings, &listener).await;
    assert!(down_kind(&lease.tune(slow).unwrap_err()) == Some(ErrorKind::Unsupported));
}

#[tokio::test]
async fn the_line_goes_to_the_highest_class_that_waits() {
    let (listener, settings) = gateway().await;
    let (line, lease, _far) = connected(settings, &listener).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let asks =
        [Priority::RoutineRead, Priority::AlarmRead, Priority::SupplyControl, Priority::Sale];
    let mut waiters = Vec::new();
    for priority in asks {
        let (asked, order) = (line.clone(), Arc::clone(&order));
        waiters.push(tokio::spawn(async move {
            let _lease = asked.lease(priority).await.unwrap();
            order.lock().unwrap().push(priority);
        }));
        within(line.until_waiting(waiters.len())).await;
    }
    drop(lease);
    for waiter in waiters {
        waiter.await.unwrap();
    }
    let mut expected = asks;
    expected.reverse();
    assert_eq!(*order.lock().unwrap(), expected);
}

/// On one thread, what is asked before the owner runs again is there when it chooses.
#[tokio::test]
async fn a_sale_that_asks_while_the_line_is_returned_or_opened_still_goes_first() {
    let (_listener, settings) = gateway().await;
    let line = Line::spawn(settings);
    for what in ["opened", "returned"] {
        let lease = if what == "returned" { Some(sale(&line).await) } else { None };
        let mut read = Box::pin(line.lease(Priority::RoutineRead));
        assert!(!is_ready(&mut read).await);
        // Now the owner has heard of the read, and waits for the connection or the lease.
        tokio::task::yield_now().await;
        drop(lease);
        let mut first = Box::pin(line.lease(Priority::Sale));
        assert!(!is_ready(&mut first).await);
        tokio::select! {
            biased;
            _ = &mut read => panic!("{what}: the read went first"),
            lease = within(&mut first) => drop(lease.unwrap()),
        }
        drop(within(read).await.unwrap());
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_has_room_again_when_waiters_leave() {
    let (listener, settings) = gateway().await;
    let (line, lease, _far) = connected(settings, &listener).await;
    let waiters: Vec<_> = (0..WAITING_MAX)
        .map(|_| {
            let line = line.clone();
            tokio::spawn(async move { line.lease(Priority::RoutineRead).await.map(drop) })
        })
        .collect();
    within(line.until_waiting(WAITING_MAX)).await;
    let error = within(line.lease(Priority::Sale)).await.unwrap_err();
    assert!(matches!(error, LineError::Busy { waiting: WAITING_MAX, .. }), "{error}");
    for waiter in waiters {
        waiter.abort();
        assert!(waiter.await.unwrap_err().is_cancelled());
    }
    within(line.until_waiting(0)).await;
    drop(lease);
    drop(sale(&line).await);
}

#[tokio::test]
async fn a_caller_that_leaves_as_it_is_granted_gives_the_line_back() {
    let (listener, settings) = gateway().await;
    let (line, lease, _far) = connected(settings, &listener).await;
    let mut leaving = Box::pin(line.lease(Priority::Sale));
    assert!(!is_ready(&mut leaving).await);
    drop(lease);
    // Single-threaded: the owner runs here, and leaves the lease in the channel unseen.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    drop(leaving);
    drop(sale(&line).await);
}

#[tokio::test]
async fn the_far_end_may_close_between_leases_and_nobody_notices() {
    let (listener, settings) = gateway().await;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    exchange(&mut lease, &mut far, b"ask", b"reply").await;
    drop(far);
    within(lease.until_arrived(1)).await;
    drop(lease);
    let mut lease = sale(&line).await;
    let mut far = accept(&listener).await;
    exchange(&mut lease, &mut far, b"ask", b"reply").await;
    assert_eq!(line.counters().reconnects, 1);
}

#[tokio::test]
async fn a_stream_that_breaks_in_an_exchange_is_down_for_the_lease_and_up_for_the_next() {
    let (listener, settings) = gateway().await;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    lease.send(b"ask").await.unwrap();
    expect(&mut far, b"ask").await;
    drop(far);
    let error = lease.receive(1).await.unwrap_err();
    assert_eq!(down_kind(&error), Some(ErrorKind::UnexpectedEof));
    for error in [lease.send(b"x").await.unwrap_err(), lease.receive(1).await.unwrap_err()] {
        assert_eq!(down_kind(&error), Some(ErrorKind::NotConnected));
    }
    assert_eq!(lease.bytes_sent(), 3);
    drop(lease);
    let mut lease = sale(&line).await;
    assert_eq!(lease.bytes_sent(), 0, "counted per lease");
    let mut far = accept(&listener).await;
    // The answer to "ask" may yet come, over the new connection: what is due outlives the stream.
    far.write_all(b"old").await.unwrap();
    exchange(&mut lease, &mut far, b"two", b"reply").await;
}

#[tokio::test]
async fn no_byte_is_counted_when_the_stream_ended_before_the_write() {
    let (listener, settings) = gateway().await;
    let (line, mut lease, far) = connected(settings, &listener).await;
    drop(far);
    within(lease.until_arrived(1)).await;
    let error = lease.send(b"sell").await.unwrap_err();
    assert_eq!(down_kind(&error), Some(ErrorKind::UnexpectedEof));
    assert_eq!((lease.bytes_sent(), line.counters().bytes_sent), (0, 0));
}

#[tokio::test]
async fn a_write_that_stops_half_way_counts_what_the_system_took() {
    let (listener, mut settings) = gateway().await;
    settings.total_timeout = Duration::from_millis(200);
    let (line, mut lease, _far) = connected(settings, &listener).await;
    // More than any socket buffer holds, to a far end that does not read.
    let frame = vec![0; 64 << 20];
    let error = lease.send(&frame).await.unwrap_err();
    assert!(matches!(error, LineError::OutOfTime { total_ms: 200, .. }), "{error}");
    let sent = usize::try_from(lease.bytes_sent()).unwrap();
    assert!(0 < sent && sent < frame.len(), "{sent}");
    assert_eq!(line.counters().frames_sent, 0);
}

#[tokio::test]
async fn a_lease_has_its_time_and_no_more() {
    let (listener, mut settings) = gateway().await;
    settings.total_timeout = SHORT;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    lease.send(b"ask").await.unwrap();
    for error in [lease.receive(1).await.unwrap_err(), lease.send(b"x").await.unwrap_err()] {
        assert!(matches!(error, LineError::OutOfTime { .. }), "{error}");
    }
    drop(lease);

    // A far end that never stops talking cannot keep a sender either.
    let babble = tokio::spawn(async move { while far.write_all(&[0x55; 4096]).await.is_ok() {} });
    let mut lease = sale(&line).await;
    let error = lease.send(b"sell").await.unwrap_err();
    assert!(matches!(error, LineError::OutOfTime { .. }), "{error}");
    assert_eq!(lease.bytes_sent(), 0);
    babble.abort();
}

#[tokio::test]
async fn a_right_is_moved_out_and_put_back() {
    let (listener, settings) = gateway().await;
    let (line, mut lease, mut far) = connected(settings, &listener).await;
    exchange(&mut lease, &mut far, b"ask", b"reply").await;
    let mut lent = lease.take();
    for error in [
        lease.send(b"x").await.unwrap_err(),
        lease.receive(1).await.unwrap_err(),
        lease.drain().await.unwrap_err(),
        lease.take().drain().await.unwrap_err(),
    ] {
        assert!(matches!(error, LineError::Lent { .. }), "{error}");
    }
    exchange(&mut lent, &mut far, b"lent", b"reply").await;
    assert_eq!((lent.bytes_sent(), lease.bytes_sent()), (7, 7), "the shell must not say 0");
    {
        let mut other = Box::pin(line.lease(Priority::Sale));
        for _ in 0..10 {
            assert!(!is_ready(&mut other).await, "two hold the line");
            tokio::task::yield_now().await;
        }
    }
    lease = lent;
    exchange(&mut lease, &mut far, b"back", b"reply").await;
    assert_eq!(lease.bytes_sent(), 11);

    // A store that is thrown away with the line in it gives it back, shell or no shell.
    drop(lease.take());
    drop(sale(&line).await);
    assert_eq!(lease.bytes_sent(), 11);
}

#[tokio::test]
async fn a_connection_that_only_looks_alive_is_opened_anew() {
    let (listener, mut settings) = gateway().await;
    settings.reply_timeout = Duration::from_millis(1);
    let line = Line::spawn(settings);
    for _ in 0..SILENT_EXCHANGES_MAX {
        let mut lease = sale(&line).await;
        lease.send(b"ask").await.unwrap();
        assert!(matches!(lease.receive(1).await, Err(LineError::Silent { .. })));
    }
    assert_eq!(line.counters().reconnects, 0);
    let _dead = accept(&listener).await;
    drop(sale(&line).await);
    let _fresh = accept(&listener).await;
    assert_eq!(line.counters().reconnects, 1);
}

#[tokio::test]
async fn the_task_ends_with_the_last_handle_and_closes_the_stream() {
    let (listener, settings) = gateway().await;
    let (line, lease, mut far) = connected(settings, &listener).await;
    drop((line.clone(), line));
    let mut heard = [0; 1];
    {
        let mut end = pin!(far.read(&mut heard));
        assert!(!is_ready(&mut end).await, "a lease outlives the handles");
        drop(lease);
        let length = tokio::time::timeout(LONG, end).await.expect("the task lives on").unwrap();
        assert_eq!(length, 0);
    }
}

/// Writes down what is told of frames, in hexadecimal.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            let mut log = self.0.lock().unwrap();
            *log += &format!("{field}={value:?} ");
        });
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn bytes_of_an_unlogged_line_are_in_no_log() {
    for (is_logged, spawn) in
        [(true, Line::spawn as fn(LineSettings) -> Line), (false, Line::unlogged)]
    {
        let log = Log::default();
        let _guard = tracing::subscriber::set_default(log.clone());
        let (listener, settings) = gateway().await;
        let line = spawn(settings);
        let (lease, far) = tokio::join!(sale(&line), accept(&listener));
        let (mut lease, mut far) = (lease, far);
        exchange(&mut lease, &mut far, &[0xAB, 0xCD], &[0xEF, 0x12]).await;
        far.write_all(&[0x77]).await.unwrap();
        lease.until_arrived(1).await;
        lease.drain().await.unwrap();
        let log = log.0.lock().unwrap().clone();
        for bytes in ["AB CD", "EF 12", "77"] {
            assert_eq!(log.contains(&format!("bytes={bytes}")), is_logged, "{bytes}: {log}");
        }
    }
}
