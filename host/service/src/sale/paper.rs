//! The customer's receipt of a sale: its lines as they are the moment the device has taken the credit.

use super::quote::amount;
use super::store::StoredSale;
use crate::clock::UnixMs;
use crate::customer_receipt::{self, NewReceipt, line};
use crate::error::Result;
use crate::token;
use polymeter_domain::Receipt;
use polymeter_ledger::Connection;

/// Number, name and premises of the customer; serial number of the meter; plan and version; who sold.
type Facts = (String, String, String, String, String, i64, Option<String>);

pub(super) async fn issue(
    connection: &mut Connection,
    sale: &StoredSale,
    receipt: &Receipt,
    at: UnixMs,
) -> Result<()> {
    let (number, name, premises, serial_number, plan, version, sold_by): Facts = sqlx::query_as(
        "select customer.number, customer.name, customer.premises, meter.serial_number,
                tariff_plan.name, tariff_version.number, operator.name
         from sale
         join customer on customer.customer_id = sale.customer_id
         join meter on meter.meter_id = sale.meter_id
         join tariff_version on tariff_version.tariff_version_id = sale.tariff_version_id
         join tariff_plan on tariff_plan.tariff_plan_id = tariff_version.tariff_plan_id
         left join operator on operator.operator_id = sale.operator_id
         where sale.sale_id = $1",
    )
    .bind(sale.sale_id.to_string())
    .fetch_one(&mut *connection)
    .await?;
    let currency = sale.paid.currency();
    let code = currency.code();
    let mut lines = vec![line("Customer number", "户号", number), line("Customer", "用户", name)];
    if !premises.is_empty() {
        lines.push(line("Premises", "地址", premises));
    }
    lines.push(line("Meter", "表号", serial_number));
    lines.push(line("Tariff", "电价方案", format!("{plan}, version {version}")));
    lines.push(line("Paid", "金额", format!("{} {code}", sale.paid)));
    for (label, chinese, amount) in [
        ("Of it for arrears", "补缴欠费", sale.deductions.arrears),
        ("Of it the monthly fee", "基本费", sale.deductions.fee),
        ("Given on top", "赠送", sale.deductions.gift),
    ] {
        if amount.minor() > 0 {
            lines.push(line(label, chinese, format!("{amount} {code}")));
        }
    }
    lines.push(line("Bought", "购得", amount(sale.bought, sale.commodity)));
    match token::of_sale(&mut *connection, sale.sale_id).await?.and_then(|it| it.digits) {
        None => lines.push(line("Purchase count", "购电次数", receipt.count.to_string())),
        Some(digits) => {
            let carried = super::delivery::in_words(sale.credit, currency);
            lines.push(line("On the token", "令牌电量", carried));
            for token in digits.grouped() {
                lines.push(line("Token", "充值码", token));
            }
        }
    }
    if let Some(balance) = receipt.balance {
        let held = super::delivery::in_words(balance, currency);
        lines.push(line("In the meter", "剩余", held));
    }
    if let Some(sold_by) = sold_by {
        lines.push(line("Sold by", "操作员", sold_by));
    }
    customer_receipt::issue(
        connection,
        &NewReceipt {
            kind: "sale",
            reference: sale.sale_id.uuid(),
            customer_id: Some(sale.customer_id),
            meter_id: Some(sale.meter_id),
            operator: sale.operator.clone(),
            channel: sale.channel,
            amount: sale.paid,
            lines,
            at,
        },
    )
    .await
}
