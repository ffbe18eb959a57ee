//! `card ...`: what can be done to the card in a reader, from a terminal. Where several readers hold one,
//! `--reader` says which.

use super::sell::{self, report};
use super::token::value_of;
use super::{ACTOR, Failure, open, print_json};
use crate::api::cards::Reader;
use crate::app::App;
use clap::Subcommand;
use polymeter_domain::{
    CardPurpose, Channel, CustomerNumber, MaintenanceCardId, MeterAddress, Money, SaleId,
    VendorCode,
};
use polymeter_service::{
    Finding, Home, KnownCard, Looked, MaintenanceCardState, NewMaintenanceCard, Page, SaleRequest,
};
use std::path::Path;

#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// Print whose card it is and all that it holds, as JSON.
    Read,
    /// Say in a sentence whether it can be sold to, and what its meter wrote back.
    Check,
    /// Make a meter's card of a blank one (开户卡), with no credit.
    Open {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
        #[arg(value_name = "CUSTOMER", help = "The customer's number")]
        customer: String,
    },
    /// Sell onto the card (购电卡).
    Sell {
        #[arg(value_name = "AMOUNT", help = "What is paid, e.g. 50.00")]
        amount: String,
        /// The sale's own id; repeating it is safe.
        #[arg(long)]
        id: Option<SaleId>,
        #[arg(long, default_value = "cash", value_parser = sell::channel)]
        channel: Channel,
    },
    /// Make a blank card a meter's in the place of a lost one (补卡).
    Replace {
        #[arg(value_name = "METER", help = "Serial number")]
        meter: String,
        /// For the audit trail.
        #[arg(long)]
        reason: String,
    },
    /// Make the card blank again (清零回收卡).
    Clear {
        /// For the audit trail.
        #[arg(long)]
        reason: String,
    },
    /// Make a card of a blank one that sets meters (设置卡): `make setting`.
    Set {
        #[arg(value_name = "VENDOR")]
        vendor: String,
        /// The number of the meter that it is for; left out: any.
        #[arg(long)]
        device: Option<String>,
        /// What it carries there, by the driver's names.
        #[arg(long, value_name = "NAME=VALUE", required = true)]
        set: Vec<String>,
        /// For the audit trail.
        #[arg(long)]
        reason: String,
    },
    /// Make a maintenance card of a blank one (设置卡, 电价卡, 清零卡 ...).
    Make {
        /// setting, check, clear, reset, price, area, test or key-change, as far as the vendor's driver
        /// makes it.
        #[arg(value_name = "PURPOSE")]
        purpose: String,
        #[arg(value_name = "VENDOR")]
        vendor: String,
        /// The number of the meter that it is for; left out: any.
        #[arg(long)]
        device: Option<String>,
        /// What it carries there, by the driver's names.
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// For the audit trail.
        #[arg(long)]
        reason: String,
    },
    /// Make a maintenance card that a second person agreed to.
    MakeAgreed {
        #[arg(value_name = "ID", help = "As `card make` printed it")]
        id: MaintenanceCardId,
    },
}

pub async fn run(config: &Path, reader: Option<&str>, command: CardCommand) -> Result<(), Failure> {
    let app = open(config).await?;
    let looked = chosen(&app, reader).await?;
    match command {
        CardCommand::Read => print_json(&Reader::from(&looked)),
        CardCommand::Check => check(&looked),
        CardCommand::Open { meter, customer } => open_card(&app, &looked, &meter, &customer).await,
        CardCommand::Sell { amount, id, channel } => {
            sell_to(&app, &looked, &amount, id, channel).await
        }
        CardCommand::Replace { meter, reason } => {
            let meter = app.service.meter_by_serial(&meter).await?;
            let reader = Some(looked.reader.as_str());
            app.service.replace_card(meter.meter_id, reader, &reason, &ACTOR).await?;
            println!("it is the card of meter {} now; the one before is lost", meter.serial_number);
            Ok(())
        }
        CardCommand::Clear { reason } => {
            app.service.recycle_card(&looked.reader, &reason, &ACTOR).await?;
            println!("the card in {} is blank", looked.reader);
            Ok(())
        }
        CardCommand::Set { vendor, device, set, reason } => {
            let purpose = CardPurpose::Setting.name();
            make(&app, &looked, &vendor, purpose, device.as_deref(), &set, reason).await
        }
        CardCommand::Make { purpose, vendor, device, set, reason } => {
            make(&app, &looked, &vendor, &purpose, device.as_deref(), &set, reason).await
        }
        CardCommand::MakeAgreed { id } => {
            let it = app.service.make_agreed_card(id, &looked.reader, &ACTOR).await?;
            println!("the card in {} is a {} card now", looked.reader, it.purpose);
            Ok(())
        }
    }
}

/// The named reader, or the only one with a card in it.
async fn chosen(app: &App, reader: Option<&str>) -> Result<Looked, Failure> {
    if let Some(reader) = reader {
        return Ok(app.service.look_at(reader).await?);
    }
    let mut all = app.service.readers().await?;
    all.retain(|it| !matches!(it.finding, Finding::Empty | Finding::Gone(_)));
    match all.len() {
        0 => Err(Failure::Wrong("no reader holds a card (see `polymeter reader list`)".to_owned())),
        1 => Ok(all.swap_remove(0)),
        _ => {
            let names: Vec<&str> = all.iter().map(|it| it.reader.as_str()).collect();
            Err(Failure::Usage(format!("--reader is needed: {} hold cards", names.join(", "))))
        }
    }
}

/// The card, where its vendor's driver knows it.
fn known(looked: &Looked) -> Result<&KnownCard, Failure> {
    match &looked.finding {
        Finding::Known(card) => Ok(card),
        other => {
            let why = other.why().unwrap_or_else(|| match other {
                Finding::Blank { .. } => "it is blank".to_owned(),
                _ => "it is empty".to_owned(),
            });
            Err(Failure::Wrong(format!("reader {}: {why}", looked.reader)))
        }
    }
}

fn check(looked: &Looked) -> Result<(), Failure> {
    let card = known(looked)?;
    let identity = &card.contents.identity;
    println!("{} card {} of vendor {}", identity.purpose, identity.serial, identity.vendor);
    println!("{}: {}", card.verdict.name(), card.verdict.sentence());
    match &card.contents.written_back {
        None => println!("its meter has written nothing back"),
        Some(back) => print_json(&Reader::from(looked).card.map(|card| card.written_back))
            .map(|()| println!("the meter has taken purchase {}", back.count))?,
    }
    Ok(())
}

async fn open_card(app: &App, looked: &Looked, meter: &str, customer: &str) -> Result<(), Failure> {
    let number =
        CustomerNumber::new(customer).map_err(|error| Failure::Usage(error.to_string()))?;
    let page = Page { query: Some(number.to_string()), ..Page::default() };
    let found = app.service.customers(&page).await?;
    let customer = found.into_iter().find(|it| it.number == number);
    let customer =
        customer.ok_or_else(|| Failure::Usage(format!("no customer has number {number}")))?;
    let meter = app.service.meter_by_serial(meter).await?;
    let opened = app
        .service
        .open_account_by_card(meter.meter_id, customer.customer_id, &looked.reader, &ACTOR)
        .await?;
    println!("meter {} is open for customer {number}, with its card", opened.serial_number);
    Ok(())
}

async fn sell_to(
    app: &App,
    looked: &Looked,
    amount: &str,
    id: Option<SaleId>,
    channel: Channel,
) -> Result<(), Failure> {
    let paid =
        Money::parse(amount, app.currency).map_err(|error| Failure::Usage(error.to_string()))?;
    let card = known(looked)?;
    let meter_id = card.meter_id.ok_or_else(|| Failure::Wrong(card.verdict.sentence()))?;
    let id = id.unwrap_or_else(|| SaleId::new(uuid::Uuid::now_v7()));
    // Printed first: whatever happens next, this id names the sale.
    let code = app.currency.code();
    println!("sale {id}: {paid} {code} onto the card in {}, by {}", looked.reader, channel.name());
    let request = SaleRequest { channel, ..SaleRequest::new(meter_id, paid) };
    let sale = app.service.put_sale_and_wait(id, request, sell::WAIT_MAX, &ACTOR).await?;
    report(&sale)
}

async fn make(
    app: &App,
    looked: &Looked,
    vendor: &str,
    purpose: &str,
    device: Option<&str>,
    set: &[String],
    reason: String,
) -> Result<(), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let vendor = VendorCode::new(vendor).map_err(|error| usage(&error))?;
    let declared = app.service.parameters_of(&vendor, Home::Device);
    let new = NewMaintenanceCard {
        purpose: CardPurpose::from_name(purpose)
            .ok_or_else(|| usage(&format!("there are no {purpose} cards")))?,
        device: device.map(MeterAddress::new).transpose().map_err(|error| usage(&error))?,
        parameters: set.iter().map(|it| value_of(it, &declared)).collect::<Result<_, _>>()?,
        vendor,
        reason,
    };
    let purpose = new.purpose;
    let it = app.service.make_maintenance_card(&looked.reader, new, &ACTOR).await?;
    match it.state {
        MaintenanceCardState::Waiting => println!(
            "the {purpose} card waits for a second person; then: polymeter card make-agreed {}",
            it.maintenance_card_id
        ),
        _ => println!("the card in {} is a {purpose} card now", looked.reader),
    }
    Ok(())
}
