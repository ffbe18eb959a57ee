//! A sale whose credit is a token: no device is asked, so that nothing of it is ever unknown.
//!
//! Invariants: the token's number and all that makes its digits are stored in the job that makes the sale
//! `dispatched`; its digits in the job that confirms it and posts its money, and nobody sees them before.
//! A process that died in between makes the same digits again. Not here: other tokens (token).

use super::SaleRequest;
use super::delivery::stay;
use super::store::{self, Step, StoredSale};
use crate::Service;
use crate::crash_point::crash_point;
use crate::error::{Result, ServiceError, chain};
use crate::limits::TOKEN_ATTEMPTS;
use crate::meter::{self, MeterRecord};
use crate::token::{self, Planned, StoredToken, TokenState};
use polymeter_domain::{
    BillingMode, Credit, Delivery, Purchase, PurchaseCount, Receipt, Sale, SaleId, TokenKind,
    TokenOrder, TokenOrderId,
};

/// What a sale buys, and what a token would carry of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnToken {
    pub asked: Credit,
    pub carries: Credit,
}

/// Asked before the sale is stored: what no token can carry is refused before money is taken. `None`:
/// the meter takes no tokens.
pub(super) async fn on_token(
    service: &Service,
    id: SaleId,
    request: &SaleRequest,
    meter: &MeterRecord,
) -> Result<Option<OnToken>> {
    if meter.mode != BillingMode::Token {
        return Ok(None);
    }
    let priced = service.quote_sale(request).await?;
    let purse = crate::mode::purse_of(meter, &*service.driver(&meter.vendor)?)?;
    let asked = super::quote::credit_of(&priced, purse.quantity)?;
    let paid = request.paid;
    let carries = token::credit_carried(service, meter, id.uuid(), asked, paid).await?;
    Ok(Some(OnToken { asked, carries }))
}

/// Whether the sale's meter takes tokens.
pub(super) async fn is_made_for(service: &Service, id: SaleId) -> Result<bool> {
    let mode: String = sqlx::query_scalar(
        "select mode from sale join meter on meter.meter_id = sale.meter_id where sale_id = $1",
    )
    .bind(id.to_string())
    .fetch_one(service.reader())
    .await?;
    Ok(mode == BillingMode::Token.name())
}

/// To its end, or to where a person has to look: then it is reserved, and its history says why.
pub(super) async fn go_on(service: &Service, id: SaleId) -> Result<()> {
    for _ in 0..TOKEN_ATTEMPTS {
        let sale = store::record(service.reader(), id).await?;
        let tried = match sale.state {
            Sale::Reserved => dispatch(service, &sale).await,
            Sale::Dispatched(_) => return issue(service, &sale).await,
            _ => return Ok(()),
        };
        match tried {
            Ok(()) => {}
            // Another token of the meter was ordered in the same moment.
            Err(ServiceError::Conflict(why)) => tracing::info!(why, "the token is planned anew"),
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => return stay(service, &sale, chain(&error)).await,
        }
    }
    Ok(())
}

/// Takes the token's number, or the one that it has already.
async fn dispatch(service: &Service, sale: &StoredSale) -> Result<()> {
    let meter = meter::record(service.reader(), sale.meter_id).await?;
    let known = token::of_sale(service.reader(), sale.sale_id).await?;
    let numbered = known.as_ref().and_then(|it| it.basis.as_ref()).and_then(|it| it.identifier);
    let planned = match numbered {
        Some(_) => None,
        None => Some(plan(service, sale, &meter).await?),
    };
    let planned_number = planned.as_ref().and_then(|it| it.basis.identifier);
    let identifier = numbered.or(planned_number).ok_or_else(|| ServiceError::Blocked {
        what: "the token".to_owned(),
        why: "its driver gave a credit no number".to_owned(),
    })?;
    let purchase = Purchase { count: PurchaseCount::new(identifier), credit: sale.credit };
    crash_point("before-dispatch");
    let step = Step::new(service, sale.sale_id, format!("as token number {identifier}"));
    let order = order_of(sale);
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                token::none_open_key_change(tx.connection(), &meter).await?;
                if let Some(planned) = planned {
                    token::allot(tx.connection(), &order, planned).await?;
                }
                store::advance_in(tx, step, move |sale| sale.dispatch(purchase)).await
            })
        })
        .await?;
    crash_point("after-dispatch");
    Ok(())
}

async fn plan(
    service: &Service,
    sale: &StoredSale,
    meter: &crate::meter::MeterRecord,
) -> Result<Planned> {
    let order = TokenOrder::of_credit(sale.credit);
    let planned = token::plan(service, meter, sale.sale_id.uuid(), &order).await?;
    if planned.plan.credit == Some(sale.credit) {
        return Ok(planned);
    }
    // What was sold is what a token carried then; a driver that has changed its mind is not believed.
    let why = "its driver would make a token of another amount than was sold".to_owned();
    Err(ServiceError::Blocked { what: "the token".to_owned(), why })
}

fn order_of(sale: &StoredSale) -> StoredToken {
    StoredToken {
        token_order_id: TokenOrderId::new(sale.sale_id.uuid()),
        meter_id: sale.meter_id,
        sale_id: Some(sale.sale_id),
        rollover_id: None,
        order: TokenOrder::of_credit(sale.credit),
        reason: TokenKind::Credit.name().to_owned(),
        operator: sale.operator.clone(),
        state: TokenState::Approved,
        basis: None,
        digits: None,
        created_at: sale.created_at,
        ended_at: None,
    }
}

/// Makes the digits, and stores them with the sale's end. Where they cannot be made nobody has seen any,
/// so that the sale is reserved again under the same number.
async fn issue(service: &Service, sale: &StoredSale) -> Result<()> {
    let sale_id = sale.sale_id;
    let order = token::of_sale(service.reader(), sale_id).await?;
    let order = order.ok_or_else(|| crate::error::bad_column("token_order", "none"))?;
    let Sale::Dispatched(purchase) = sale.state else { return Ok(()) };
    match token::digits_of(service, &order).await {
        Ok(digits) => {
            crash_point("after-sell");
            let receipt = Receipt { count: purchase.count, balance: None };
            let step = Step::new(service, sale_id, "the token is made");
            let at = service.clock().at();
            service
                .database()
                .write(move |tx| {
                    Box::pin(async move {
                        let id = order.token_order_id;
                        token::keep_digits(tx.connection(), id, &digits, at).await?;
                        let delivery = Delivery::Confirmed(receipt);
                        store::advance_in(tx, step, move |sale| sale.settle(delivery)).await
                    })
                })
                .await?;
            crash_point("after-settle");
            service.inner.entries.notify_one();
            tracing::info!(count = purchase.count.get(), "token issued");
        }
        Err(error) if error.is_passing() => return Err(error),
        Err(error) => {
            let why = chain(&error);
            tracing::warn!(why, "the token could not be made; the sale waits");
            let step = Step::new(service, sale_id, why.clone());
            store::advance(service, step, move |sale| sale.settle(Delivery::NotSent(why))).await?;
        }
    }
    Ok(())
}
