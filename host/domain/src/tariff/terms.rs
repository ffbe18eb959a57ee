//! What of a charge depends on the user and not on the plan: the household's size, transformer ratios
//! and losses (M172).

use super::limits::{IRON_LOSS_WH_MAX, LOSS_PPM_MAX, PEOPLE_MAX, RATIO_MAX};
use super::{Amounts, BadTariff, Period};

/// The user's own part of the arithmetic. A change of it takes a reading, as a change of a meter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Persons in the household (户籍人口).
    pub people: u32,
    /// Current and voltage transformer ratios (CT, PT): the meter counts one in `ct x pt`.
    pub ct: u32,
    pub pt: u32,
    /// Line loss (线损) and copper loss of the transformer (铜损), millionths of the energy.
    pub line_loss_ppm: u32,
    pub copper_loss_ppm: u32,
    /// No-load loss of the transformer (铁损) for each day, whatever is used.
    pub iron_loss_wh_per_day: u64,
}

impl Default for Terms {
    /// One person behind a meter that counts what is used.
    fn default() -> Terms {
        Terms {
            people: 1,
            ct: 1,
            pt: 1,
            line_loss_ppm: 0,
            copper_loss_ppm: 0,
            iron_loss_wh_per_day: 0,
        }
    }
}

impl Terms {
    pub fn check(&self) -> Result<(), BadTariff> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(BadTariff(format!("{name} is {value}; it must be {least} to {most}")))
            }
        };
        within("the number of persons", self.people.into(), 1, PEOPLE_MAX.into())?;
        within("the CT ratio", self.ct.into(), 1, RATIO_MAX.into())?;
        within("the PT ratio", self.pt.into(), 1, RATIO_MAX.into())?;
        within("the line loss in ppm", self.line_loss_ppm.into(), 0, LOSS_PPM_MAX.into())?;
        within("the copper loss in ppm", self.copper_loss_ppm.into(), 0, LOSS_PPM_MAX.into())?;
        within("the iron loss in Wh per day", self.iron_loss_wh_per_day, 0, IRON_LOSS_WH_MAX)
    }

    pub(super) fn loss_ppm(&self) -> u64 {
        u64::from(self.line_loss_ppm) + u64::from(self.copper_loss_ppm)
    }

    /// What is charged for what the meter counted, one amount. `rest` carries the millionths that the
    /// division left, so that counting in parts loses nothing.
    pub(super) fn billed(&self, metered: u64, rest: u64) -> Option<(u64, u64)> {
        let ratio = u64::from(self.ct).checked_mul(u64::from(self.pt))?;
        let primary = metered.checked_mul(ratio)?;
        let millionths = u128::from(primary) * u128::from(self.loss_ppm()) + u128::from(rest);
        let loss = u64::try_from(millionths / 1_000_000).ok()?;
        let rest = u64::try_from(millionths % 1_000_000).ok()?;
        Some((primary.checked_add(loss)?, rest))
    }

    /// As [`Terms::billed`] for each period; the iron loss of `days` goes to `loss_period`.
    pub(super) fn billed_all(
        &self,
        metered: &Amounts,
        rests: [u64; 5],
        days: u64,
        loss_period: Period,
    ) -> Option<(Amounts, [u64; 5])> {
        let (mut amounts, mut left) = ([0; 5], [0; 5]);
        for period in Period::ALL {
            let at = period.index();
            (amounts[at], left[at]) = self.billed(metered.of(period), rests[at])?;
        }
        let iron = self.iron_loss_wh_per_day.checked_mul(days)?;
        let lost = &mut amounts[loss_period.index()];
        *lost = lost.checked_add(iron)?;
        Some((Amounts::new(amounts), left))
    }
}
