//! A charge's arithmetic as it is kept, and made again to see that it still comes out.
//!
//! Every value has its way back; what cannot be read back names its column.

use crate::error::{Result, bad_column};
use crate::tariff::{self, Rerun, cost, cost_json};
use polymeter_domain::tariff::{
    Amounts, Commodity, Date, Explanation, MonthSoFar, Position, Registers, Tariff, Tax, Usage,
};
use polymeter_domain::{Currency, Money, TariffVersionId};
use serde_json::{Value as Json, json};

/// One part of a charge: within one month and one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargePart {
    pub version: TariffVersionId,
    pub explained: Explanation,
}

pub(crate) fn registers_text(registers: &Registers) -> String {
    json!({ "total": registers.total, "periods": registers.periods.map(|it| it.all()) }).to_string()
}

pub(crate) fn registers(text: &str) -> Result<Registers> {
    let read = || -> Option<Registers> {
        let json: Json = serde_json::from_str(text).ok()?;
        let total = match &json["total"] {
            Json::Null => None,
            number => Some(number.as_u64()?),
        };
        let periods = match &json["periods"] {
            Json::Null => None,
            all => Some(amounts(all)?),
        };
        Some(Registers { total, periods })
    };
    read().ok_or_else(|| bad_column("registers", text))
}

fn five(json: &Json) -> Option<[u64; 5]> {
    let all: Vec<u64> = json.as_array()?.iter().map(Json::as_u64).collect::<Option<_>>()?;
    all.try_into().ok()
}

fn amounts(json: &Json) -> Option<Amounts> {
    five(json).map(Amounts::new)
}

fn tax_json(tax: Tax) -> Json {
    match tax {
        Tax::None => json!(["none", 0]),
        Tax::Included(rate) => json!(["included", rate]),
        Tax::Added(rate) => json!(["added", rate]),
    }
}

fn tax(json: &Json) -> Option<Tax> {
    let rate = u32::try_from(json[1].as_u64()?).ok()?;
    Some(match json[0].as_str()? {
        "none" => Tax::None,
        "included" => Tax::Included(rate),
        "added" => Tax::Added(rate),
        _ => return None,
    })
}

/// Sums of a month are bounded far below 64 bits; one that were not would be refused when read.
fn whole(number: i128) -> Json {
    i64::try_from(number).map_or(Json::Null, Json::from)
}

fn position_json(position: &Position) -> Json {
    let month = &position.month;
    json!({
        "at": position.at.to_string(),
        "since": position.since.to_string(),
        "used": position.used.all(),
        "loss_rest_ppm": position.loss_rest_ppm,
        "month": {
            "first": month.first.to_string(),
            "energy_minor": whole(month.energy_minor),
            "fee_days": whole(month.fee_days),
            "minimum_days": whole(month.minimum_days),
            "taxed_minor": whole(month.taxed_minor),
            "tax": tax_json(month.tax),
        },
    })
}

pub(crate) fn position_text(position: &Position) -> String {
    position_json(position).to_string()
}

fn date(json: &Json) -> Option<Date> {
    json.as_str()?.parse().ok()
}

fn position_of(json: &Json) -> Option<Position> {
    let month = &json["month"];
    let sum = |key: &str| month[key].as_i64().map(i128::from);
    Some(Position {
        at: date(&json["at"])?,
        since: date(&json["since"])?,
        used: amounts(&json["used"])?,
        loss_rest_ppm: five(&json["loss_rest_ppm"])?,
        month: MonthSoFar {
            first: date(&month["first"])?,
            energy_minor: sum("energy_minor")?,
            fee_days: sum("fee_days")?,
            minimum_days: sum("minimum_days")?,
            taxed_minor: sum("taxed_minor")?,
            tax: tax(&month["tax"])?,
        },
    })
}

pub(crate) fn position(text: &str) -> Result<Position> {
    let json: Option<Json> = serde_json::from_str(text).ok();
    json.as_ref().and_then(position_of).ok_or_else(|| bad_column("position", text))
}

fn part_json(part: &ChargePart) -> Json {
    let it = &part.explained;
    let terms = &it.terms;
    json!({
        "version": part.version.to_string(),
        "terms": {
            "people": terms.people,
            "ct": terms.ct,
            "pt": terms.pt,
            "line_loss_ppm": terms.line_loss_ppm,
            "copper_loss_ppm": terms.copper_loss_ppm,
            "iron_loss_wh_per_day": terms.iron_loss_wh_per_day,
        },
        "before": position_json(&it.before),
        "to": it.usage.to.to_string(),
        "from_reading": it.usage.from_reading.all(),
        "to_reading": it.usage.to_reading.all(),
        "metered": it.metered.all(),
        "billed": it.billed.all(),
        "cost_before": cost_json(&it.cost_before),
        "cost_after": cost_json(&it.cost_after),
        "energy_minor": it.energy.minor(),
        "fee_minor": it.fee.minor(),
        "minimum_minor": it.minimum.minor(),
        "tax_minor": it.tax.minor(),
        "total_minor": it.total.minor(),
        "after": position_json(&it.after),
    })
}

pub(crate) fn parts_text(parts: &[ChargePart]) -> String {
    Json::from(parts.iter().map(part_json).collect::<Vec<_>>()).to_string()
}

/// The version of each part, to be looked up before the parts can be read.
pub(crate) fn versions_of(text: &str) -> Result<Vec<TariffVersionId>> {
    let read = || -> Option<Vec<TariffVersionId>> {
        let json: Json = serde_json::from_str(text).ok()?;
        json.as_array()?.iter().map(|part| part["version"].as_str()?.parse().ok()).collect()
    };
    read().ok_or_else(|| bad_column("explanation", text))
}

/// `tariffs` in the order of [`versions_of`].
pub(crate) fn parts(text: &str, tariffs: &[Tariff], currency: Currency) -> Result<Vec<ChargePart>> {
    let read = || -> Option<Vec<ChargePart>> {
        let json: Json = serde_json::from_str(text).ok()?;
        let parts = json.as_array()?;
        parts.iter().zip(tariffs).map(|(part, tariff)| part_of(part, tariff, currency)).collect()
    };
    read().ok_or_else(|| bad_column("explanation", text))
}

fn part_of(json: &Json, tariff: &Tariff, currency: Currency) -> Option<ChargePart> {
    let money = |key: &str| Some(Money::new(json[key].as_i64()?, currency));
    let explained = Explanation {
        tariff: tariff.clone(),
        terms: tariff::terms(&json["terms"])?,
        before: position_of(&json["before"])?,
        usage: Usage {
            to: date(&json["to"])?,
            from_reading: amounts(&json["from_reading"])?,
            to_reading: amounts(&json["to_reading"])?,
        },
        metered: amounts(&json["metered"])?,
        billed: amounts(&json["billed"])?,
        cost_before: cost(&json["cost_before"])?,
        cost_after: cost(&json["cost_after"])?,
        energy: money("energy_minor")?,
        fee: money("fee_minor")?,
        minimum: money("minimum_minor")?,
        tax: money("tax_minor")?,
        total: money("total_minor")?,
        after: position_of(&json["after"])?,
    };
    Some(ChargePart { version: json["version"].as_str()?.parse().ok()?, explained })
}

/// Makes every part again from what it was made from.
pub(crate) fn rerun(parts: &[ChargePart], amount: Money) -> Rerun {
    for (number, part) in (1..).zip(parts) {
        let kept = &part.explained;
        let again = match kept.rerun() {
            Ok(again) => again,
            Err(why) => {
                return Rerun::Differs(format!("part {number} cannot be made again: {why}"));
            }
        };
        for (what, kept, now) in [
            ("the total", kept.total, again.total),
            ("the price of what was used", kept.energy, again.energy),
            ("the fee", kept.fee, again.fee),
            ("the minimum", kept.minimum, again.minimum),
            ("the tax", kept.tax, again.tax),
        ] {
            if kept != now {
                let told =
                    format!("{what} of part {number} was kept as {kept} and comes out as {now}");
                return Rerun::Differs(told);
            }
        }
        if again != *kept {
            return Rerun::Differs(format!(
                "the steps kept of part {number} are not those that come out"
            ));
        }
    }
    let sum: i64 = parts.iter().map(|part| part.explained.total.minor()).sum();
    if sum == amount.minor() {
        return Rerun::Same;
    }
    let sum = Money::new(sum, amount.currency());
    Rerun::Differs(format!("the parts sum to {sum}, and {amount} was booked"))
}

pub(crate) fn commodity_of(parts: &[ChargePart]) -> Option<Commodity> {
    parts.first().map(|part| part.explained.tariff.commodity())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::tariff::{Terms, charge, parse};

    #[test]
    fn what_is_kept_reads_back_and_a_changed_digit_is_told() {
        let text = "unit kWh\nsteps yearly\nprice to 10: 0.50\nprice beyond: 1.00\nfee 31.00\n\
                    tax added 13%\nminimum 50.00\n";
        let tariff = parse(text, Currency::CNY).expect("a tariff");
        let day = |text: &str| text.parse::<Date>().expect("a day");
        let usage = Usage {
            to: day("2026-03-09"),
            from_reading: Amounts::one(5),
            to_reading: Amounts::one(12_345),
        };
        let terms = Terms { ct: 2, line_loss_ppm: 12_345, ..Terms::default() };
        let start = Position::start(day("2026-03-02"));
        let explained = charge(&tariff, &terms, &start, &usage).expect("charged");
        let version = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an id");
        let made = vec![ChargePart { version, explained }];
        let text = parts_text(&made);
        assert_eq!(versions_of(&text).expect("kept"), [version]);
        let back = parts(&text, std::slice::from_ref(&tariff), Currency::CNY).expect("kept");
        assert_eq!(back, made);
        let total = made[0].explained.total;
        assert_eq!(rerun(&back, total), Rerun::Same);
        assert!(matches!(rerun(&back, Money::new(1, Currency::CNY)), Rerun::Differs(_)));
        let fee = made[0].explained.fee.minor();
        let bent = text.replace(&format!("\"fee_minor\":{fee}"), "\"fee_minor\":1");
        assert_ne!(bent, text);
        let bent = parts(&bent, &[tariff], Currency::CNY).expect("readable");
        let told = "the fee of part 1 was kept as 0.01 and comes out as 7.00";
        assert_eq!(rerun(&bent, total), Rerun::Differs(told.to_owned()));

        let after = &made[0].explained.after;
        assert_eq!(&position(&position_text(after)).expect("kept"), after);
        assert!(position("{}").is_err());
        let told = Registers { total: Some(7), periods: Some(Amounts::new([1, 2, 3, 4, 5])) };
        for told in [told, Registers { total: None, ..told }, Registers { periods: None, ..told }] {
            assert_eq!(registers(&registers_text(&told)).expect("kept"), told);
        }
    }
}
