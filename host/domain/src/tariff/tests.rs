//! Tariffs by example.

use super::*;
use crate::{Currency, Money, Quantity};

const CNY: Currency = Currency::CNY;

fn date(text: &str) -> Date {
    text.parse().expect("a day")
}

fn fen(minor: i64) -> Money {
    Money::new(minor, CNY)
}

#[track_caller]
fn good(text: &str) -> Tariff {
    parse(text, CNY).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn refused(text: &str, why: &str) {
    assert_eq!(parse(text, CNY).map_err(|error| error.to_string()), Err(why.to_owned()), "{text}");
}

fn use_of(amounts: [u64; 5], to: &str) -> Usage {
    let from_reading = Amounts::default();
    Usage { to: date(to), from_reading, to_reading: Amounts::new(amounts) }
}

/// Examples as a person would write them.
pub const FLAT: &str = "unit kWh\nprice 0.52\n";
pub const STEPS: &str = "unit kWh\nsteps yearly\nprice to 2760: 0.5380\nprice to 4800: 0.5880\n\
                         price beyond: 0.8380\nhousehold above 4: 1200\n";
pub const PERIODS: &str = "unit kWh\nprice sharp 1.2064, peak 1.0092, flat 0.6283, valley 0.2513, \
                           deep-valley 0.2011\n\
                           season summer 07-01..08-31\n\
                           day workday weekend: 00:00-08:00 valley, 08:00-11:00 peak, \
                           11:00-13:00 flat, 13:00-17:00 sharp, 17:00-22:00 peak, 22:00-24:00 flat\n\
                           day holiday: 00:00-09:00 flat, 09:00-15:00 deep-valley, \
                           15:00-24:00 flat\n\
                           season other 09-01..06-30\n\
                           day workday weekend: 00:00-08:00 valley, 08:00-11:00 peak, \
                           11:00-17:00 flat, 17:00-22:00 peak, 22:00-24:00 flat\n\
                           day holiday: 00:00-09:00 flat, 09:00-15:00 deep-valley, \
                           15:00-24:00 flat\n\
                           holidays 2026-10-01 2026-10-02 2026-10-03\n\
                           workdays 2026-10-10\n";
pub const BOTH: &str = "unit kWh\nsteps yearly\nprice to 3120: peak 0.6170, valley 0.3070\n\
                        price to 4800: peak 0.6770, valley 0.3370\n\
                        price beyond: peak 0.9770, valley 0.4870\n\
                        season year 01-01..12-31\n\
                        day workday weekend holiday: 00:00-06:00 valley, 06:00-22:00 peak, \
                        22:00-24:00 valley\n";
pub const WATER: &str = "unit m3\nsteps yearly\nprice to 220: 3.4500\nprice to 300: 4.8300\n\
                         price beyond: 5.8300\nhousehold above 4: 50\n";

#[test]
fn examples_are_canonical() {
    for text in [FLAT, STEPS, PERIODS, BOTH, WATER] {
        let tariff = good(text);
        assert_eq!(good(&tariff.to_string()), tariff);
    }
    assert_eq!(good(FLAT).to_string(), FLAT);
    assert!(good(PERIODS).to_string().contains("season other 09-01..06-30\nday workday weekend: "));
    let typed = "unit kWh\n# as a person types\nprice： 峰 0.6，谷 0.3\nseason year 01-01..12-31\n\
                 day workday weekend holiday: 00:00-06:00 谷, 06:00-24:00 峰\n";
    assert!(good(typed).to_string().contains("price peak 0.60, valley 0.30\n"));
}

#[test]
fn a_flat_price_buys_what_it_always_bought() {
    let tariff = good(FLAT);
    for (paid, wh) in [(0, 0), (1, 19), (52, 1_000), (5_000, 96_153)] {
        let bought = buy(&tariff, &Terms::default(), 0, fen(paid), 1).expect("countable");
        assert_eq!((bought.metered, bought.billed), (wh, wh), "{paid}");
    }
    for (paid, why) in
        [(i64::MAX, "it buys more than can be counted"), (-1, "the amount is below zero")]
    {
        let error = buy(&tariff, &Terms::default(), 0, fen(paid), 1).expect_err("no");
        assert_eq!(error.to_string(), why);
    }
}

#[test]
fn a_purchase_goes_on_from_its_place_in_the_steps() {
    let tariff = good(STEPS);
    let check = |people, before, paid, wh, price| {
        let terms = Terms { people, ..Terms::default() };
        let bought = buy(&tariff, &terms, before, fen(paid), 1).expect("countable");
        assert_eq!((bought.metered, bought.price.minor()), (wh, price), "{people} {before}");
        assert!(!bought.is_least);
    };
    check(4, 0, 10_000, 185_873, 10_000);
    // 60 kWh in the first step for 32.28, the rest of 67.72 in the second.
    check(4, 2_700_000, 10_000, 60_000 + 115_170, 10_000);
    check(4, 4_800_000, 10_000, 119_331, 10_000);
    // Two persons more: each threshold is 2400 kWh higher.
    check(6, 4_800_000, 10_000, 185_873, 10_000);
}

#[test]
fn ratios_and_losses_are_paid_for() {
    let tariff = good(FLAT);
    let terms = Terms { ct: 20, line_loss_ppm: 25_000, ..Terms::default() };
    let bought = buy(&tariff, &terms, 0, fen(100_000), 1).expect("countable");
    // 1923.076 kWh with loss; 93 808 Wh on the meter are 1876.160 kWh, and 46.904 kWh are lost.
    assert_eq!((bought.metered, bought.billed), (93_808, 1_923_064));
    let usage = use_of([0, 0, 93_808, 0, 0], "2026-07-02");
    let charged = charge(&tariff, &terms, &Position::start(date("2026-07-01")), &usage);
    assert_eq!(charged.expect("within").total, fen(99_999));

    let terms = Terms { iron_loss_wh_per_day: 4_800, copper_loss_ppm: 10_000, ..terms };
    let charged = charge(&tariff, &terms, &Position::start(date("2026-07-01")), &usage);
    let charged = charged.expect("within");
    assert_eq!(charged.billed.total(), Some(1_876_160 + 65_665 + 4_800));
}

#[test]
fn each_period_has_its_price() {
    let tariff = good(PERIODS);
    let start = Position::start(date("2026-07-01"));
    let usage = use_of([100_000, 200_000, 300_000, 400_000, 50_000], "2026-08-01");
    let charged = charge(&tariff, &Terms::default(), &start, &usage).expect("within");
    // 120.64 + 201.84 + 188.49 + 100.52 + 10.055
    assert_eq!(charged.total, fen(62_155));
    let schedule = tariff.schedule().expect("periods");
    let check = |day: &str, hour: u16, period| {
        assert_eq!(schedule.period_at(date(day), hour * 60), period, "{day} {hour}:00");
    };
    check("2026-07-01", 14, Period::Sharp);
    check("2026-06-30", 14, Period::Flat);
    check("2026-08-31", 14, Period::Sharp);
    check("2026-10-01", 14, Period::DeepValley);
    check("2026-10-10", 14, Period::Flat);
    assert_eq!(schedule.kind_of(date("2026-10-10")), DayKind::Workday);
    assert_eq!(schedule.kind_of(date("2026-10-11")), DayKind::Weekend);
    check("2028-02-29", 3, Period::Valley);
}

#[test]
fn steps_and_periods_share_a_step_by_their_part_of_the_whole() {
    let tariff = good(BOTH);
    let start = Position::start(date("2026-01-01"));
    let charge_once = |amounts, to: &str, from: &Position| {
        charge(&tariff, &Terms::default(), from, &use_of(amounts, to)).expect("within")
    };
    // 2000 kWh peak and 1900 kWh valley; 780 kWh of 3900 are in the second step: a fifth of each.
    let whole = charge_once([0, 2_000_000, 0, 1_900_000, 0], "2026-02-01", &start);
    // 1600 x 0.617 + 400 x 0.677 + 1520 x 0.307 + 380 x 0.337
    assert_eq!(whole.total, fen(98_720 + 27_080 + 46_664 + 12_806));
    let first = charge_once([0, 2_000_000, 0, 0, 0], "2026-01-20", &start);
    let second = charge_once([0, 0, 0, 1_900_000, 0], "2026-02-01", &first.after);
    assert_eq!(first.total.minor() + second.total.minor(), whole.total.minor());
}

#[test]
fn water_has_steps_too() {
    let tariff = good(WATER);
    let bought = buy(&tariff, &Terms::default(), 219_000, fen(5_000), 1).expect("countable");
    // 1 m³ for 3.45, and 46.55 / 4.83 in the second step.
    assert_eq!(bought.metered, 1_000 + 9_637);
    assert!(check_sellable(&tariff, &Terms::default(), Quantity::Volume).is_ok());
    let no = check_sellable(&tariff, &Terms::default(), Quantity::Energy).expect_err("no");
    assert_eq!(no.to_string(), "the meter holds energy, and the price is per m³");
}

#[test]
fn a_running_period_is_split_where_the_price_changes() {
    let plan = Timeline(vec![
        Version { number: 1, from: date("2026-01-01"), tariff: good("unit kWh\nprice 0.50\n") },
        Version { number: 2, from: date("2026-07-11"), tariff: good("unit kWh\nprice 0.60\n") },
    ]);
    let start = Position::start(date("2026-07-01"));
    let usage = use_of([0, 0, 310_001, 0, 0], "2026-08-01");
    let bill = bill(&plan, &Terms::default(), &start, &usage).expect("a bill");
    let parts: Vec<_> = bill
        .parts
        .iter()
        .map(|(number, part)| (*number, part.metered.all()[2], part.total.minor()))
        .collect();
    // Ten days of 31 at the old price; the Wh that the division leaves goes to the later part.
    assert_eq!(parts, [(1, 100_000, 5_000), (2, 210_001, 12_600)]);
    assert_eq!(bill.total, fen(17_600));
    let too_early = Position::start(date("2025-12-31"));
    let error = super::bill(&plan, &Terms::default(), &too_early, &usage).expect_err("no version");
    assert_eq!(error.to_string(), "the plan has no version for 2025-12-31");
}

#[test]
fn a_year_of_steps_starts_anew() {
    let plan = Timeline(vec![Version { number: 1, from: date("2026-01-01"), tariff: good(STEPS) }]);
    let terms = Terms { people: 4, ..Terms::default() };
    let mut position = Position::start(date("2026-12-01"));
    position.since = date("2026-01-01");
    position.used = Amounts::one(4_800_000);
    let usage = use_of([0, 0, 620_000, 0, 0], "2027-02-01");
    let bill = bill(&plan, &terms, &position, &usage).expect("a bill");
    let totals: Vec<_> = bill.parts.iter().map(|(_, part)| part.total.minor()).collect();
    // 310 kWh in the third step of 2026, 310 kWh in the first of 2027.
    assert_eq!(totals, [25_978, 16_678]);
}

#[test]
fn fees_minimum_and_tax() {
    let tariff = good("unit kWh\nprice 0.50\nfee 10.00\nminimum 20.00\ntax added 13%\n");
    let start = Position::start(date("2026-06-01"));
    let first = charge(&tariff, &Terms::default(), &start, &use_of([0; 5], "2026-06-16"));
    let first = first.expect("within");
    // Half a month: 5.00 of the fee, 10.00 of the minimum, 13 % of both.
    let parts = |it: &Explanation| {
        [it.energy, it.fee, it.minimum, it.tax, it.total].map(|money| money.minor())
    };
    assert_eq!(parts(&first), [0, 500, 1_000, 195, 1_695]);
    let usage = use_of([0, 0, 100_000, 0, 0], "2026-07-01");
    let second = charge(&tariff, &Terms::default(), &first.after, &usage).expect("within");
    // 50.00 is above the month's minimum, so what was taken for want of it is given back.
    assert_eq!(parts(&second), [5_000, 500, -1_000, 585, 5_085]);

    let included = good("unit kWh\nprice 0.50\ntax included 13%\n");
    let usage = use_of([0, 0, 100_000, 0, 0], "2026-07-01");
    let charged = charge(&included, &Terms::default(), &start, &usage).expect("within");
    assert_eq!((charged.tax.minor(), charged.total.minor()), (575, 5_000));
    let added = good("unit kWh\nprice 0.50\ntax added 13%\n");
    let bought = buy(&added, &Terms::default(), 0, fen(5_650), 1).expect("countable");
    assert_eq!((bought.metered, bought.price, bought.tax), (100_000, fen(5_650), fen(650)));
}

#[test]
fn what_cannot_be_charged_is_said() {
    let tariff = good(FLAT);
    let start = Position::start(date("2026-07-20"));
    let check = |usage: Usage, why: &str| {
        let error = charge(&tariff, &Terms::default(), &start, &usage).expect_err("no");
        assert_eq!(error.to_string(), why);
    };
    check(use_of([0; 5], "2026-08-02"), "2026-07-20 to 2026-08-02 is not within one month");
    check(use_of([0; 5], "2026-07-19"), "2026-07-20 to 2026-07-19 is not within one month");
    check(use_of([0, 0, u64::MAX, 0, 0], "2026-07-21"), "more was used than can be counted");
    let mut backwards = use_of([0; 5], "2026-07-21");
    backwards.from_reading = Amounts::one(9);
    check(
        backwards,
        "the register of flat went back from 9 to 0: a swapped meter is charged up to its last \
         reading and from the new one's first",
    );
    let fee = good("unit kWh\nprice 0.50\nfee 1.00\ntax added 13%\n");
    assert_eq!(check_sellable(&fee, &Terms::default(), Quantity::Money), Ok(()));
    assert_eq!(monthly_fee(&fee).minor(), 113);
    let minimum = good("unit kWh\nprice 0.50\nminimum 1.00\n");
    let no = check_sellable(&minimum, &Terms::default(), Quantity::Money).expect_err("no");
    assert_eq!(no.to_string(), "it has a monthly minimum, which a bill charges and a sale cannot");
    let no = check_sellable(&good(PERIODS), &Terms::default(), Quantity::Energy).expect_err("no");
    assert_eq!(no.to_string(), "the meter holds energy, and what a kWh costs changes over the day");
    let least = buy(&good(PERIODS), &Terms::default(), 0, fen(12_064), 1).expect("countable");
    assert_eq!((least.metered, least.is_least), (100_000, true));
}

#[test]
fn gaps_overlaps_and_edges_are_named() {
    refused("price 0.5", "it does not say its unit: `unit kWh` or `unit m3`");
    refused("unit kWh", "it has no price");
    refused(
        "unit kWh\nprice 0",
        "line 2: `0` is not a price: above zero, at most 10000, at most 6 decimals",
    );
    refused("unit kWh\nunit m3", "line 2: the unit is said twice");
    refused(
        "unit kWh\nprice to 10: 0.5\nprice beyond: 0.6",
        "it has steps: say whether they count `steps monthly` or `steps yearly`",
    );
    refused(
        "unit kWh\nsteps monthly\nprice to 10: 0.5\nprice to 10: 0.6\nprice beyond: 1",
        "step 2 must end above the end of the step before",
    );
    refused(
        "unit kWh\nsteps monthly\nprice to 10: 0.5\nprice to 20: 0.6",
        "step 2 is the last and ends: say what a kWh beyond it costs (`price beyond: ...`)",
    );
    refused(
        "unit kWh\nprice beyond: 0.5\nprice beyond: 0.6\nsteps yearly",
        "step 1 has no end, and others follow",
    );
    let day = "day workday weekend holiday: ";
    let periods = |season: &str, slots: &str| {
        format!("unit kWh\nprice peak 1, valley 0.5\nseason year {season}\n{day}{slots}\n")
    };
    let all = "00:00-08:00 valley, 08:00-24:00 peak";
    refused(&periods("01-02..12-31", all), "no season covers 01-01");
    refused(
        &format!("{}season more 07-01..07-31\n{day}{all}\n", periods("01-01..12-31", all)),
        "the seasons year and more both cover 07-01",
    );
    refused(
        &periods("01-01..12-31", "00:00-08:00 valley, 09:00-24:00 peak"),
        "season year, workday weekend holiday: nothing is said of 08:00-09:00",
    );
    refused(
        &periods("01-01..12-31", "00:00-08:00 valley, 07:30-24:00 peak"),
        "season year, workday weekend holiday: 07:30-24:00 begins before 08:00, where the one \
         before it ends",
    );
    refused(
        &periods("01-01..12-31", "00:00-08:00 valley, 08:00-23:59 peak"),
        "season year, workday weekend holiday: nothing is said of 23:59-24:00",
    );
    refused(
        &periods("01-01..12-31", "00:00-08:00 valley, 08:00-24:00 sharp"),
        "step 1 has no price for sharp (尖)",
    );
    refused(
        &periods("01-01..12-31", "00:00-24:00 valley"),
        "step 1 has a price for peak (峰), and no time of any day is in it",
    );
    refused(
        "unit kWh\nprice 1\nholidays 2026-10-01",
        "it has holidays or workdays and no season that they matter to",
    );
    refused(
        "unit kWh\nprice 1\nseason year 01-01..12-31\nday workday: 00:00-24:00 flat",
        "season year says nothing of a weekend",
    );
    refused(
        "unit kWh\nprice 1\nday workday: 00:00-24:00 flat",
        "line 3: a day needs a `season` line above it",
    );
    refused(
        "unit kWh\nprice 1\nhousehold above 4: 100",
        "it scales steps by the household and has none",
    );
    refused(
        "unit kWh\nprice 1\ntax 13%",
        "line 3: a tax is like `tax included 13%` or `tax added 13%`",
    );
    refused("unit kWh\nprice 1\nfee -1", "the fee is -1.00; it must not be negative nor absurd");
    let dearer = BOTH.replace("valley 0.4870", "valley 0.3000");
    refused(
        &dearer,
        "step 3 costs less than the step before in valley; with periods, prices must not fall \
         from step to step",
    );
    assert!(Terms { ct: 0, ..Terms::default() }.check().is_err());
}

const DOCS: &str = include_str!("../../../../docs/tariffs.md");

/// "12.5" as 12 500, "50.00" as 5 000.
fn number(text: &str, decimals: usize) -> u64 {
    scaled(text, decimals).unwrap_or_else(|| panic!("`{text}` in docs/tariffs.md"))
}

/// One line of the documentation's examples, and what it says comes out.
fn play(tariff: &Tariff, example: &str) {
    let (asked, said) = example.split_once(" -> ").expect("an arrow");
    let mut words = asked.split_whitespace();
    let act = words.next().expect("buy or charge");
    let paid = if act == "buy" { number(words.next().expect("an amount"), 2) } else { 0 };
    let (mut terms, mut before, mut used) = (Terms::default(), 0, [0; 5]);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let small = || u32::try_from(number(value, 0)).expect("small");
        match name {
            "before" => before = number(value, 3),
            "people" => terms.people = small(),
            "ct" => terms.ct = small(),
            "line-loss" => terms.line_loss_ppm = small(),
            name => {
                let period = Period::from_name(name).expect("a period");
                used[period.index()] = number(value, 3);
            }
        }
    }
    let came = if act == "buy" {
        let paid = fen(i64::try_from(paid).expect("small"));
        unscaled(buy(tariff, &terms, before, paid, 1).expect(example).metered, 3, 3)
    } else {
        let mut position = Position::start(date("2026-07-01"));
        position.since = tariff.accumulation().start(position.at);
        position.used = Amounts::one(before);
        let usage = use_of(used, "2026-08-01");
        charge(tariff, &terms, &position, &usage).expect(example).total.to_string()
    };
    assert_eq!(came, said, "{tariff}\n{example}");
}

#[test]
fn the_documentation_is_right() {
    let (mut tariff, mut examples) = (None, 0);
    for (at, block) in DOCS.split("```").enumerate().filter(|(at, _)| at % 2 == 1) {
        match block.split_once('\n') {
            Some(("tariff", text)) => tariff = Some(good(text)),
            Some(("example", lines)) => {
                for line in lines.lines() {
                    play(tariff.as_ref().expect("a tariff above"), line);
                    examples += 1;
                }
            }
            _ => panic!("block {at} of docs/tariffs.md is neither a tariff nor an example"),
        }
    }
    assert_eq!(examples, 14, "of docs/tariffs.md");
}

#[test]
fn a_purse_is_sold_to_in_whole_steps_and_the_purchase_comes_out_again() {
    let tariff = good("unit kWh\nprice 0.52\n");
    for (step, metered) in [(1, 96_153), (10, 96_150), (1000, 96_000), (100_000, 0)] {
        let bought = buy(&tariff, &Terms::default(), 0, fen(5_000), step).expect("countable");
        assert_eq!(bought.metered, metered, "{step}");
        assert!(bought.price.minor() <= bought.paid.minor(), "{step}");
        assert_eq!(bought.rerun(), Ok(bought));
    }
}

#[test]
fn what_is_carried_over_stays_whatever_it_costs_now() {
    let tariff = good("unit kWh\nprice 1.04\n");
    let carried = carry(&tariff, &Terms::default(), 0, fen(5_000), 96_150).expect("countable");
    assert_eq!((carried.metered, carried.billed), (96_150, 96_150));
    assert_eq!((carried.paid, carried.price), (fen(5_000), fen(10_000)));
    assert_eq!(carried.rerun(), Ok(carried));
}
