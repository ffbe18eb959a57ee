//! A line that does what it likes: an answer is the asked meter's or none, and every call ends.

use driver_dlt645_1997::Dlt645Of1997;
use polymeter_codec::dlt645::{Data, Frame};
use polymeter_driver::codes::line;
use polymeter_driver::{Call, Host, LineError, LocalTime, MeterDriver, Value};
use proptest::prelude::*;

struct Line {
    replies: Vec<Vec<u8>>,
    receives: usize,
}

impl Host for Line {
    fn send(&mut self, _: &[u8]) -> Result<(), LineError> {
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        self.receives += 1;
        let reply = self.replies.pop().filter(|reply| !reply.is_empty());
        reply.ok_or(LineError { code: line::SILENT, detail: String::new() })
    }
    polymeter_replay::no_vault!();
}

fn any_reply() -> impl Strategy<Value = Vec<u8>> {
    let control = prop::sample::select(vec![0x81_u8, 0xA1, 0xC1, 0x82, 0xA2, 0x84, 0xC4, 0x01]);
    let identifier = prop::sample::select(vec![0x901F_u16, 0x9010, 0xB61F, 0xC010, 0xC011, 0xC033]);
    let address = prop::sample::select(vec!["000000000001", "000000000002", "AAAAAAAAAAAA"]);
    let data = prop::collection::vec(any::<u8>(), 0..40);
    let frame =
        (control, identifier, address, data).prop_map(|(control, identifier, address, data)| {
            let data = [&identifier.to_le_bytes()[..], &data].concat();
            let data = Data::new(&data).unwrap();
            let frame = Frame { address: address.parse().unwrap(), control, data };
            let mut bytes = vec![0; frame.encoded_length()];
            frame.encode(&mut bytes).unwrap();
            bytes
        });
    prop_oneof![8 => frame, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn every_call_ends(replies in prop::collection::vec(any_reply(), 0..60), anonymous: bool) {
        let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 11, second: 12 };
        let parameters = vec![("anonymous".to_owned(), Value::Flag(anonymous))];
        let address = "000000000001".to_owned();
        let call = Call { address, parameters, now, nonce: vec![0; 16] };
        let mut host = Line { replies, receives: 0 };
        let _ = Dlt645Of1997::read(&mut host, &call);
        let _ = Dlt645Of1997::probe(&mut host, &call);
        let set = vec![("customer-number".to_owned(), Value::Text("7".to_owned()))];
        let _ = Dlt645Of1997::set_parameters(&mut host, &call, &set);
        prop_assert!(host.receives <= 16 * 40);
    }
}
