//! Tokens for devices without a line: the ability `token` of a driver.
//!
//! Invariant: nothing that is asked here has a line, and nothing of it is ever recorded, since digits
//! are worth money; what a driver answers about an amount is never less than what was ordered, and
//! its identifier is greater than the last one. Not here: which identifiers were given (service).

use crate::bindings::exports::polymeter::driver::token;
use crate::bindings::polymeter::driver::types;
use crate::convert::{Checked, credit, outward};
use crate::driver::{Device, Driver, Moment};
use crate::error::CallError;
use crate::session::{Act, Session};
use polymeter_domain::{Credit, TokenDigits, TokenOrder, TokenPlan};

/// What a driver made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokensIssued {
    pub digits: TokenDigits,
    /// What the device will add.
    pub credit: Option<Credit>,
}

impl Driver {
    /// What issuing at this moment would make; an order that no token can carry is an error.
    pub async fn plan_token(
        &self,
        device: &Device,
        moment: Moment,
        order: &TokenOrder,
        last: Option<u32>,
    ) -> Result<TokenPlan, CallError> {
        self.has_tokens()?;
        let (call, order) = (self.call_of(device, moment), carried(order));
        let ask =
            async |session: &mut Session| self.functions.plan(session, &call, &order, last).await;
        let convert = |said| plan(said, order.credit, last);
        self.callee.call(Act::Look, None, ask, convert).await.answer
    }

    /// The digits: the same whenever device, moment, order and identifier are.
    pub async fn issue_token(
        &self,
        device: &Device,
        moment: Moment,
        order: &TokenOrder,
        identifier: Option<u32>,
    ) -> Result<TokensIssued, CallError> {
        self.has_tokens()?;
        let (call, order) = (self.call_of(device, moment), carried(order));
        let ask = async |session: &mut Session| {
            self.functions.issue(session, &call, &order, identifier).await
        };
        self.callee.call(Act::Look, None, ask, issued).await.answer
    }

    fn has_tokens(&self) -> Result<(), CallError> {
        if self.abilities().token { Ok(()) } else { Err(self.unable("make tokens")) }
    }
}

fn carried(order: &TokenOrder) -> token::Order {
    token::Order {
        kind: order.kind.code(),
        credit: order.credit.map(outward::credit),
        value: order.value,
        change: outward::extras(&order.change),
    }
}

pub(crate) fn plan(
    said: token::Draft,
    asked: Option<types::Credit>,
    last: Option<u32>,
) -> Checked<TokenPlan> {
    let carries = said.credit.map(credit).transpose()?;
    let asked = asked.map(credit).transpose()?;
    match (asked, carries) {
        (None, None) => {}
        (Some(asked), Some(carries))
            if asked.quantity == carries.quantity && asked.amount <= carries.amount => {}
        (asked, carries) => {
            return Err(format!("a token of {carries:?} where {asked:?} was ordered"));
        }
    }
    if let (Some(last), Some(next)) = (last, said.identifier)
        && next <= last
    {
        return Err(format!("identifier {next}, not above {last}"));
    }
    let token::Draft { identifier, begins_anew, .. } = said;
    Ok(TokenPlan { identifier, credit: carries, begins_anew })
}

/// What was wrong with digits is not told by showing them.
pub(crate) fn issued(said: token::Issued) -> Checked<TokensIssued> {
    let tokens = said.tokens.len();
    let digits = TokenDigits::new(said.tokens)
        .ok_or_else(|| format!("{tokens} tokens, of which one is no token"))?;
    Ok(TokensIssued { digits, credit: said.credit.map(credit).transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(amount: u64) -> Option<types::Credit> {
        Some(types::Credit { quantity: 2, amount })
    }

    #[test]
    fn a_plan_never_carries_less_and_never_counts_back() {
        let said = |identifier, credit| token::Draft { identifier, credit, begins_anew: false };
        let good = plan(said(Some(8), energy(1_100)), energy(1_001), Some(7)).expect("good");
        assert_eq!(good.identifier, Some(8));
        assert!(plan(said(Some(7), energy(1_100)), energy(1_001), Some(7)).is_err());
        assert!(plan(said(Some(8), energy(1_000)), energy(1_001), Some(7)).is_err());
        assert!(plan(said(Some(8), None), energy(1), None).is_err());
        assert!(plan(said(Some(8), energy(1)), None, None).is_err());
        let money = Some(types::Credit { quantity: 1, amount: 2_000 });
        assert!(plan(said(Some(8), money), energy(1), None).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        let said = |tokens: &[&str]| token::Issued {
            tokens: tokens.iter().map(|text| (*text).to_owned()).collect(),
            credit: None,
        };
        assert!(issued(said(&["12345678901234567890"])).is_ok());
        for tokens in [&[][..], &["x"], &["12345678901234567890", "9988 7766"]] {
            let error = issued(said(tokens)).expect_err("no token");
            assert!(!error.contains("9988"), "{error}");
        }
    }
}
