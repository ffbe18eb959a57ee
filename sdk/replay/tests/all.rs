//! A play passes when the driver does what stands there, and names file and line when it does not.
//! The driver here is as small as one can be: it asks one byte, signs it and sends the signature.

use polymeter_driver::{
    Call, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras, Host, Identity,
    Key, LocalTime, MeterDriver, Opening, Order, Receipt, SellOutcome, SetOutcome, Snapshot,
};
use polymeter_replay::{Player, Transcript, check_folder, perform};

struct Small;

impl MeterDriver for Small {
    fn describe() -> Description {
        Description {
            vendor_code: "SMALL".into(),
            name: "small".into(),
            version: "1".into(),
            models: vec![],
            proof: 0,
            purse: 0,
            parameters: vec![],
        }
    }
    fn probe(_: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        let extras = call.parameters.clone();
        Ok(Identity { address: call.address.clone(), model: String::new(), extras })
    }
    fn read(_: &mut dyn Host, _: &Call) -> Result<Snapshot, DriverError> {
        Err(DriverError::new(9, "no reading"))
    }
    fn open(_: &mut dyn Host, _: &Call, _: &Opening) -> Result<SellOutcome, DriverError> {
        Ok(SellOutcome::Unknown("never opened".into()))
    }
    fn sell(host: &mut dyn Host, _: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
        host.send(&[1])?;
        let answer = host.receive(1)?;
        let key = Key { label: "purse".into(), path: vec![] };
        let mac = host.mac(&key, 1, &[0; 8], &answer)?;
        host.send(&mac)?;
        let balance = Some(order.purchase.credit);
        Ok(SellOutcome::Confirmed(Receipt { count: order.purchase.count, balance, extras: vec![] }))
    }
    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        Err(DriverError::new(9, "never"))
    }
    fn check(_: &mut dyn Host, _: &Call, count: Option<u32>) -> Result<Evidence, DriverError> {
        Ok(Evidence { count: count.unwrap_or(0), purchase: None, balance: None })
    }
    fn control(
        _: &mut dyn Host,
        _: &Call,
        command: u16,
        _: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        Ok(ControlOutcome::Confirmed(command))
    }
    fn set_parameters(
        _: &mut dyn Host,
        _: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        Ok(SetOutcome::Unknown(format!("{} parameters", parameters.len())))
    }
    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        Err(format!("{} bytes", frame.len()))
    }
}

/// Expects `ok`, or the beginning of the message of the error.
fn check(text: &str, expected: &str) {
    let played = Transcript::parse("small", text).map_err(|error| error.to_string());
    let played = played.and_then(|transcript| {
        let mut player = Player::new(&transcript);
        let outcome = perform::<Small>(&mut player, &transcript.request);
        player.finish(&outcome).map_err(|error| error.to_string())
    });
    let found = played.map_or_else(|error| error, |()| "ok".to_owned());
    assert!(found.starts_with(expected), "{text}\nexpected {expected}\nbut got {found}");
}

const SALE: &str = "source: synthetic\n# a comment\n\n\
    call: sell count=17 customer=7\n  amount=money:5\n\
    > 01 # ask\n< 02\nvault mac purse algorithm=1 iv=0000000000000000 data=02 = aabb\n> AABB\n\
    result: confirmed count=17 balance=money:5";

#[test]
fn a_play_follows_the_transcript() {
    check(SALE, "ok");
    check(
        &SALE.replace("result: confirmed count=17 balance=money:5", "result: confirmed ..."),
        "ok",
    );
    check(&SALE.replace("> 01", "> 03"), "small:6: expected\n> 03\nbut got\n> 01");
    check(&SALE.replace("data=02", "data=03"), "small:8: expected\nvault mac");
    check(
        &SALE.replace("data=02", "associated=01 data=02"),
        "small:8: `mac` takes no `associated=`",
    );
    check(&SALE.replace("data=02", "iv=01 data=02"), "small:8: `iv=01` does not belong");
    check(&SALE.replace("> AABB", "> AABB\n> 05"), "small:10: the driver ended before `> 05`");
    check(&SALE.replace("> AABB\n", ""), "small:9: the call should be over");
    check(&SALE.replace("balance=money:5", "balance=money:6"), "small:10: expected");
    check(
        &SALE.replace("< 02\n", "< (silence)\n").replace("confirmed", "error code=1 ... #"),
        "small:8: the driver ended before",
    );
    check(&SALE.replace("= aabb", "= refused 1"), "small:9: the driver ended before");
}

/// `check_one`: a call without a line, and its result.
fn check_call(call: &str, result: &str) {
    check(&format!("source: synthetic\ncall: {call}\nresult: {result}"), "ok");
}

#[test]
fn calls_and_results() {
    check_call(
        "probe address=12 param.a=number:-5e-2 param.b=text:x:y param.c=flag:true \
         param.d=bytes:0AfF \
         param.e=time:2026-03-02T10:11:12",
        "identity address=12 model=\n  extra a = number:-5e-2\n  extra b = text:x:y\n  \
         extra c = flag:true\n  extra d = bytes:0aff\n  extra e = time:2026-03-02T10:11:12",
    );
    check_call("read", "error code=9 no reading");
    check_call("open customer=1 count=0 amount=energy:0", "unknown never opened");
    check_call("clear", "error code=9 ...");
    check_call("check", "evidence count=0 purchase=none balance=none");
    check_call("check count=8", "evidence count=8 purchase=none balance=none");
    check_call("control command=2 valid-until=2026-03-02T10:11:12", "confirmed supply=2");
    check_call("set-parameters set.x=number:1 set.y=flag:false", "unknown 2 parameters");
    check_call("decode frame=010203", "failed 3 bytes");
    check_call("describe", "description vendor=SMALL name=small version=1 models= proof=0 purse=0");
}

#[test]
fn a_wrong_transcript_is_refused_with_its_line() {
    let refused = [
        ("call: read", "small:1: `source:` must come first"),
        ("source:", "small:1: one `source:`"),
        ("source: x\n> 01", "small:2: `call:` must follow"),
        ("source: x\ncall: read", "small:2: no `result:`"),
        ("source: x\ncall: read\n> 0", "small:3: `0` is not bytes"),
        ("source: x\ncall: read\n> (silence)", "small:3: nobody is silent"),
        ("source: x\ncall: read\nresult: a\n> 01", "small:4: nothing may follow"),
        ("source: x\ncall: read\nvault mac purse = 00", "small:3: not a vault line"),
        ("source: x\ncall: read\nvalt", "small:3: `valt` begins like no line"),
        ("source: x\ncall: read a=1 a=2", "small:2: `a` stands there twice"),
        ("source: x\ncall: read a", "small:2: `a` is not name=value"),
        ("source: x\ncall: read colour=1\nresult: x", "small:2: `read` takes no `colour`"),
        ("source: x\ncall: sell count=1 customer=1\nresult: x", "small:2: `amount=` is missing"),
        ("source: x\ncall: sing\nresult: x", "small:2: `sing` is no call"),
        ("source: x\ncall: read now=2026\nresult: x", "small:2: `2026` is not a time"),
    ];
    for (text, expected) in refused {
        check(text, expected);
    }
}

#[test]
fn a_folder_without_transcripts_is_a_failure() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    assert!(check_folder::<Small>(folder.as_ref()).is_err());
}

#[test]
fn vault_lines_are_written_as_they_are_read() {
    for line in [
        "vault mac purse algorithm=3 data= = 0011",
        "vault mac purse@3 algorithm=1 iv=0000000000000000 data=02 = 0011",
        "vault encrypt purse/1:00 algorithm=1 data=0001 = 0011",
        "vault encrypt meter algorithm=3 iv=0a data=0001 = 0011",
        "vault decrypt meter algorithm=4 iv=0a associated=30 data=0001 = refused 6",
        "vault encrypt meter algorithm=7 associated=30 data=0001 = 0011",
        "vault random 8 = 0001020304050607",
    ] {
        let text = format!("source: synthetic\ncall: read\n{line}\nresult: x");
        let transcript = Transcript::parse("small", &text).expect(line);
        let events: Vec<_> = transcript.entries.iter().map(|entry| entry.to_string()).collect();
        assert_eq!(events, [line]);
    }
}
