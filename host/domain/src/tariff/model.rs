//! R25: a million random charges and purchases against a second arithmetic, written from the words of the
//! rules and not from the code: exact fractions, everything from the start of the month, nothing
//! carried along. For currencies of none, two and three decimals.
//!
//! Not here: properties that need no second arithmetic (properties).

use super::value::Parts;
use super::{
    Accumulation, Amounts, Commodity, Date, Household, Period, Position, Rate, Rates, Schedule,
    Step, Tariff, Tax, Terms, Usage, buy, charge, parse, price_of,
};
use crate::{Currency, Money};

const CHARGES: u64 = 850_000;
const PURCHASES: u64 = 150_000;
/// Charges of one tariff before the next is drawn.
const OF_ONE_TARIFF: u64 = 25;
const THREADS: u64 = 4;

const CURRENCIES: [Currency; 3] =
    [Currency::of(*b"JPY", 0), Currency::CNY, Currency::of(*b"KWD", 3)];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Small as often as large, and 0 and the most now and then.
    fn spread(&mut self, most: u64) -> u64 {
        match self.below(20) {
            0 => 0,
            1 => most,
            _ => {
                let end = 1 << self.below(64 - u64::from(most.leading_zeros()) + 1);
                self.below(end).min(most)
            }
        }
    }
}

/// Numerator and denominator.
type Fraction = (i128, i128);

/// Halves up, by doubling.
fn nearest((numerator, denominator): Fraction) -> i128 {
    (2 * numerator + denominator).div_euclid(2 * denominator)
}

/// What the words of a tariff are, kept apart from the product's own value.
struct Words {
    tariff: Tariff,
    /// Where each step but the last ends, and its price of each period; the household is in it.
    steps: Vec<(Option<u64>, [u64; 5])>,
    by_period: bool,
    fee: i64,
    minimum: i64,
    tax: Tax,
    people: u32,
}

fn schedule() -> Schedule {
    let text = "unit kWh\nprice sharp 5, peak 4, flat 3, valley 2, deep-valley 1\n\
                season all 01-01..12-31\nday workday weekend holiday: 00:00-04:00 deep-valley, \
                04:00-08:00 valley, 08:00-12:00 flat, 12:00-16:00 peak, 16:00-24:00 sharp\n";
    parse(text, Currency::CNY).expect("a tariff").schedule().expect("by time of use").clone()
}

fn words(draw: &mut Draw, schedule: &Schedule, currency: Currency, sellable: bool) -> Words {
    let by_period = draw.below(2) == 0;
    let count = 1 + draw.below(4);
    let people = 1 + u32::try_from(draw.below(8)).expect("few");
    let household = (count > 1 && draw.below(3) == 0)
        .then(|| Household { above: 2, each: 1 + draw.below(50_000) });
    let more = household.map_or(0, |it| u64::from(people.saturating_sub(it.above)) * it.each);
    let (mut steps, mut made, mut end, mut prices) = (Vec::new(), Vec::new(), 0, [0; 5]);
    for at in 0..count {
        end += 1 + draw.below(400_000);
        for price in &mut prices {
            // With periods a price must not fall from step to step.
            let base = if by_period { *price } else { 0 };
            // What a purchase pays for must be countable.
            let least = if sellable { 10_000 } else { 1 };
            *price = base + least + draw.spread(9_999_999);
        }
        if !by_period {
            prices = [prices[0]; 5];
        }
        let rate = |price: u64| Rate::new(price).expect("above zero");
        let rates = if by_period {
            Rates::ByPeriod(prices.map(|price| Some(rate(price))))
        } else {
            Rates::One(rate(prices[0]))
        };
        let is_last = at + 1 == count;
        made.push(Step { up_to: (!is_last).then_some(end), rates });
        steps.push(((!is_last).then_some(end + more), prices));
    }
    let tax = match draw.below(4) {
        0 | 1 => Tax::None,
        2 => Tax::Included(1 + u32::try_from(draw.below(3_000)).expect("small")),
        _ => Tax::Added(1 + u32::try_from(draw.below(3_000)).expect("small")),
    };
    let monthly = |draw: &mut Draw| {
        if sellable || draw.below(2) == 0 {
            0
        } else {
            i64::try_from(draw.spread(999_999)).expect("small")
        }
    };
    let (fee, minimum) = (monthly(draw), monthly(draw));
    let tariff = Tariff::new(Parts {
        commodity: Commodity::Energy,
        currency,
        accumulation: (count > 1).then_some(Accumulation::Monthly),
        steps: made,
        household,
        schedule: by_period.then(|| schedule.clone()),
        fee: Money::new(fee, currency),
        minimum: Money::new(minimum, currency),
        tax,
    });
    Words { tariff: tariff.expect("good"), steps, by_period, fee, minimum, tax, people }
}

fn terms(draw: &mut Draw, people: u32, sellable: bool) -> Terms {
    let ppm = |draw: &mut Draw| {
        if draw.below(2) == 0 { 0 } else { u32::try_from(draw.below(60_000)).expect("small") }
    };
    Terms {
        people,
        ct: if draw.below(2) == 0 { 1 } else { 1 + u32::try_from(draw.below(80)).expect("small") },
        pt: 1,
        line_loss_ppm: ppm(draw),
        copper_loss_ppm: ppm(draw),
        iron_loss_wh_per_day: if sellable { 0 } else { draw.below(5_000) },
    }
}

impl Words {
    /// The exact cost of amounts by period: fill the steps one after the other, each with the same
    /// mixture of periods.
    fn cost(&self, used: [u64; 5]) -> Fraction {
        let total: i128 = used.iter().map(|amount| i128::from(*amount)).sum();
        if total == 0 {
            return (0, 1);
        }
        let (mut left, mut from, mut sum) = (total, 0_i128, 0_i128);
        for (end, prices) in &self.steps {
            let room = end.map_or(left, |end| i128::from(end) - from);
            let here = left.min(room);
            let mixture: i128 = used
                .iter()
                .zip(prices)
                .map(|(used, price)| i128::from(*used) * i128::from(*price))
                .sum();
            sum += here * mixture;
            left -= here;
            from += here;
        }
        // Ten-thousandths of a minor unit for a thousand Wh.
        (sum, total * 10_000_000)
    }

    /// What is due in all since the start of the month: energy, fee, tax, total.
    fn due(&self, terms: &Terms, metered: [u64; 5], days: i128, of_month: i128) -> [i128; 4] {
        let mut billed = metered.map(|amount| self.with_losses(terms, amount, 0));
        billed[self.loss_period()] +=
            terms.iron_loss_wh_per_day * u64::try_from(days).expect("few days");
        let energy = nearest(self.cost(billed));
        let fee = nearest((i128::from(self.fee) * days, of_month));
        let minimum = nearest((i128::from(self.minimum) * days, of_month));
        let net = energy.max(minimum) + fee;
        let tax = match self.tax {
            Tax::None => 0,
            Tax::Included(rate) => nearest((net * i128::from(rate), 10_000 + i128::from(rate))),
            Tax::Added(rate) => nearest((net * i128::from(rate), 10_000)),
        };
        let total = if matches!(self.tax, Tax::Added(_)) { net + tax } else { net };
        [energy, fee, tax, total]
    }

    fn with_losses(&self, terms: &Terms, metered: u64, up: u128) -> u64 {
        let primary = u128::from(metered) * u128::from(terms.ct) * u128::from(terms.pt);
        let ppm = u128::from(terms.line_loss_ppm) + u128::from(terms.copper_loss_ppm);
        u64::try_from(primary + (primary * ppm + up) / 1_000_000).expect("small")
    }

    /// All prices have all periods here, so losses by the day are flat.
    fn loss_period(&self) -> usize {
        Period::Flat.index()
    }

    /// What an amount costs at the most, everything in the dearest period; tax on top. In minor units.
    fn cost_at_most(&self, billed: u64) -> Fraction {
        let (mut sum, mut from) = (0_i128, 0_u64);
        for (end, prices) in &self.steps {
            let to = end.unwrap_or(u64::MAX).min(billed);
            let dearest = prices.iter().max().expect("five");
            sum += i128::from(to.saturating_sub(from)) * i128::from(*dearest);
            from = from.max(to);
        }
        match self.tax {
            Tax::Added(rate) => (sum * (10_000 + i128::from(rate)), 10_000_000 * 10_000),
            _ => (sum, 10_000_000),
        }
    }
}

/// Several charges of one month, each the difference of what was due before and after.
fn charges(draw: &mut Draw, words: &Words) -> u64 {
    let first =
        Date::new(2027, 1 + u8::try_from(draw.below(12)).expect("small"), 1).expect("a day");
    let of_month = u64::from(first.days_in_month());
    let terms = terms(draw, words.people, false);
    let mut position = Position::start(first);
    let (mut metered, mut day, mut reading) = ([0; 5], 0, [draw.below(1_000_000); 5]);
    let mut due = [0; 4];
    let most = 1 + draw.below(4);
    let mut count = 0;
    // What comes after the last day is the next month's.
    while count < most && day < of_month {
        count += 1;
        day += draw.below(of_month - day + 1);
        let from_reading = Amounts::new(reading);
        for (at, metered) in metered.iter_mut().enumerate() {
            let used = draw.spread(2_000_000);
            if words.by_period || at == Period::Flat.index() {
                *metered += used;
                reading[at] += used;
            }
        }
        let to = if day == of_month {
            first.first_of_next_month().expect("a month")
        } else {
            Date::new(2027, first.month(), u8::try_from(day + 1).expect("small")).expect("a day")
        };
        let usage = Usage { to, from_reading, to_reading: Amounts::new(reading) };
        let made = charge(&words.tariff, &terms, &position, &usage).expect("a charge");
        let now = words.due(&terms, metered, day.into(), of_month.into());
        let got = [made.energy, made.fee, made.tax, made.total].map(|it| i128::from(it.minor()));
        let want: [i128; 4] = std::array::from_fn(|at| now[at] - due[at]);
        assert_eq!(got, want, "{:?} {terms:?} {usage:?}", words.tariff);
        (due, position) = (now, made.after);
    }
    count
}

/// A purchase buys the most that costs no more than was paid, and says what that costs.
fn purchase(draw: &mut Draw, words: &Words) {
    let terms = terms(draw, words.people, true);
    let before = draw.spread(3_000_000);
    let paid = i64::try_from(draw.spread(100_000_000)).expect("small");
    let money = Money::new(paid, words.tariff.currency());
    let made = buy(&words.tariff, &terms, before, money, 1).expect("a purchase");
    let before = if words.steps.len() > 1 { before } else { 0 };
    // Rounded up, as at every purchase.
    let cost = |metered: u64| {
        let billed = words.with_losses(&terms, metered, 999_999);
        let (after, unit) = words.cost_at_most(before + billed);
        (after - words.cost_at_most(before).0, unit)
    };
    let fits = |(sum, unit): Fraction| sum <= i128::from(paid) * unit;
    let (bought, unit) = cost(made.metered);
    let what = || format!("{:?} {terms:?} after {before} for {paid}: {made:?}", words.tariff);
    assert!(fits((bought, unit)), "it costs more: {}", what());
    assert!(!fits(cost(made.metered + 1)), "more could be had: {}", what());
    let price = (bought + unit - 1).div_euclid(unit);
    assert_eq!(i128::from(made.price.minor()), price, "{}", what());
    let tax = match words.tax {
        Tax::None => 0,
        Tax::Included(rate) | Tax::Added(rate) => {
            nearest((price * i128::from(rate), 10_000 + i128::from(rate)))
        }
    };
    assert_eq!(i128::from(made.tax.minor()), tax, "{}", what());
    let again = price_of(&words.tariff, &terms, before, made.metered).expect("a price");
    assert_eq!(again, made.price, "{}", what());
}

/// Money is read as it is shown, to the last unit.
fn texts(draw: &mut Draw, currency: Currency) {
    let minor = i64::try_from(draw.spread(u64::MAX >> 1)).expect("63 bits");
    for minor in [minor, -minor] {
        let money = Money::new(minor, currency);
        let text = money.to_string();
        assert_eq!(Money::parse(&text, currency), Ok(money), "{text}");
        let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        assert_eq!(fraction, usize::from(currency.decimals()), "{text}");
    }
}

#[test]
fn r25_a_million_random_charges_and_purchases_equal_a_second_arithmetic() {
    let schedule = schedule();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let schedule = &schedule;
            scope.spawn(move || {
                let mut draw = Draw(thread);
                let (mut charged, mut tariffs) = (0, 0_usize);
                while charged < CHARGES / THREADS {
                    let currency = CURRENCIES[tariffs % CURRENCIES.len()];
                    tariffs += 1;
                    let words = words(&mut draw, schedule, currency, false);
                    texts(&mut draw, currency);
                    let until = charged + OF_ONE_TARIFF;
                    while charged < until {
                        charged += charges(&mut draw, &words);
                    }
                }
                for nth in 0..PURCHASES / THREADS / OF_ONE_TARIFF {
                    let currency =
                        CURRENCIES[usize::try_from(nth).expect("few") % CURRENCIES.len()];
                    let words = words(&mut draw, schedule, currency, true);
                    for _ in 0..OF_ONE_TARIFF {
                        purchase(&mut draw, &words);
                    }
                }
            });
        }
    });
}
