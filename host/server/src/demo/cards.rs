//! The demo's card counter: simulated readers with simulated cards, and the card meters at the customers'.
//!
//! Invariant: card, reader and meter are the simulator's; everything that is done to a card is done by the
//! service. Not here: a real reader, which `serve` finds by itself (PC/SC).

use super::step;
use crate::app::App;
use crate::commands::Failure;
use meter_sim::card::{
    AcmeMeter, At24c, Bay, Card, Chip, CpuCard, CpuKeys, RdkMeter, SgMeter, Shown, Stage, acme,
};
use polymeter_domain::tariff::Terms;
use polymeter_domain::{
    CustomerNumber, MeterAddress, Money, Sale, SaleId, TariffPlanId, VendorCode,
};
use polymeter_service::{
    Actor, Assignment, Finding, Meter, NewCustomer, NewMeter, SaleRequest, TrialBalance,
    meter_credit_account,
};
use polymeter_transport::{
    CardError, CardReader, CardReaders, CardSlot, ReaderProfiles, SlotEvents,
};
use std::time::Duration;

/// The keys of the demo's cards, which are on no real card: what the vault gets, by vendor and label.
pub const KEYS: [(&str, &str, polymeter_vault::Kind); 6] = [
    ("ACME", "card-psc", polymeter_vault::Kind::Hmac),
    ("ACME", "card-data", polymeter_vault::Kind::Hmac),
    ("ACME", "card-transport", polymeter_vault::Kind::KeyWrap),
    ("SGCPU", "card-internal", polymeter_vault::Kind::TripleDes),
    ("SGCPU", "card-external", polymeter_vault::Kind::TripleDes),
    ("SGCPU", "card-mac", polymeter_vault::Kind::TripleDes),
];
pub const KEY: [u8; 16] = *b"demo cards only!";

/// As simulated cards' readers are called in PC/SC, which chooses their profile.
const PCSC_NAME: &str = "Virtual PCD 00 00";

/// How long a card that was put in may wait to be looked at.
const LOOK_MOST: Duration = Duration::from_secs(10);

/// A place for a card in a simulated reader.
#[derive(Debug, Clone, Default)]
struct Place(Bay);

impl CardSlot for Place {
    fn begin(&mut self) -> Result<Vec<u8>, CardError> {
        self.0.power_on().map_err(|_| CardError::Gone)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        self.0.transmit(command).map_err(|_| CardError::Gone)
    }

    fn end(&mut self) {
        self.0.power_off();
    }
}

/// A simulated reader and whoever puts cards into it.
struct Desk {
    reader: String,
    place: Place,
    events: SlotEvents,
}

impl Desk {
    fn put_in(&self, card: &Card) {
        self.place.0.put_in(card);
        self.events.inserted();
    }

    fn take_out(&self) {
        self.place.0.take_out();
        self.events.removed();
    }
}

/// A meter at a customer's that takes cards.
enum FieldMeter {
    Acme(AcmeMeter),
    Sg(SgMeter),
    Rdk(RdkMeter),
}

impl FieldMeter {
    fn insert(&mut self, card: &Card) -> Shown {
        match self {
            FieldMeter::Acme(meter) => meter.insert(card),
            FieldMeter::Sg(meter) => meter.insert(card),
            FieldMeter::Rdk(meter) => meter.insert(card),
        }
    }

    fn credited_fen(&self) -> u64 {
        match self {
            FieldMeter::Acme(meter) => meter.purse.credited_fen,
            FieldMeter::Sg(meter) => meter.purse.credited_fen,
            FieldMeter::Rdk(meter) => meter.purse.credited_fen,
        }
    }
}

/// A customer with a card meter.
struct Holder {
    vendor: &'static str,
    serial_number: &'static str,
    customer_number: &'static str,
    name: &'static str,
    premises: &'static str,
    sales_fen: [i64; 2],
    card: Card,
    meter: FieldMeter,
    desk: Desk,
}

/// The readers for the service, and what the demo does with them.
pub struct Counter {
    pub readers: CardReaders,
    holders: Vec<Holder>,
    /// A blank card, to make a maintenance card of, and where it lies.
    blank: (Card, Desk),
}

/// Twelve digits as BCD.
const fn bcd(number: u8) -> [u8; 6] {
    [0, 0, 0, 0, 0, number]
}

impl Counter {
    pub fn new() -> Counter {
        let mut readers = Vec::new();
        let mut desk = |name: &str| {
            let place = Place::default();
            // The name that simulated cards' readers have in PC/SC chooses the profile.
            let (reader, events) =
                CardReader::over(name, PCSC_NAME, &ReaderProfiles::built_in(), place.clone());
            readers.push(reader);
            Desk { reader: name.to_owned(), place, events }
        };
        let acme_keys = acme::AcmeKeys { psc: KEY.to_vec(), data: KEY.to_vec() };
        let mut acme_meter = AcmeMeter::new(bcd(0x41), acme_keys).with_transport_key(KEY);
        acme_meter.purse.stage = Stage::Cleared;
        let sg_keys = CpuKeys::same(KEY);
        let mut sg_meter = SgMeter::new(bcd(0x42), sg_keys);
        sg_meter.purse.stage = Stage::Cleared;
        let holders = vec![
            Holder {
                vendor: "ACME",
                serial_number: "000000000041",
                customer_number: "300001",
                name: "孙丽",
                premises: "Flat 301",
                sales_fen: [5000, 3000],
                card: Card::sle4442(acme::blank([0, 0, 0, 0, 0, 0, 0, 1])),
                meter: FieldMeter::Acme(acme_meter),
                desk: desk("counter-1"),
            },
            Holder {
                vendor: "SGCPU",
                serial_number: "000000000042",
                customer_number: "300002",
                name: "Zhou Min",
                premises: "Flat 302",
                sales_fen: [10000, 2050],
                card: Card::cpu(CpuCard::blank([0, 0, 0, 0, 0, 0, 0, 2], &sg_keys)),
                meter: FieldMeter::Sg(sg_meter),
                desk: desk("counter-2"),
            },
            Holder {
                vendor: "RDK",
                serial_number: "000000000043",
                customer_number: "300003",
                name: "何敏",
                premises: "Flat 303",
                sales_fen: [4000, 1000],
                card: Card::new(Chip::At24c(Box::new(At24c::blank(2)))),
                meter: FieldMeter::Rdk(RdkMeter::new([0; 8])),
                desk: desk("counter-3"),
            },
        ];
        let blank = Card::sle4442(acme::blank([0, 0, 0, 0, 0, 0, 0, 3]));
        let blank = (blank, desk("counter-4"));
        Counter { readers: CardReaders::of(readers), holders, blank }
    }

    /// A whole life for each: opened, sold to, put into the meter, sold to again. The cards are left in
    /// the readers, for whoever looks at the page.
    pub async fn walk(&mut self, app: &App, plan_id: TariffPlanId) -> Result<Vec<Meter>, Failure> {
        let mut meters = Vec::new();
        for holder in &mut self.holders {
            holder.put_card_in(app).await?;
            let meter = holder.open(app, plan_id).await?;
            for fen in holder.sales_fen {
                holder.sell(app, &meter, fen).await?;
                holder.desk.take_out();
                let shown = holder.meter.insert(&holder.card);
                step(&format!("put the card into {}: {shown:?}", meter.serial_number));
                holder.put_card_in(app).await?;
            }
            meters.push(meter);
        }
        let (blank, desk) = &self.blank;
        desk.put_in(blank);
        Ok(meters)
    }

    /// The ledger against the meters' own truth.
    pub fn compare(&self, meters: &[Meter], balance: &TrialBalance) -> Result<(), Failure> {
        for (holder, meter) in self.holders.iter().zip(meters) {
            let account = meter_credit_account(meter.meter_id);
            let line = balance.lines.iter().find(|line| line.account == account);
            let booked = line.map_or(0, |line| line.credits_posted.minor());
            let credited = i64::try_from(holder.meter.credited_fen())
                .map_err(Failure::while_doing("adding up a meter's credit"))?;
            if booked != credited {
                return Err(Failure::Wrong(format!(
                    "{}: the ledger says {booked} fen, the meter took {credited}",
                    meter.serial_number
                )));
            }
        }
        Ok(())
    }
}

impl Holder {
    /// And waits until its reader has been looked at.
    async fn put_card_in(&self, app: &App) -> Result<(), Failure> {
        self.desk.put_in(&self.card);
        let reader = &self.desk.reader;
        let looked = async {
            loop {
                let looked = app.service.look_at(reader).await?;
                if !matches!(looked.finding, Finding::Empty | Finding::Gone(_)) {
                    return Ok::<_, Failure>(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let late = || Failure::Wrong(format!("reader {reader} does not see its card"));
        tokio::time::timeout(LOOK_MOST, looked).await.map_err(|_| late())?
    }

    async fn open(&self, app: &App, plan_id: TariffPlanId) -> Result<Meter, Failure> {
        let doing = || Failure::while_doing("a customer of the demo");
        let customer = NewCustomer {
            number: CustomerNumber::new(self.customer_number).map_err(doing())?,
            name: self.name.to_owned(),
            phone: String::new(),
            premises: self.premises.to_owned(),
        };
        let customer = app.service.add_customer(customer, &Actor::System).await?;
        let meter = NewMeter {
            serial_number: self.serial_number.to_owned(),
            vendor: VendorCode::new(self.vendor).map_err(doing())?,
            line: String::new(),
            address: MeterAddress::new(self.serial_number).map_err(doing())?,
            parameters: Vec::new(),
            mode: None,
            tariff: Assignment { plan_id, from: None, terms: Terms::default() },
        };
        let meter = app.service.add_meter(meter, &Actor::System).await?;
        let (id, reader) = (meter.meter_id, &self.desk.reader);
        let opened =
            app.service.open_account_by_card(id, customer.customer_id, reader, &Actor::System);
        let meter = opened.await?;
        step(&format!(
            "opened {} ({}) by the card in {reader} for customer {} {}",
            meter.serial_number, meter.vendor, customer.number, customer.name
        ));
        Ok(meter)
    }

    async fn sell(&self, app: &App, meter: &Meter, fen: i64) -> Result<(), Failure> {
        let (id, paid) = (SaleId::new(uuid::Uuid::now_v7()), Money::new(fen, app.currency));
        let request = SaleRequest::new(meter.meter_id, paid);
        let wait = super::SALE_WAIT_MAX;
        let sale = app.service.put_sale_and_wait(id, request, wait, &Actor::System).await?;
        let Sale::Confirmed(receipt) = &sale.state else {
            let said = sale.history.last().map(|event| event.detail.as_str()).unwrap_or_default();
            return Err(Failure::Wrong(format!(
                "the sale of {paid} onto the card of {} ended {}: {said}",
                meter.serial_number,
                sale.state.name()
            )));
        };
        step(&format!(
            "sold {paid} onto the card of {} ({}): confirmed, purchase count {}",
            meter.serial_number, meter.vendor, receipt.count
        ));
        Ok(())
    }
}
