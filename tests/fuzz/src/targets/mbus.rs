//! M-Bus by wire and by radio: telegrams, the layers above them, records.

use super::walk;
use polymeter_codec::Decoded;
use polymeter_codec::mbus::wireless::{self, Frame};
use polymeter_codec::mbus::{
    CompactFrame, Item, Layers, Message, Order, Records, SecondaryAddress, Telegram, Upper, decode,
    false_start, layers, message,
};

/// With the checksums of the air and without them. One that has them is as long as it says.
pub fn radio(bytes: &[u8]) {
    let mut room = [0; wireless::FRAME_BYTES_MAX];
    if let Decoded::Frame { frame, used } = wireless::decode(bytes) {
        assert!(used <= bytes.len() && frame.check_bits() >= 19);
        frame_of(frame.without_checksums(&mut room));
    }
    frame_of(bytes);
}

fn frame_of(bytes: &[u8]) {
    match Frame::new(bytes) {
        Ok(frame) => above(frame.ci, frame.data, Some(frame.sender)),
        Err(why) => drop(why.to_string()),
    }
}

/// What was not deciphered is not given out.
fn above(ci: u8, data: &[u8], sender: Option<SecondaryAddress>) {
    match layers(ci, data, sender) {
        Ok(Upper::Open(told)) => open(&told),
        Ok(Upper::Closed(closed)) => {
            assert!(closed.opened(closed.cipher).is_err(), "{data:02X?} as its own key stream");
        }
        Err(why) => drop(why.to_string()),
    }
}

fn open(told: &Layers<'_>) {
    if let Some(proof) = told.authentication.and_then(|layer| layer.proof().ok()) {
        assert!(proof.covered().count() > told.data.len() && !proof.is_proved_by(&[]));
    }
    said(told.ci, told.data);
}

/// A telegram is what it encodes to; its records end, and each one's value can be had.
pub fn telegrams(bytes: &[u8]) {
    walk(bytes, decode, false_start, |telegram, taken| {
        let mut encoded = [0; 300];
        let length = telegram.encode(&mut encoded).expect("room for any telegram");
        assert_eq!(&encoded[..length], taken, "{telegram:?}");
        if let Telegram::Long { ci, data, .. } = telegram {
            above(ci, data, None);
        }
    });
}

/// The first byte is the CI, the rest its data: most mutations of a telegram do not get so far.
pub fn records(bytes: &[u8]) {
    let Some((ci, data)) = bytes.split_first() else { return };
    above(*ci, data, None);
    for order in [Order::LowFirst, Order::HighFirst] {
        of_records(Records::new(data, order), data.len());
    }
}

fn said(ci: u8, data: &[u8]) {
    match message(ci, data) {
        Ok(Message::Data(message)) => {
            if let Ok(records) = message.records() {
                of_records(records, data.len());
            }
            let _ = message
                .sealed(None, None)
                .map(|sealed| of_records(sealed.plain_records(), data.len()));
        }
        Ok(Message::Fixed(fixed)) => drop(format!("{:?}", fixed.counters())),
        Ok(Message::Compact(compact)) => {
            if let Ok(frame) = CompactFrame::new(compact.data().body()) {
                let _ = frame.expanded(data, &mut [0; 512]);
            }
        }
        Ok(Message::Error(_) | Message::Other) => {}
        Err(bad) => drop(bad.to_string()),
    }
}

fn of_records(records: Records<'_>, bytes: usize) {
    let mut told = 0_usize;
    for item in records {
        told += 1;
        match item {
            Ok(Item::Record(record)) => {
                let _ = (record.value(), record.scaled(), record.meaning());
                assert!(record.qualifiers().count() <= 10, "ten VIFEs at most");
                assert!(record.codes().count() <= 11, "a VIF and ten VIFEs");
                assert!(record.digits().count() <= 2 * bytes);
                let _ = (record.error(), record.plain_text());
            }
            Ok(_) => {}
            Err(malformed) => {
                assert!(malformed.at <= bytes, "{malformed}");
                drop(malformed.to_string());
            }
        }
    }
    assert!(told <= bytes, "{told} records of {bytes} bytes");
}
