//! The hoarding cap (囤积上限): how much money a meter may hold. A sale that would bring it above is
//! refused before any money moves, by what is last known of the meter.
//!
//! Not here: the limit inside the device, which is a parameter of its driver where it has one; meters
//! whose purse holds energy or water, for which a cap of money means nothing.

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::error::{Result, ServiceError, invalid};
use crate::limits::MAX_SALE_MINOR;
use crate::meter::{self, MeterRecord};
use polymeter_domain::{Credit, MeterId, Money, Quantity};
use polymeter_ledger::Connection;

/// What the purse holds, as the trade's register for it is named here.
const CREDIT_REGISTER: &str = "0.0.19.10.0.255";

impl Service {
    /// The cap of one meter: its own, or what the configuration says.
    pub async fn max_credit(&self, id: MeterId) -> Result<Option<Money>> {
        let own: Option<Option<i64>> =
            sqlx::query_scalar("select max_credit_minor from meter where meter_id = $1")
                .bind(id.to_string())
                .fetch_optional(self.reader())
                .await?;
        let own = own.ok_or(ServiceError::NotFound { what: "meter", id: id.to_string() })?;
        Ok(self.cap(own))
    }

    fn cap(&self, own: Option<i64>) -> Option<Money> {
        match own {
            Some(minor) => Some(Money::new(minor, self.currency())),
            None => self.rules().max_credit,
        }
    }

    /// `None`: what the configuration says.
    pub async fn set_max_credit(
        &self,
        id: MeterId,
        most: Option<Money>,
        actor: &Actor,
    ) -> Result<()> {
        if let Some(most) = most
            && (most.currency() != self.currency()
                || !(1..=MAX_SALE_MINOR * 100).contains(&most.minor()))
        {
            let limit = Money::new(MAX_SALE_MINOR * 100, self.currency());
            return Err(invalid("max_credit", format!("above zero and at most {limit}")));
        }
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    meter::record(&mut *tx.connection(), id).await?;
                    sqlx::query("update meter set max_credit_minor = $1 where meter_id = $2")
                        .bind(most.map(|most| most.minor()))
                        .bind(id.to_string())
                        .execute(tx.connection())
                        .await?;
                    let detail = most.map_or("as configured".to_owned(), |most| most.to_string());
                    let object = format!("meter/{id}");
                    let act =
                        Act { at, actor: &actor, act: "max-credit-set", object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }
}

/// Refuses what would bring a purse of money above its cap.
pub(super) async fn check(
    service: &Service,
    connection: &mut Connection,
    meter: &MeterRecord,
    paid: Money,
    credit: Credit,
) -> Result<()> {
    if credit.quantity != Quantity::Money {
        return Ok(());
    }
    let own: Option<i64> =
        sqlx::query_scalar("select max_credit_minor from meter where meter_id = $1")
            .bind(meter.meter_id.to_string())
            .fetch_one(&mut *connection)
            .await?;
    let Some(most) = service.cap(own) else { return Ok(()) };
    let held = last_known(connection, meter.meter_id).await?;
    let after = i128::from(held.unwrap_or_default()) + i128::from(credit.amount);
    if after <= i128::from(most.minor()) {
        return Ok(());
    }
    let money = |minor: i64| Money::new(minor, most.currency());
    let held = held.map_or("an unknown amount".to_owned(), |minor| money(minor).to_string());
    let why = format!(
        "meter {} may hold at most {most} (hoarding cap) and held {held} when last heard of",
        meter.serial_number
    );
    Err(ServiceError::BadAmount { paid, why })
}

/// Minor units: by the newest of a proved sale and of the last reading; what was sold after that
/// reading is added.
async fn last_known(connection: &mut Connection, meter: MeterId) -> Result<Option<i64>> {
    let by_sale: Option<(i64, i64)> = sqlx::query_as(
        "select balance_amount, settled_at_ms from sale
         where meter_id = $1 and state = 'confirmed' and balance_quantity = 'money'
         order by created_at_ms desc, sale_id desc limit 1",
    )
    .bind(meter.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let by_reading: Option<(i64, i64, i64)> = sqlx::query_as(
        "select mantissa, scale, at_ms from reading
         join measurement on measurement.reading_id = reading.reading_id
         where reading.reading_id = (select reading_id from reading where meter_id = $1
                                     order by at_ms desc, reading_id desc limit 1)
           and register = $2 and quality = 'measured' and mantissa is not null",
    )
    .bind(meter.to_string())
    .bind(CREDIT_REGISTER)
    .fetch_optional(&mut *connection)
    .await?;
    let read =
        by_reading.and_then(|(mantissa, scale, at_ms)| Some((minor(mantissa, scale)?, at_ms)));
    match (by_sale, read) {
        (Some((held, sold_at)), Some((_, read_at))) if sold_at >= read_at => Ok(Some(held)),
        (_, Some((held, read_at))) => {
            let since: i64 = sqlx::query_scalar(
                "select cast(coalesce(sum(amount), 0) as bigint) from sale
                 where meter_id = $1 and state = 'confirmed' and quantity = 'money'
                   and settled_at_ms >= $2",
            )
            .bind(meter.to_string())
            .bind(read_at)
            .fetch_one(&mut *connection)
            .await?;
            Ok(Some(held.saturating_add(since)))
        }
        (Some((held, _)), None) => Ok(Some(held)),
        (None, None) => Ok(None),
    }
}

/// A decimal of the currency as minor units of two decimals, rounded down.
fn minor(mantissa: i64, scale: i64) -> Option<i64> {
    let scale = scale.checked_add(2)?;
    let ten = |power: i64| 10_i128.checked_pow(u32::try_from(power).ok()?);
    let minor = match scale {
        0.. => i128::from(mantissa).checked_mul(ten(scale)?)?,
        _ => i128::from(mantissa).div_euclid(ten(scale.checked_neg()?)?),
    };
    i64::try_from(minor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_becomes_minor_units() {
        for (mantissa, scale, expected) in [
            (12_345, -2, Some(12_345)),
            (123_456, -3, Some(12_345)),
            (-1, -3, Some(-1)),
            (7, 0, Some(700)),
            (7, 3, Some(700_000)),
            (i64::MAX, 0, None),
            (1, 127, None),
            (1, -127, None),
        ] {
            assert_eq!(minor(mantissa, scale), expected, "{mantissa} {scale}");
        }
    }
}
