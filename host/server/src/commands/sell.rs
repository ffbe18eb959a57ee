//! `sell METER AMOUNT` and `reconcile`: sales from a terminal, each ending in its own exit code.

use super::{ACTOR, Failure, open};
use crate::app::App;
use crate::arithmetic;
use crate::config::Config;
use polymeter_domain::{Channel, Money, Sale, SaleId};
use polymeter_service::{SaleRequest, SaleView};
use std::path::Path;
use std::time::Duration;

/// Longer than any delivery: the line's total time and the driver's wall time are both bounded
/// below it.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(120);

/// For clap: one of the channels by its name.
pub fn channel(name: &str) -> Result<Channel, String> {
    let all = || Channel::ALL.map(Channel::name).join(", ");
    Channel::from_name(name).ok_or_else(|| format!("it is none of {}", all()))
}

pub async fn run(
    config: &Path,
    serial: &str,
    amount: &str,
    id: Option<SaleId>,
    channel: Channel,
) -> Result<(), Failure> {
    let config = Config::read(config)?;
    let paid =
        Money::parse(amount, config.currency).map_err(|error| Failure::Usage(error.to_string()))?;
    let app = App::open(&config).await?;
    let meter = app.service.meter_by_serial(serial).await?;
    let id = id.unwrap_or_else(|| SaleId::new(uuid::Uuid::now_v7()));
    // Printed first: whatever happens next, this id names the sale.
    println!("sale {id}: {paid} {} to meter {serial}, by {}", app.currency.code(), channel.name());
    let request = SaleRequest { channel, ..SaleRequest::new(meter.meter_id, paid) };
    app.service.put_sale(id, request, &ACTOR).await?;
    let sale = app.service.wait_for_sale(id, WAIT_MAX).await?;
    report(&sale)
}

/// Settles what earlier runs left open: reserved sales are delivered, unresolved ones asked about.
pub async fn reconcile(config: &Path) -> Result<(), Failure> {
    let app = open(config).await?;
    app.service.resume().await?;
    let left = settle_all(&app).await?;
    match left.first() {
        None => {
            println!("every sale is settled");
            Ok(())
        }
        Some(sale) => report(sale),
    }
}

/// Waits for each; prints each; returns those still open.
async fn settle_all(app: &App) -> Result<Vec<SaleView>, Failure> {
    let mut left = Vec::new();
    for sale in app.service.unsettled_sales().await? {
        let sale = app.service.wait_for_sale(sale.sale_id, WAIT_MAX).await?;
        println!("sale {} of {}: {}", sale.sale_id, sale.paid, sale.state.name());
        if !sale.state.is_settled() {
            left.push(sale);
        }
    }
    Ok(left)
}

/// One line on success, the right failure otherwise.
pub fn report(sale: &SaleView) -> Result<(), Failure> {
    let sale_id = sale.sale_id;
    match &sale.state {
        Sale::Confirmed(receipt) => {
            let bought = arithmetic::amount(sale.bought, sale.commodity);
            match &sale.token {
                None => println!("confirmed: purchase count {}, {bought}", receipt.count),
                Some(token) => {
                    println!("confirmed: token number {}, {bought}", receipt.count);
                    token.digits.grouped().iter().for_each(|token| println!("token: {token}"));
                }
            }
            Ok(())
        }
        Sale::Refused(no) => {
            let detail = polymeter_service::refused(no, sale.meaning.as_ref());
            Err(Failure::Refused { sale_id, detail })
        }
        Sale::Cancelled => Err(Failure::Refused { sale_id, detail: "it was cancelled".to_owned() }),
        Sale::Quoted | Sale::Reserved => Err(Failure::Unresolved {
            sale_id,
            state: "reserved and nothing reached the meter",
            way_out: "repair the line and run `polymeter reconcile`",
        }),
        Sale::Dispatched(_) | Sale::Unresolved(_) => Err(Failure::Unresolved {
            sale_id,
            state: "unresolved: the meter may have taken it",
            way_out: "run `polymeter reconcile` to ask the meter",
        }),
    }
}
