//! What must hold for every tariff and every use of it: parts sum to the whole, more never costs
//! less, nothing is negative, and nobody gets more than he paid for.

use super::*;
use crate::{Currency, Money};
use proptest::prelude::*;

const CNY: Currency = Currency::CNY;

/// Some of every shape, as they are written.
fn tariff() -> impl Strategy<Value = Tariff> {
    let periods = "season hot 06-01..08-31\n\
                   day workday: 00:00-06:00 deep-valley, 06:00-11:00 peak, 11:00-13:00 sharp, \
                   13:00-24:00 flat\n\
                   day weekend holiday: 00:00-24:00 valley\n\
                   season rest 09-01..05-31\n\
                   day workday weekend holiday: 00:00-12:00 flat, 12:00-24:00 peak\n";
    let by_period = |base: u64| {
        let yuan = |more: u64| format!("{}.{:04}", (base + more) / 10_000, (base + more) % 10_000);
        format!(
            "sharp {}, peak {}, flat {}, valley {}, deep-valley {}",
            yuan(9_000),
            yuan(6_000),
            yuan(3_000),
            yuan(500),
            yuan(0)
        )
    };
    let extras = prop_oneof![
        Just(""),
        Just("fee 12.34\n"),
        Just("minimum 30.00\n"),
        Just("tax included 13%\nfee 3.01\n"),
        Just("tax added 9.5%\nminimum 7.77\n"),
    ];
    let shape = (0..5_u8, 1..9_999_u64, 1..400_u64, 1..400_u64, any::<bool>());
    (shape, extras).prop_map(move |((shape, price, first, more, yearly), extras)| {
        let one = |price: u64| format!("0.{price:04}");
        let count = if yearly { "steps yearly" } else { "steps monthly" };
        let (end, second) = (first, first + more);
        let prices = match shape {
            0 => format!("price {}\n", one(price)),
            1 => format!(
                "{count}\nprice to {end}: {}\nprice to {second}.5: 0.7\nprice beyond: 0.9\n\
                          household above 2: 33\n",
                one(price)
            ),
            2 => format!("price {}\n{periods}", by_period(price)),
            // A later step may cost less where there are no periods.
            3 => format!("{count}\nprice to {end}: 0.9999\nprice beyond: {}\n", one(price)),
            _ => format!(
                "{count}\nprice to {end}: {}\nprice to {second}: {}\nprice beyond: {}\n\
                          {periods}",
                by_period(price),
                by_period(price + 700),
                by_period(price + 5_000)
            ),
        };
        parse(&format!("unit kWh\n{prices}{extras}"), CNY).expect("a good tariff")
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    (1..9_u32, 1..80_u32, 0..60_000_u32, 0..30_000_u32, 0..5_000_u64).prop_map(
        |(people, ct, line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day)| Terms {
            people,
            ct,
            pt: 1,
            line_loss_ppm,
            copper_loss_ppm,
            iron_loss_wh_per_day,
        },
    )
}

/// Wh of each period and days, one part after another.
fn uses() -> impl Strategy<Value = Vec<([u64; 5], u8)>> {
    prop::collection::vec((prop::array::uniform5(0..200_000_u64), 0..9_u8), 1..12)
}

fn day(number: u64) -> Date {
    let mut date = Date::new(2027, 1, 1).expect("a day");
    for _ in 0..number / 31 {
        date = date.first_of_next_month().expect("a month");
    }
    let day = u8::try_from(number % 31 + 1).expect("small");
    Date::new(date.year(), date.month(), day.min(date.days_in_month())).expect("a day")
}

fn usage(to: Date, amounts: [u64; 5]) -> Usage {
    let from_reading = Amounts::new([7, 11, 0, 5_000, 1]);
    let to_reading = from_reading.zip(&Amounts::new(amounts), u64::checked_add).expect("small");
    Usage { to, from_reading, to_reading }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn parts_sum_to_the_whole(tariff in tariff(), terms in terms(), uses in uses()) {
        let start = Position::start(day(0));
        let (mut position, mut sum, mut whole, mut at) = (start.clone(), 0, [0; 5], 0_u64);
        for (amounts, days) in &uses {
            at = (at + u64::from(*days)).min(30);
            let part = charge(&tariff, &terms, &position, &usage(day(at), *amounts)).expect("within");
            prop_assert!(part.total.minor() >= 0 && part.energy.minor() >= 0);
            prop_assert!(part.fee.minor() >= 0 && part.tax.minor() >= 0);
            prop_assert_eq!(part.rerun().expect("again"), part.clone());
            sum += part.total.minor();
            position = part.after.clone();
            for (sum, amount) in whole.iter_mut().zip(amounts) {
                *sum += amount;
            }
        }
        let once = charge(&tariff, &terms, &start, &usage(day(at), whole)).expect("within");
        prop_assert_eq!(once.total.minor(), sum);
        prop_assert_eq!(once.after, position);
    }

    #[test]
    fn more_never_costs_less(
        tariff in tariff(), terms in terms(), before in prop::array::uniform5(0..900_000_u64),
        amounts in prop::array::uniform5(0..900_000_u64), which in 0..5_usize, more in 0..900_000_u64,
    ) {
        let start = charge(&tariff, &terms, &Position::start(day(0)), &usage(day(3), before));
        let start = start.expect("within").after;
        let less = charge(&tariff, &terms, &start, &usage(day(9), amounts)).expect("within");
        let mut added = amounts;
        added[which] += more;
        let most = charge(&tariff, &terms, &start, &usage(day(9), added)).expect("within");
        prop_assert!(most.total.minor() >= less.total.minor());
        prop_assert!(most.energy.minor() >= less.energy.minor());
    }

    #[test]
    fn nobody_gets_more_than_he_paid_for(
        tariff in tariff(), terms in terms(), before in 0..900_000_u64,
        payments in prop::collection::vec(0..100_000_i64, 1..8),
    ) {
        let whole: i64 = payments.iter().sum();
        let whole = buy(&tariff, &terms, before, Money::new(whole, CNY), 1).expect("countable");
        prop_assert!(whole.price.minor() <= whole.paid.minor());
        prop_assert_eq!(whole.rerun().expect("again"), whole.clone());
        let next = price_of(&tariff, &terms, before, whole.metered + 1).expect("countable");
        prop_assert!(next.minor() > whole.paid.minor(), "one more would have been paid for");
        let back = price_of(&tariff, &terms, before, whole.metered).expect("countable");
        prop_assert_eq!(back, whole.price);

        let (mut at, mut metered) = (before, 0);
        for minor in &payments {
            let part = buy(&tariff, &terms, at, Money::new(*minor, CNY), 1).expect("countable");
            prop_assert!(part.price.minor() <= part.paid.minor());
            at += part.billed;
            metered += part.metered;
        }
        // Each part leaves less than a unit unbought; where a later step is cheaper, that little
        // money may buy more there.
        let price = price_of(&tariff, &terms, before, metered).expect("countable");
        prop_assert!(price.minor() <= whole.paid.minor());
        let parts = i64::try_from(payments.len()).expect("few");
        // The dearest kWh here is below 3.00, with tax and losses; a meter counts `ct` of them.
        let unit_most = 300 * i64::from(terms.ct) / 1_000 + 2;
        prop_assert!(whole.price.minor() - price.minor() <= parts * unit_most);
    }

    #[test]
    fn a_bill_is_its_parts_and_its_readings(
        tariff in tariff(), later in tariff(), terms in terms(),
        amounts in prop::array::uniform5(0..900_000_u64), change in 1..200_u64, to in 0..250_u64,
    ) {
        let plan = Timeline(vec![
            Version { number: 1, from: day(0), tariff },
            Version { number: 2, from: day(change), tariff: later },
        ]);
        let usage = usage(day(to), amounts);
        let bill = bill(&plan, &terms, &Position::start(day(0)), &usage).expect("a bill");
        let mut metered = [0; 5];
        for (_, part) in &bill.parts {
            prop_assert!(part.total.minor() >= 0);
            for (sum, amount) in metered.iter_mut().zip(part.metered.all()) {
                *sum += amount;
            }
        }
        prop_assert_eq!(metered, amounts);
        let sum: i64 = bill.parts.iter().map(|(_, part)| part.total.minor()).sum();
        prop_assert_eq!(bill.total.minor(), sum);
        prop_assert_eq!(bill.after.at, day(to));
        for (number, part) in &bill.parts {
            prop_assert_eq!(*number, if part.before.at < day(change) { 1 } else { 2 });
        }
    }

    #[test]
    fn what_is_written_reads_back(tariff in tariff()) {
        prop_assert_eq!(parse(&tariff.to_string(), CNY).expect("canonical"), tariff);
    }

    #[test]
    fn no_text_panics(text in "(unit|price|day|season|tax|fee|steps|household|[-0-9:., \n%a-z]){0,40}") {
        let _ = parse(&text, CNY);
    }

    #[test]
    fn days_are_counted_as_the_calendar_does(number in 0..2_000_000_i64) {
        // One day after another, by the calendar alone, from a known day.
        let mut date = Date::new(2000, 2, 28).expect("a day");
        prop_assert_eq!(date.number(), 11_015);
        for _ in 0..number % 1_000 {
            let next = Date::new(date.year(), date.month(), date.day() + 1);
            let next = next.or_else(|| date.first_of_next_month()).expect("a day");
            prop_assert_eq!(date.days_until(next), 1);
            prop_assert_eq!((date.weekday() + 1) % 7, next.weekday());
            date = next;
        }
    }
}
