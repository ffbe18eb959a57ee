//! The demo's keypad meter: tokens are sold, and their digits typed into a simulated keypad.
//!
//! Invariant: nothing but digits gets from the service to the meter. Not here: the meter
//! (tests/meter-sim), keys of a real supply group, which are the STS Association's to give.

use super::step;
use crate::app::App;
use crate::commands::Failure;
use meter_sim::{KeyOrigin, Keypad, Shown, sample_tables};
use polymeter_domain::tariff::Terms;
use polymeter_domain::{
    CustomerNumber, Decimal, MeterAddress, Money, SaleId, TariffPlanId, Value, VendorCode,
};
use polymeter_service::{
    Actor, Assignment, Meter, NewCustomer, NewMeter, SaleRequest, TrialBalance,
    meter_credit_account,
};
use polymeter_vault::Kind;
use std::borrow::Cow;

pub const DRIVER: &str = "sts-token";
pub const VENDOR: &str = "STS";
/// The vending key of the published conformance tests, which no supply group has.
const VENDING_KEY: [u8; 8] = [0xAB; 8];
const ORIGIN: KeyOrigin = KeyOrigin {
    vending_key: VENDING_KEY,
    pan: Cow::Borrowed("600727000000000009"),
    supply_group: 123_456,
    tariff_index: 1,
    revision: 1,
};
const SERIAL_NUMBER: &str = "000000000051";
const SALES_FEN: [i64; 2] = [5000, 1040];
/// The keypad counts tenths of a kWh.
const WH_PER_TENTH: u64 = 100;

/// What the vault gets: label, kind, key.
pub fn keys() -> [(&'static str, Kind, Vec<u8>); 2] {
    [
        ("vending-123456-1", Kind::StsDes, VENDING_KEY.to_vec()),
        ("sts-tables", Kind::StsTables, sample_tables()),
    ]
}

/// Whoever lives with the meter.
pub struct Kitchen {
    keypad: Keypad,
    paid_fen: i64,
    sold_wh: u64,
}

impl Kitchen {
    pub fn new() -> Kitchen {
        Kitchen { keypad: Keypad::new(&ORIGIN), paid_fen: 0, sold_wh: 0 }
    }

    /// Opened, sold to, and each token typed in twice, of which the meter takes one.
    pub async fn walk(&mut self, app: &App, plan_id: TariffPlanId) -> Result<Meter, Failure> {
        let meter = open(app, plan_id).await?;
        for fen in SALES_FEN {
            let (id, paid) = (SaleId::new(uuid::Uuid::now_v7()), Money::new(fen, app.currency));
            let request = SaleRequest::new(meter.meter_id, paid);
            let wait = super::SALE_WAIT_MAX;
            let sale = app.service.put_sale_and_wait(id, request, wait, &Actor::System).await?;
            let Some(token) = &sale.token else {
                let state = sale.state.name();
                return Err(Failure::Wrong(format!("the sale of {paid} for a token is {state}")));
            };
            for digits in token.digits.grouped() {
                let shown = self.keypad.type_in(&digits);
                let again = self.keypad.type_in(&digits);
                if !matches!((shown, again), (Shown::Added(_), Shown::Used)) {
                    let why = format!("the keypad says {shown:?}, then {again:?}");
                    return Err(Failure::Wrong(why));
                }
                step(&format!(
                    "sold {paid} for {SERIAL_NUMBER} ({VENDOR}) and typed {digits} in: {shown:?} \
                     tenths of a kWh, a second time {again:?}"
                ));
            }
            self.paid_fen += fen;
            self.sold_wh += token.credit.amount;
        }
        Ok(meter)
    }

    /// The ledger against what was paid, and what was sold against the keypad's own count.
    pub fn compare(&self, meter: &Meter, balance: &TrialBalance) -> Result<(), Failure> {
        let account = meter_credit_account(meter.meter_id);
        let line = balance.lines.iter().find(|line| line.account == account);
        let booked = line.map_or(0, |line| line.credits_posted.minor());
        let held_wh = self.keypad.credit * WH_PER_TENTH;
        if (booked, self.sold_wh) != (self.paid_fen, held_wh) {
            return Err(Failure::Wrong(format!(
                "{SERIAL_NUMBER}: {booked} fen booked of {} paid, {} Wh sold, {held_wh} Wh in the \
                 meter",
                self.paid_fen, self.sold_wh
            )));
        }
        Ok(())
    }
}

async fn open(app: &App, plan_id: TariffPlanId) -> Result<Meter, Failure> {
    let doing = || Failure::while_doing("a customer of the demo");
    let customer = NewCustomer {
        number: CustomerNumber::new("400001").map_err(doing())?,
        name: "马超".to_owned(),
        phone: String::new(),
        premises: "Farm house".to_owned(),
    };
    let customer = app.service.add_customer(customer, &Actor::System).await?;
    let number = |mantissa| Value::Number(Decimal { mantissa, scale: 0 });
    let parameters = [
        ("supply-group", Value::Text(ORIGIN.supply_group.to_string())),
        ("encryption", number(7)),
        ("derivation", number(2)),
    ];
    let meter = NewMeter {
        serial_number: SERIAL_NUMBER.to_owned(),
        vendor: VendorCode::new(VENDOR).map_err(doing())?,
        line: String::new(),
        address: MeterAddress::new(&ORIGIN.pan).map_err(doing())?,
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        mode: None,
        tariff: Assignment { plan_id, from: None, terms: Terms::default() },
    };
    let meter = app.service.add_meter(meter, &Actor::System).await?;
    let opened = app.service.open_account(meter.meter_id, customer.customer_id, &Actor::System);
    let meter = opened.await?;
    step(&format!(
        "opened {} ({}), which has a keypad and no line, for customer {} {}",
        meter.serial_number, meter.vendor, customer.number, customer.name
    ));
    Ok(meter)
}
