//! The arithmetic of a price in front of people: one list of lines, in English and Chinese, for the
//! command, the API and the page. Nothing is decided here.

use polymeter_domain::tariff::{
    Bought, Commodity, Cost, Explanation, Origin, Period, Rates, Share, Tariff, Tax, Terms,
};
use polymeter_domain::{Currency, Deductions, Money};
use polymeter_service::{Rerun, SaleExplanation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One line of an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArithmeticLine {
    pub label: String,
    /// The same in the words of the trade.
    pub chinese: String,
    pub text: String,
}

fn line(label: &str, chinese: &str, text: impl Into<String>) -> ArithmeticLine {
    ArithmeticLine { label: label.to_owned(), chinese: chinese.to_owned(), text: text.into() }
}

/// "96.153 kWh", "10.637 m³": every Wh and every litre.
pub fn amount(amount: u64, commodity: Commodity) -> String {
    format!("{}.{:03} {}", amount / 1000, amount % 1000, commodity.unit())
}

/// Ten-millionths of a minor unit as the currency's units, exact, without needless zeros.
fn exact(parts: i128, currency: Currency) -> String {
    let own = usize::from(currency.decimals());
    let decimals = own + 7;
    let digits = format!("{:0>width$}", parts.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let kept = fraction.trim_end_matches('0').len().max(own);
    format!("{whole}.{}", &fraction[..kept])
}

/// "0.52 CNY/kWh", "0.538 to 0.838 CNY/kWh": what a tariff costs at a glance.
pub fn prices(tariff: &Tariff) -> String {
    let currency = tariff.currency();
    let rates = tariff.steps().iter().flat_map(|step| match &step.rates {
        Rates::One(rate) => vec![*rate],
        Rates::ByPeriod(rates) => rates.iter().flatten().copied().collect(),
    });
    let rates: Vec<_> = rates.collect();
    let shown = match (rates.iter().min(), rates.iter().max()) {
        (Some(least), Some(most)) if least < most => {
            format!("{} to {}", least.show(currency), most.show(currency))
        }
        (Some(one), _) => one.show(currency),
        (None, _) => String::new(),
    };
    format!("{shown} {}/{}", currency.code(), tariff.commodity().unit())
}

/// "Steps 阶梯, periods 分时", or "Flat 单一".
pub fn kind(tariff: &Tariff) -> (&'static str, &'static str) {
    match (tariff.has_steps(), tariff.schedule().is_some()) {
        (false, false) => ("Flat", "单一电价"),
        (true, false) => ("Steps", "阶梯"),
        (false, true) => ("Periods", "尖峰平谷"),
        (true, true) => ("Steps and periods", "阶梯分时"),
    }
}

pub fn of_sale(explained: &SaleExplanation) -> Vec<ArithmeticLine> {
    let version = &explained.version;
    let mut lines = vec![
        line("Plan", "电价方案", &explained.plan_name),
        line("Version", "版本", format!("{}, from {}", version.number, version.from)),
        line("Priced on", "计价日期", explained.priced_on.to_string()),
    ];
    lines.extend(of_deductions(explained.sale.paid, &explained.sale.deductions));
    lines.extend(of_purchase(&explained.bought, explained.priced_on));
    let rerun = match &explained.rerun {
        Rerun::Same => "the same, to the last digit".to_owned(),
        Rerun::Differs(why) => format!("DIFFERS: {why}"),
    };
    lines.push(line("Calculated again", "复算", rerun));
    lines
}

/// What of a payment buys nothing, and what is given on top; nothing where the whole buys.
pub fn of_deductions(paid: Money, deductions: &Deductions) -> Vec<ArithmeticLine> {
    if deductions.is_none() {
        return Vec::new();
    }
    let currency = paid.currency();
    let code = currency.code();
    let mut lines = vec![line("Handed over", "收款", format!("{paid} {code}"))];
    for (label, chinese, amount) in [
        ("Less arrears", "补缴欠费", deductions.arrears),
        ("Less the fee of the month", "基本费", deductions.fee),
        ("Given on top", "赠送", deductions.gift),
    ] {
        if amount.minor() > 0 {
            lines.push(line(label, chinese, format!("{amount} {code}")));
        }
    }
    lines
}

/// What money buys, step by step.
pub fn of_purchase(bought: &Bought, on: polymeter_domain::tariff::Date) -> Vec<ArithmeticLine> {
    let (tariff, currency) = (&bought.tariff, bought.paid.currency());
    let (code, commodity) = (currency.code(), tariff.commodity());
    let mut lines = vec![line("Paid", "金额", format!("{} {code}", bought.paid))];
    lines.extend(of_terms(&bought.terms, tariff));
    if tariff.has_steps() {
        let since = tariff.accumulation().start(on);
        let text = format!("{} since {since}", amount(bought.before, commodity));
        lines.push(line("Bought before", "本期已购", text));
    }
    for after in &bought.cost_after.shares {
        let before = bought.cost_before.shares.iter().find(|it| it.step == after.step);
        let more = after.step_amount - before.map_or(0, |it| it.step_amount);
        if more > 0 {
            let rate = after.rate.show(currency);
            let cost = i128::from(more) * i128::from(after.rate.ten_thousandths());
            let text =
                format!("{} × {rate} = {} {code}", amount(more, commodity), exact(cost, currency));
            lines.push(step_line(tariff, after, text));
        }
    }
    if !matches!(tariff.tax(), Tax::None) {
        lines.push(line("Tax", "税", tax_text(tariff.tax(), &bought.tax.to_string(), code)));
    }
    let whole = amount(bought.billed, commodity);
    let (costs, text) = match bought.origin {
        Origin::Bought { .. } => {
            let least = if bought.is_least { "at least " } else { "" };
            ("Costs", format!("{least}{whole}, rounded down"))
        }
        Origin::Carried { .. } => ("Would cost", format!("{whole}, as it was in the old meter")),
    };
    lines.push(line(costs, "费用", format!("{} {code}, rounded up", bought.price)));
    lines.push(match (bought.origin, commodity) {
        (Origin::Carried { .. }, _) => line("Carried over", "结转", text),
        (_, Commodity::Energy) => line("Buys", "电量", text),
        (_, Commodity::Water) => line("Buys", "水量", text),
    });
    if bought.metered != bought.billed {
        let text = amount(bought.metered, commodity);
        lines.push(line("Counted by the meter", "表计", text));
    }
    lines
}

fn step_line(tariff: &Tariff, share: &Share, text: String) -> ArithmeticLine {
    if tariff.has_steps() {
        line(&format!("Step {}", share.step), &format!("第{}档", share.step), text)
    } else if tariff.schedule().is_some() {
        line("In the dearest period", "按最高时段", text)
    } else {
        line("Price", "电价", text)
    }
}

fn percent(ppm: u32) -> String {
    let digits = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// Only what is not as usual.
pub fn of_terms(terms: &Terms, tariff: &Tariff) -> Vec<ArithmeticLine> {
    let mut lines = Vec::new();
    if tariff.household().is_some() {
        lines.push(line("Persons", "户籍人口", terms.people.to_string()));
    }
    if (terms.ct, terms.pt) != (1, 1) {
        let text = format!("{} × {}", terms.ct, terms.pt);
        lines.push(line("Ratio CT × PT", "倍率", text));
    }
    if terms.line_loss_ppm > 0 {
        lines.push(line("Line loss", "线损", percent(terms.line_loss_ppm)));
    }
    if terms.copper_loss_ppm > 0 {
        lines.push(line("Copper loss", "变损 (铜损)", percent(terms.copper_loss_ppm)));
    }
    if terms.iron_loss_wh_per_day > 0 {
        let text = format!("{} Wh per day", terms.iron_loss_wh_per_day);
        lines.push(line("Iron loss", "变损 (铁损)", text));
    }
    lines
}

fn tax_text(tax: Tax, amount: &str, code: &str) -> String {
    let (rate, how) = match tax {
        Tax::None => return String::new(),
        Tax::Included(rate) => (rate, "in it"),
        Tax::Added(rate) => (rate, "on top"),
    };
    format!("{} {how}: {amount} {code}", percent(rate * 100))
}

/// A charge: what was used, what all of it costs so far, and what of that was charged before.
pub fn of_charge(charged: &Explanation) -> Vec<ArithmeticLine> {
    let tariff = &charged.tariff;
    let (currency, commodity) = (tariff.currency(), tariff.commodity());
    let code = currency.code();
    let mut lines = of_terms(&charged.terms, tariff);
    for period in Period::ALL {
        if charged.billed.of(period) > 0 {
            let text = amount(charged.billed.of(period), commodity);
            lines.push(match tariff.schedule() {
                Some(_) => {
                    line(&format!("Used, {period}"), &format!("{}电量", period.chinese()), text)
                }
                None => line("Used", "用量", text),
            });
        }
    }
    lines.extend(charged.cost_after.shares.iter().map(|share| share_line(charged, share)));
    if charged.cost_before.total > 0 {
        let text = format!(
            "{} {code} for {}",
            minor(&charged.cost_before, currency),
            amount(charged.cost_before.total, commodity)
        );
        lines.push(line("Less what was charged before", "减已计", text));
    }
    lines.push(line(
        "For what was used",
        "电(水)费",
        format!("{} {code}, half up", charged.energy),
    ));
    for (label, chinese, money) in
        [("Fee", "基本费", charged.fee), ("Minimum", "最低消费补足", charged.minimum)]
    {
        if money.minor() != 0 {
            lines.push(line(label, chinese, format!("{money} {code}")));
        }
    }
    if !matches!(tariff.tax(), Tax::None) {
        lines.push(line("Tax", "税", tax_text(tariff.tax(), &charged.tax.to_string(), code)));
    }
    lines.push(line("Total", "合计", format!("{} {code}", charged.total)));
    lines
}

fn minor(cost: &Cost, currency: Currency) -> String {
    let minor = cost.minor(polymeter_domain::tariff::Rounding::HalfUp);
    let minor = i64::try_from(minor).unwrap_or(i64::MAX);
    polymeter_domain::Money::new(minor, currency).to_string()
}

fn share_line(charged: &Explanation, share: &Share) -> ArithmeticLine {
    let tariff = &charged.tariff;
    let (commodity, rate) = (tariff.commodity(), share.rate.show(tariff.currency()));
    let step = format!("Step {}", share.step);
    let nth = format!("第{}档", share.step);
    match (share.period, tariff.has_steps()) {
        (None, true) => {
            line(&step, &nth, format!("{} × {rate}", amount(share.step_amount, commodity)))
        }
        (None, false) => {
            line("Price", "单价", format!("{} × {rate}", amount(share.step_amount, commodity)))
        }
        (Some(period), false) => line(
            &format!("Price, {period}"),
            &format!("{}电价", period.chinese()),
            format!("{} × {rate}", amount(share.period_amount, commodity)),
        ),
        (Some(period), true) => line(
            &format!("{step}, {period}"),
            &format!("{nth}{}", period.chinese()),
            format!(
                "{} × {} / {} × {rate}",
                amount(share.period_amount, commodity),
                amount(share.step_amount, commodity),
                amount(charged.cost_after.total, commodity)
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::Money;
    use polymeter_domain::tariff::{buy, parse};

    #[test]
    fn a_purchase_is_told_step_by_step() {
        let text = "unit kWh\nsteps yearly\nprice to 2760: 0.5380\nprice beyond: 0.5880\n";
        let tariff = parse(text, Currency::CNY).expect("a tariff");
        let paid = Money::new(10_000, Currency::CNY);
        let terms = Terms { ct: 2, ..Terms::default() };
        let bought = buy(&tariff, &terms, 2_700_000, paid, 1).expect("a purchase");
        let on = "2026-07-01".parse().expect("a day");
        let told: Vec<String> = of_purchase(&bought, on)
            .iter()
            .map(|line| format!("{} {}: {}", line.label, line.chinese, line.text))
            .collect();
        assert_eq!(
            told,
            [
                "Paid 金额: 100.00 CNY",
                "Ratio CT × PT 倍率: 2 × 1",
                "Bought before 本期已购: 2700.000 kWh since 2026-01-01",
                "Step 1 第1档: 60.000 kWh × 0.538 = 32.28 CNY",
                "Step 2 第2档: 115.170 kWh × 0.588 = 67.71996 CNY",
                "Costs 费用: 100.00 CNY, rounded up",
                "Buys 电量: 175.170 kWh, rounded down",
                "Counted by the meter 表计: 87.585 kWh",
            ]
        );
        assert_eq!(prices(&tariff), "0.538 to 0.588 CNY/kWh");
        assert_eq!(percent(25_000), "2.5 %");
    }
}
