//! `[counter]`, `[sale]` and `[approval]`: what the site decides about selling.

use super::checks::Checker;
use super::raw;
use polymeter_domain::{Currency, Money};
use polymeter_service::{ApprovalRules, Rules};
use toml::Spanned;

/// A month: longer nobody remembers why it was asked for.
const EXPIRES_HOURS_MAX: u32 = 31 * 24;

/// Percent: a customer who owes must still be able to buy something.
const ARREARS_SHARE_MAX: u32 = 90;

impl Checker<'_> {
    pub(super) fn rules(&mut self, raw: &raw::File, currency: Currency) -> Rules {
        let mut amount = |text: &Option<Spanned<String>>| self.amount(text.as_ref()?, currency);
        let (refund, reversal) = (amount(&raw.approval.refund), amount(&raw.approval.reversal));
        let (write_off, max_credit) =
            (amount(&raw.approval.write_off), amount(&raw.sale.max_credit));
        let (clear, gift_max) = (amount(&raw.approval.clear), amount(&raw.sale.gift_max));
        let mut approval =
            ApprovalRules { refund, reversal, write_off, clear, ..ApprovalRules::default() };
        approval.clock_s = raw.approval.clock_minutes.map(|minutes| minutes.saturating_mul(60));
        if let Some(hours) = &raw.approval.expires_hours {
            if (1..=EXPIRES_HOURS_MAX).contains(hours.get_ref()) {
                approval.expires_ms = i64::from(*hours.get_ref()) * 3_600_000;
            } else {
                let what = format!("expires-hours = {}", hours.get_ref());
                self.problem(hours, what, format!("write 1 to {EXPIRES_HOURS_MAX}"));
            }
        }
        if let (Some(text), Some(most)) = (&raw.sale.max_credit, max_credit)
            && most.minor() == 0
        {
            let fix = "write an amount above zero, or leave the key out".to_owned();
            self.problem(text, "max-credit = \"0\" would stop every sale".to_owned(), fix);
        }
        let mut arrears_share_percent = 0;
        if let Some(share) = &raw.sale.arrears_share {
            if *share.get_ref() <= ARREARS_SHARE_MAX {
                arrears_share_percent = *share.get_ref();
            } else {
                let what = format!("arrears-share = {}", share.get_ref());
                let fix = format!("write percent, 0 to {ARREARS_SHARE_MAX}");
                self.problem(share, what, fix);
            }
        }
        let cash_needs_shift = raw.counter.cash_needs_shift;
        Rules { cash_needs_shift, max_credit, arrears_share_percent, gift_max, approval }
    }

    fn amount(&mut self, text: &Spanned<String>, currency: Currency) -> Option<Money> {
        match Money::parse(text.get_ref(), currency) {
            Ok(money) if money.minor() >= 0 => Some(money),
            Ok(_) => {
                let what = format!("`{}` is below zero", text.get_ref());
                self.problem(text, what, "write 0.00 or more".to_owned());
                None
            }
            Err(error) => {
                let fix = "write it as a text, e.g. \"200.00\"".to_owned();
                self.problem(text, error.to_string(), fix);
                None
            }
        }
    }
}
