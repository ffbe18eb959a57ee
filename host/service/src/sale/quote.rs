//! From a request to a reserved sale: checked, priced, and stored with its pending transfer in one
//! transaction.
//!
//! `Quoted` is never stored as a state: it would be a sale that holds no money and waits for nothing.
//! It stands in the history with the arithmetic, so that a receipt can be recalculated.

use super::SaleRequest;
use super::cap;
use super::delivery::Claim;
use super::history;
use super::store::{self, StoredSale};
use super::token::{self, OnToken};
use crate::Service;
use crate::account;
use crate::audit::{self, Act, Actor};
use crate::booking::{
    Booking, GIFT, MONTHLY_FEE, arrears_account, channel_account, meter_credit_account,
};
use crate::error::{Result, ServiceError, invalid};
use crate::limits::MAX_SALE_MINOR;
use crate::meter::{self, AccountState, MeterRecord};
use crate::mode;
use crate::shift;
use crate::standing::{self, Difference};
use crate::tariff::{self, Buyer, Priced};
use polymeter_domain::sale::OutOfOrder;
use polymeter_domain::tariff::{Commodity, Origin};
use polymeter_domain::{
    BillingMode, Credit, CustomerId, Deductions, Money, Quantity, Sale, SaleId, TransferId,
};
use polymeter_ledger::Transaction;

/// What `paid` buys at this meter.
#[derive(Debug)]
struct Quote {
    customer_id: CustomerId,
    priced: Priced,
    credit: Credit,
    /// The account that pays, where nobody pays over a counter.
    carried_from: Option<String>,
}

/// The claim on the delivery of a sale that was made just now; `None` where the same one existed.
///
/// The claim is taken inside the job, before the commit: nobody can see the sale without seeing that
/// its delivery is under way.
pub(super) async fn reserve(
    service: &Service,
    id: SaleId,
    request: SaleRequest,
    actor: Actor,
) -> Result<Option<Claim>> {
    let meter = meter::record(service.reader(), request.meter_id).await?;
    let on_token = token::on_token(service, id, &request, &meter).await?;
    match service.check_card_sells(&meter).await {
        // The very same sale, asked for twice in one moment.
        Err(ServiceError::Unsettled { sale_id, .. }) if sale_id == id => {}
        checked => checked?,
    }
    let inside = service.clone();
    let way = Way { on_token, ..Way::default() };
    service
        .database()
        .write(move |tx| {
            Box::pin(async move { reserve_in(&inside, tx, id, &request, way, actor).await })
        })
        .await
}

/// How a sale is paid, and how it gets to the meter.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The account that pays for it, where nobody pays over a counter.
    pub carried_from: Option<String>,
    /// What it was in the purse that it comes from, where that held no money.
    pub left: Option<Credit>,
    /// Of a meter that takes tokens.
    pub on_token: Option<OnToken>,
}

/// The same in the caller's job.
pub(super) async fn reserve_in(
    service: &Service,
    tx: &mut Transaction,
    id: SaleId,
    request: &SaleRequest,
    way: Way,
    actor: Actor,
) -> Result<Option<Claim>> {
    if let Some(earlier) = store::find(&mut *tx.connection(), id).await? {
        earlier.must_be(request)?;
        return Ok(None);
    }
    let meter = meter::record(&mut *tx.connection(), request.meter_id).await?;
    let is_free = store::is_free(tx.connection(), &meter).await?;
    if !is_free {
        account::sellable(tx.connection(), &meter).await?;
    }
    let quote = quote(service, tx, &meter, request, way).await?;
    if quote.carried_from.is_none() {
        service.check_shift(tx, request.channel, &actor).await?;
    }
    if !is_free {
        store::none_unsettled(tx.connection(), &meter).await?;
    }
    insert(service, tx, id, request, &meter, quote, actor).await?;
    Ok(service.inner.under_way.claim(id))
}

/// What of `paid` can be sold to this meter, or why nothing can.
async fn quote(
    service: &Service,
    tx: &mut Transaction,
    meter: &MeterRecord,
    request: &SaleRequest,
    way: Way,
) -> Result<Quote> {
    let Way { carried_from, left, on_token } = way;
    let (paid, gift) = (request.paid, request.gift);
    check_amount(paid, service)?;
    service.check_gift(gift)?;
    mode::check_sold_to(meter)?;
    let driver = service.driver(&meter.vendor)?;
    if meter.mode != BillingMode::Token && !meter.is_by_card(&driver) {
        service.line(&meter.line)?;
    }
    let (AccountState::Open, Some(customer_id)) = (meter.account, meter.customer_id) else {
        return Err(ServiceError::NotOpened { serial_number: meter.serial_number.clone() });
    };
    let customer = Some(customer_id);
    let arrears_share_percent = service.rules().arrears_share_percent;
    let is_carried = carried_from.is_some();
    let purse = mode::purse_of(meter, &driver)?;
    let quantity = purse.quantity;
    let buyer = Buyer { meter, customer, purse, arrears_share_percent, gift, is_carried, left };
    let priced = tariff::price(&mut tx.connection(), buyer, service.today()?, paid).await?;
    let credit = match on_token {
        None if meter.mode == BillingMode::Token => return Err(not_carried(meter)),
        None => credit_of(&priced, quantity)?,
        Some(OnToken { asked, carries }) if credit_of(&priced, quantity)? == asked => carries,
        Some(_) => {
            let why = "its price has changed in this moment; ask again".to_owned();
            return Err(ServiceError::Conflict(why));
        }
    };
    cap::check(service, tx.connection(), meter, paid, credit).await?;
    Ok(Quote { customer_id, priced, credit, carried_from })
}

/// Money of another meter is not put onto a token by itself: nobody would type it in.
fn not_carried(meter: &MeterRecord) -> ServiceError {
    let why =
        "it takes tokens, and no money is carried into it; pay out, and sell a token".to_owned();
    ServiceError::Blocked { what: format!("meter {}", meter.serial_number), why }
}

/// What a device is asked to take for what was paid.
pub(super) fn credit_of(priced: &Priced, quantity: Quantity) -> Result<Credit> {
    let paid = priced.paid;
    let bad = |why: &str| ServiceError::BadAmount { paid, why: why.to_owned() };
    let amount = match (quantity, priced.bought.metered) {
        (Quantity::Money, _) => {
            u64::try_from(priced.bought.paid.minor()).map_err(|_| bad("below zero"))?
        }
        (Quantity::Energy, 0) => return Err(bad("it buys less than 1 Wh")),
        (Quantity::Volume, 0) => return Err(bad("it buys less than 1 litre")),
        (Quantity::Energy | Quantity::Volume, metered) => metered,
    };
    Ok(Credit { quantity, amount })
}

fn check_amount(paid: Money, service: &Service) -> Result<()> {
    let currency = service.inner.currency;
    let why = if paid.currency() != currency {
        format!("this system books {}", currency.code())
    } else if paid.minor() <= 0 {
        "it must be above zero".to_owned()
    } else if paid.minor() > MAX_SALE_MINOR {
        format!("one sale is at most {}", Money::new(MAX_SALE_MINOR, currency))
    } else {
        return Ok(());
    };
    Err(ServiceError::BadAmount { paid, why })
}

async fn insert(
    service: &Service,
    tx: &mut Transaction,
    id: SaleId,
    request: &SaleRequest,
    meter: &MeterRecord,
    quote: Quote,
    actor: Actor,
) -> Result<()> {
    let at = service.clock().at();
    let priced = quote.priced;
    let pending = TransferId::new(service.clock().id());
    let state = Sale::Quoted.reserve().map_err(|OutOfOrder { sale, event }| {
        ServiceError::OutOfOrder { sale_id: id, state: sale.name(), event }
    })?;
    let sale = StoredSale {
        sale_id: id,
        meter_id: meter.meter_id,
        customer_id: quote.customer_id,
        operator: actor,
        paid: request.paid,
        channel: request.channel,
        deductions: priced.deductions,
        fee_month: priced.fee_month.clone(),
        carried_from: quote.carried_from,
        tariff_version: priced.in_force.version.version_id,
        priced_on: priced.on,
        commodity: priced.bought.tariff.commodity(),
        bought: priced.bought.billed,
        explanation: tariff::kept(&priced.bought),
        credit: quote.credit,
        pending,
        state,
        created_at: at,
        settled_at: None,
    };
    store::insert(tx.connection(), &sale).await?;
    let paid = request.paid;
    let arithmetic = in_words(&priced);
    history::made(tx.connection(), &sale, &arithmetic).await?;

    if sale.carried_from.is_none() {
        shift::taken(tx.connection(), sale.movement(&sale.operator, at)).await?;
    }

    book(service, tx, &sale).await?;

    let payer = sale.carried_from.as_deref().unwrap_or(request.channel.name());
    let object = format!("sale/{id}");
    let detail = format!("{paid} {} at meter/{}, {payer}", paid.currency().code(), meter.meter_id);
    let act = Act { at, actor: &sale.operator, act: "sale-made", object, detail: &detail };
    audit::record(tx.connection(), act).await
}

/// One linked transfer for each part of the payment; the first is what the credit costs.
async fn book(service: &Service, tx: &mut Transaction, sale: &StoredSale) -> Result<()> {
    let at = sale.created_at;
    let Deductions { arrears, fee, gift } = sale.deductions;
    let left = sale.deductions.left_of(sale.paid);
    let left = left.ok_or_else(|| invalid("paid", "beyond what money holds"))?;
    let channel = sale.carried_from.clone().unwrap_or_else(|| channel_account(sale.channel));
    let meter_credit = meter_credit_account(sale.meter_id);
    let owed = arrears_account(sale.customer_id);
    let parts = [
        Booking::of(&channel, &meter_credit, left),
        Booking::of(&channel, &owed, arrears),
        Booking::of(&channel, MONTHLY_FEE, fee),
        Booking::of(GIFT, &meter_credit, gift),
    ];
    let mut transfers = Vec::with_capacity(parts.len());
    for part in parts.into_iter().flatten() {
        let transfer_id = match transfers.is_empty() {
            true => sale.pending,
            false => TransferId::new(service.clock().id()),
        };
        transfers.push(part.transfer(tx, transfer_id, sale.sale_id.uuid(), at).await?);
    }
    polymeter_ledger::pending_linked(tx, &transfers).await?;
    let arrears_minor = -arrears.minor();
    let by = Difference { arrears_minor, ..Difference::default() };
    standing::change(tx.connection(), sale.customer_id, by, sale.paid.currency()).await
}

/// The shortest true sentence; `explain` has the whole.
fn in_words(priced: &Priced) -> String {
    let (bought, version) = (&priced.bought, &priced.in_force.version);
    let (paid, currency) = (bought.paid, bought.paid.currency());
    let code = currency.code();
    let amount = amount(bought.billed, bought.tariff.commodity());
    let least = if bought.is_least { "at least " } else { "" };
    let plan = &priced.in_force.plan_name;
    match bought.origin {
        Origin::Bought { .. } => format!(
            "{paid} {code} by {plan}, version {}: {least}{amount}, rounded down",
            version.number
        ),
        Origin::Carried { .. } => format!("{amount} of the old meter, paid with {paid} {code}"),
    }
}

/// "96.153 kWh", "10.637 m³": to the Wh and to the litre.
pub(super) fn amount(amount: u64, commodity: Commodity) -> String {
    format!("{}.{:03} {}", amount / 1000, amount % 1000, commodity.unit())
}
