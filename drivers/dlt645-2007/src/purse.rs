//! Selling and refunding: the commands of C=03H (2013 prepayment extension), with the keys left in
//! the host's vault.
//!
//! Invariant: one frame that moves credit in a call, and nothing is called refused that may have
//! happened. The maths is that of a public DDSY666 firmware; see the README.

use crate::exchange::{Answer, Exchange};
use crate::held::HELD;
use crate::measure::digits as printed;
use crate::settings::{Settings, bad, digits, reversed};
use crate::words;
use polymeter_codec::dlt645::control::AUTHENTICATE;
use polymeter_driver::codes::{error, refusal, vault};
use polymeter_driver::{
    Call, Credit, Diversification, DriverError, Host, Key, Level, Opening, Order, Purchase,
    Receipt, Refusal, SellOutcome,
};

const AUTHENTICATION: u32 = 0x0700_00FF;
const OPENING: u32 = 0x0701_01FF;
const PURCHASE: u32 = 0x0701_02FF;
const REFUND: u32 = 0x0701_08FF;
const STATUS: u32 = 0x0781_02FF;

/// CLA INS P1 P2 of the box inside the meter: add to the purse, take from it, and write the customer
/// number.
const HEADER_PURSE: [u8; 4] = [0x84, 0x32, 0x01, 0x0C];
const HEADER_REFUND: [u8; 4] = [0x84, 0x30, 0x01, 0x0C];
const HEADER_CUSTOMER: [u8; 4] = [0x04, 0xD6, 0x82, 0x24];
/// What Lc counts beside the data: the MAC itself.
const MAC_BYTES: usize = 4;

pub fn open(
    host: &mut dyn Host,
    call: &Call,
    opening: &Opening,
) -> Result<SellOutcome, DriverError> {
    let purchase = Purchase { count: opening.count, credit: opening.credit };
    load(host, call, &Command::OPENING, &opening.customer_number, purchase)
}

pub fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
    if order.purchase.count == 0 {
        return Err(bad("a sale's purchase count is at least 1"));
    }
    load(host, call, &Command::PURCHASE, &order.customer_number, order.purchase)
}

/// The meter counts and lists a refund as it does a purchase, which is what proves it.
pub fn refund(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
    if order.purchase.count == 0 || order.purchase.credit.amount == 0 {
        return Err(bad("a refund takes something, and its count is at least 1"));
    }
    load(host, call, &Command::REFUND, &order.customer_number, order.purchase)
}

/// One of the commands that move credit; they differ in this only.
struct Command {
    name: &'static str,
    identifier: u32,
    header: [u8; 4],
}

impl Command {
    const OPENING: Self = Self { name: "opening", identifier: OPENING, header: HEADER_PURSE };
    const PURCHASE: Self = Self { name: "purchase", identifier: PURCHASE, header: HEADER_PURSE };
    const REFUND: Self = Self { name: "refund", identifier: REFUND, header: HEADER_REFUND };
}

/// What goes into the purse or out of it, in natural order of bytes.
struct Load {
    header: [u8; 4],
    amount: [u8; 4],
    count: [u8; 4],
    customer: [u8; 6],
}

/// Opens, sells or refunds: authentication, then the one frame that moves credit, then a look at the
/// count.
fn load(
    host: &mut dyn Host,
    call: &Call,
    command: &Command,
    customer_number: &str,
    purchase: Purchase,
) -> Result<SellOutcome, DriverError> {
    let settings = Settings::acting(call)?;
    if !settings.dialect.sells {
        let detail = format!("meters of the dialect {} are not sold to", settings.dialect.name);
        return Err(DriverError::new(error::UNSUPPORTED, detail));
    }
    let counted = HELD.counted(purchase.credit).map_err(bad)?;
    let amount = u32::try_from(counted)
        .map_err(|_| bad("the amount does not fit the meter's four bytes"))?;
    let load = Load {
        header: command.header,
        amount: amount.to_be_bytes(),
        count: purchase.count.to_be_bytes(),
        customer: reversed(digits("the customer number", customer_number)?),
    };
    let random1 = call.nonce.first_chunk().ok_or_else(|| bad("the nonce is too short"))?;
    let mut exchange = Exchange::new(host, settings);
    let random2 = match authenticate(&mut exchange, *random1)? {
        Ok(random2) => random2,
        Err(refusal) => return Ok(SellOutcome::Refused(refusal)),
    };
    let data = load_data(&mut exchange, &load, random2)?;
    // From here on the purse may have changed: no error leaves this function, only an outcome.
    match exchange.ask_about(AUTHENTICATE, command.identifier, &data) {
        Ok(Answer::Yes(..)) => Ok(accepted(&mut exchange, purchase)),
        Ok(Answer::No(error)) if matches!(error.len(), 1 | 2) => {
            Ok(refused(&mut exchange, purchase, words::purse_refusal(&error)))
        }
        Ok(Answer::No(_)) => Ok(SellOutcome::Unknown("a refusal of a strange length".to_owned())),
        Err(failure) => {
            let why = format!("no answer to the {}: {}", command.name, failure.detail);
            Ok(SellOutcome::Unknown(why))
        }
    }
}

/// Shows the meter that the key is known. `Ok(Ok)`: the meter's random number, in natural order.
fn authenticate(
    exchange: &mut Exchange<'_>,
    random1: [u8; 8],
) -> Result<Result<[u8; 4], Refusal>, DriverError> {
    let [n0, n1, n2, n3, n4, n5] = exchange.settings.meter_number;
    let factor = [0, 0, n0, n1, n2, n3, n4, n5];
    let path = vec![Diversification {
        algorithm: vault::diversification::TRIPLE_DES_COMPLEMENT,
        factor: factor.to_vec(),
    }];
    let session = Key { label: exchange.settings.key_label.clone(), path };
    let cipher =
        exchange.host.encrypt(&session, vault::cipher::TRIPLE_DES_ECB, &[], &[], &random1)?;
    let cipher1: [u8; 8] = cipher
        .try_into()
        .map_err(|_| DriverError::new(error::VAULT, "a cipher text of a wrong length"))?;
    let operator = exchange.settings.operator_code;
    let mut data = operator.to_vec();
    for field in [cipher1, random1, factor] {
        data.extend(reversed(field));
    }
    match exchange.ask_about(AUTHENTICATE, AUTHENTICATION, &data)? {
        Answer::Yes(_, reply) => match reply.first_chunk::<4>() {
            Some(random2) if reply.len() == AUTHENTICATION_REPLY => Ok(Ok(reversed(*random2))),
            _ => Err(DriverError::new(error::GARBLED, "an authentication of a wrong length")),
        },
        Answer::No(error) => Ok(Err(words::purse_refusal(&error))),
    }
}

/// Random number (4) and number of the box (8).
const AUTHENTICATION_REPLY: usize = 12;

/// Operator, amount, count, MAC, customer, MAC: each field reversed on its own.
fn load_data(
    exchange: &mut Exchange<'_>,
    load: &Load,
    random2: [u8; 4],
) -> Result<Vec<u8>, DriverError> {
    let purse = [load.amount, load.count].concat();
    let purse_mac = mac(exchange, load.header, &purse, random2)?;
    let customer_mac = mac(exchange, HEADER_CUSTOMER, &load.customer, random2)?;
    let mut data = exchange.settings.operator_code.to_vec();
    for field in [load.amount, load.count, purse_mac] {
        data.extend(reversed(field));
    }
    data.extend(reversed(load.customer));
    data.extend(reversed(customer_mac));
    Ok(data)
}

/// The first four bytes of the MAC over header, Lc and data; the meter's random number begins the
/// iv.
fn mac(
    exchange: &mut Exchange<'_>,
    header: [u8; 4],
    data: &[u8],
    random2: [u8; 4],
) -> Result<[u8; 4], DriverError> {
    let counted = data.len().saturating_add(MAC_BYTES);
    let counted = u8::try_from(counted).map_err(|_| bad("more data than Lc can count"))?;
    let message = [&header[..], &[counted], data].concat();
    let iv = [random2, [0; 4]].concat();
    let key = Key { label: exchange.settings.key_label.clone(), path: Vec::new() };
    let mac = exchange.host.mac(&key, vault::mac::PBOC, &iv, &message)?;
    let first = mac.first_chunk();
    first.copied().ok_or_else(|| DriverError::new(error::VAULT, "a MAC of a wrong length"))
}

/// The meter said yes. It names meter and command but not the purchase, so it may be the late answer
/// to an older one: its count must say so too, unless the meter tells none at all.
fn accepted(exchange: &mut Exchange<'_>, purchase: Purchase) -> SellOutcome {
    match status(exchange) {
        Ok(Some(status)) if status.count == purchase.count => SellOutcome::Confirmed(Receipt {
            count: status.count,
            balance: Some(status.balance()),
            extras: Vec::new(),
        }),
        Ok(Some(status)) => SellOutcome::Unknown(format!(
            "the meter accepted purchase {}, but its count is {}",
            purchase.count, status.count
        )),
        Ok(None) => SellOutcome::Confirmed(Receipt {
            count: purchase.count,
            balance: None,
            extras: Vec::new(),
        }),
        Err(error) => SellOutcome::Unknown(format!(
            "the meter accepted purchase {}, but its count was not read: {}",
            purchase.count, error.detail
        )),
    }
}

/// The meter said no. An error frame names no question, so it may be a late answer to an older
/// one: if the count is that of the purchase all the same, nobody knows.
fn refused(exchange: &mut Exchange<'_>, purchase: Purchase, refusal: Refusal) -> SellOutcome {
    let about_count = [refusal::ALREADY_TAKEN, refusal::WRONG_COUNT].contains(&refusal.code);
    if about_count || purchase.count == 0 {
        return SellOutcome::Refused(refusal);
    }
    match status(exchange) {
        Ok(Some(status)) if status.count >= purchase.count => SellOutcome::Unknown(format!(
            "the meter refused ({}), but its count is {}",
            refusal.detail, status.count
        )),
        _ => SellOutcome::Refused(refusal),
    }
}

/// What 078102FF tells without authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// As the meter counts: 0.01 yuan or 0.01 kWh.
    pub balance: u32,
    pub count: u32,
    pub customer: Option<String>,
}

impl Status {
    pub fn balance(&self) -> Credit {
        HELD.credit(self.balance.into())
    }

    /// The reply after its identifier: balance, MAC, count, MAC, customer (6), key information (4).
    /// Amounts are binary and low byte first, unlike all else in DL/T 645.
    pub fn from_reply(reply: &[u8]) -> Option<Status> {
        let field =
            |at| reply.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
        let customer = reply.get(16..22).and_then(printed);
        Some(Status { balance: field(0)?, count: field(8)?, customer })
    }
}

/// `None`: this meter does not tell. The MACs of the reply are not checked: no public rule says
/// over what they are taken.
pub fn status(exchange: &mut Exchange<'_>) -> Result<Option<Status>, DriverError> {
    let operator = exchange.settings.operator_code;
    match exchange.ask_about(AUTHENTICATE, STATUS, &operator)? {
        Answer::Yes(_, reply) => match Status::from_reply(&reply) {
            Some(status) => Ok(Some(status)),
            None => Err(DriverError::new(error::GARBLED, "a purse status of a wrong length")),
        },
        Answer::No(error) => {
            let refusal = words::purse_refusal(&error);
            let message = format!("the meter does not tell its purse: {}", refusal.detail);
            exchange.host.log(Level::Debug, &message);
            Ok(None)
        }
    }
}
