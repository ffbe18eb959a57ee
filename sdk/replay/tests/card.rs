//! A driver of cards plays as a driver of meters does. The one here is as small as one can be: its cards
//! have their vendor in the first two bytes, their number behind it, and one byte that counts.

use polymeter_driver::{
    Call, CardContents, CardDriver, CardIdentity, CardOrder, Description, DriverError, Host, Key,
    Receipt, Secret, SellOutcome, codes,
};
use polymeter_replay::{Player, Transcript, perform_card};

struct Small;

fn identity(host: &mut dyn Host) -> Result<Option<CardIdentity>, DriverError> {
    if host.inserted()?.kind != codes::card::SLE4442 {
        return Ok(None);
    }
    let head = host.read_card(0, 4)?;
    let Some(serial) = head.strip_prefix(b"SM") else { return Ok(None) };
    Ok(Some(CardIdentity {
        vendor_code: "SMALL".to_owned(),
        purpose: codes::card::purpose::USER,
        region: String::new(),
        customer_number: String::new(),
        device: String::new(),
        serial: serial.iter().map(|byte| format!("{byte:02X}")).collect(),
    }))
}

fn never() -> Result<SellOutcome, DriverError> {
    Err(DriverError::new(codes::error::UNSUPPORTED, "never"))
}

impl CardDriver for Small {
    fn describe() -> Description {
        Description {
            vendor_code: "SMALL".to_owned(),
            name: "small".to_owned(),
            version: "1".to_owned(),
            models: vec![],
            proof: 1,
            purse: 1,
            parameters: vec![],
        }
    }
    fn identify(host: &mut dyn Host, _: &Call) -> Result<Option<CardIdentity>, DriverError> {
        identity(host)
    }
    fn check(host: &mut dyn Host, _: &Call) -> Result<CardContents, DriverError> {
        // A driver of cards has no line.
        host.send(&[1])?;
        Err(DriverError::new(codes::error::UNSUPPORTED, "never"))
    }
    fn open(_: &mut dyn Host, _: &Call, _: &CardOrder) -> Result<SellOutcome, DriverError> {
        never()
    }
    fn sell(host: &mut dyn Host, _: &Call, order: &CardOrder) -> Result<SellOutcome, DriverError> {
        let Some(purchase) = order.purchase else { return never() };
        host.tries_left(0)?;
        let key = Key { label: "psc".to_owned(), path: vec![] };
        host.verify_code(0, &Secret::OfVault((key, vec![1, 2])))?;
        host.write_card(4, &purchase.count.to_be_bytes())?;
        Ok(SellOutcome::Confirmed(Receipt { count: purchase.count, balance: None, extras: vec![] }))
    }
    fn replace(_: &mut dyn Host, _: &Call, _: &CardOrder) -> Result<SellOutcome, DriverError> {
        never()
    }
    fn take_back(_: &mut dyn Host, _: &Call, _: &CardOrder) -> Result<SellOutcome, DriverError> {
        never()
    }
    fn clear(host: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        host.erase_card(1, &Secret::Published(vec![0xFF; 6]))?;
        host.set_code(0, &Secret::Published(vec![0xFF; 3]))?;
        Ok(SellOutcome::Unknown("nobody looked".to_owned()))
    }
    fn make(host: &mut dyn Host, _: &Call, _: &CardOrder) -> Result<SellOutcome, DriverError> {
        let answer = host.transmit(&[0, 0xA4, 0, 0])?;
        Ok(SellOutcome::Unknown(format!("{answer:?}")))
    }
}

/// Expects `ok`, or the beginning of the message of the error.
fn check(text: &str, expected: &str) {
    let transcript = Transcript::parse("small", text).expect("a transcript");
    let mut player = Player::new(&transcript);
    let outcome = perform_card::<Small>(&mut player, &transcript.request);
    let played = player.finish(&outcome).map_err(|error| error.to_string());
    let found = played.map_or_else(|error| error, |()| "ok".to_owned());
    assert!(found.starts_with(expected), "{text}\nexpected {expected}\nbut got {found}");
}

const SELL: &str = "source: synthetic\n\
    call: card-sell count=7 amount=money:500\n\
    card tries-left code=0 = 3\n\
    card verify code=0 key=psc factor=0102 = done\n\
    card write offset=4 data=00000007 = done\n\
    result: confirmed count=7\n";

#[test]
fn a_card_that_does_what_stands_there_passes() {
    let identify = "source: synthetic\ncall: card-identify\ncard inserted = kind=2 atr=3b\n";
    let small = "card read offset=0 length=4 = 53 4D 01 02\n";
    let named = "result: card vendor=SMALL purpose=1 serial=0102\n";
    check(&format!("{identify}{small}{named}"), "ok");
    let other = "card read offset=0 length=4 = 53 4E 01 02\nresult: none\n";
    check(&format!("{identify}{other}"), "ok");
    let pulled = "card read offset=0 length=4 = refused 1 the card is gone\nresult: error code=8 the card is gone\n";
    check(&format!("{identify}{pulled}"), "ok");
    check(SELL, "ok");
    let clear = "source: synthetic\ncall: card-clear\n\
        card erase zone=1 published=ffffffffffff = done\n\
        card set-code code=0 published=ffffff = done\nresult: unknown nobody looked\n";
    check(clear, "ok");
    let make = "source: synthetic\ncall: card-make purpose=2\n\
        card transmit 00A40000 = 9000\nresult: unknown [144, 0]\n";
    check(make, "ok");
}

#[test]
fn a_card_that_does_something_else_is_found_out() {
    check(
        &SELL.replace("data=00000007", "data=00000008"),
        "small:5: expected\ncard write offset=4 data=00000008 = done\nbut got\n\
         card write offset=4 data=00000007",
    );
    check(
        &SELL.replace("key=psc", "key=other"),
        "small:4: expected\ncard verify code=0 key=other factor=0102 = done\nbut got\n\
         card verify code=0 key=psc factor=0102",
    );
    check(
        "source: x\ncall: card-check\nresult: error code=8 ...\n",
        "small:3: the call should be over, but `> 01`",
    );
    check(
        "source: x\ncall: read\nresult: snapshot supply=0\n",
        "small:3: expected\nsnapshot supply=0\nbut got\nerror code=9 this driver does not export \
         meter.read",
    );
}
