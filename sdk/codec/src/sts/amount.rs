//! Amounts as tokens carry them: a mantissa of 14 bits and an exponent of ten (IEC 62055-41,
//! 6.3.6). The greater the amount, the coarser its steps; what falls between two is rounded up, in
//! favour of whoever bought it.

/// A mantissa has 14 bits.
const MANTISSA_MAX: u32 = 0x3FFF;
/// The exponent of a currency amount has 5 bits.
const CURRENCY_EXPONENT_MAX: u32 = 31;

/// A transfer amount (6.3.6.2) in tenths: of a kWh, of a m3 of water or gas, of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(u16);

impl Amount {
    /// The greatest: 1 820 162.4 kWh.
    pub const UNITS_MAX: u32 = 18_201_624;

    /// The smallest amount that is not below `units` tenths; `None` above [`UNITS_MAX`].
    ///
    /// ```
    /// use polymeter_codec::sts::Amount;
    ///
    /// // 2000.0 kWh cannot be carried; 2000.4 is next above it.
    /// let amount = Amount::at_least(20_000).expect("not too much");
    /// assert_eq!((amount.raw(), amount.units()), (0x416A, 20_004));
    /// assert!(Amount::at_least(Amount::UNITS_MAX + 1).is_none());
    /// ```
    ///
    /// [`UNITS_MAX`]: Self::UNITS_MAX
    pub fn at_least(units: u32) -> Option<Amount> {
        let (exponent, mantissa) = encode(u128::from(units), 3)?;
        u16::try_from(exponent << 14 | mantissa).ok().map(Amount)
    }

    /// As it stands in the block; every value means something.
    pub fn from_raw(raw: u16) -> Amount {
        Amount(raw)
    }

    /// As it stands in the block.
    pub fn raw(self) -> u16 {
        self.0
    }

    /// What the meter adds, in tenths.
    pub fn units(self) -> u32 {
        let units = decode(u32::from(self.0 >> 14), u32::from(self.0) & MANTISSA_MAX);
        u32::try_from(units).unwrap_or(Self::UNITS_MAX)
    }
}

/// An amount of money (6.3.6.3) in units of 0.00001 of the currency, with a sign; its exponent goes
/// up to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyAmount {
    negative: bool,
    exponent: u32,
    mantissa: u32,
}

impl CurrencyAmount {
    /// The smallest amount whose size is not below that of `units` hundred-thousandths. Every
    /// number fits.
    ///
    /// ```
    /// use polymeter_codec::sts::CurrencyAmount;
    ///
    /// let hundred = CurrencyAmount::at_least(100 * 100_000);
    /// assert_eq!(hundred.units(), 10_000_624);
    /// assert_eq!(CurrencyAmount::at_least(-7).units(), -7);
    /// ```
    pub fn at_least(units: i64) -> CurrencyAmount {
        let size = u128::from(units.unsigned_abs());
        let (exponent, mantissa) =
            encode(size, CURRENCY_EXPONENT_MAX).unwrap_or((CURRENCY_EXPONENT_MAX, MANTISSA_MAX));
        CurrencyAmount { negative: units < 0, exponent, mantissa }
    }

    /// Of the field S&E (four bits: sign, then exponent bits 4, 3, 2) and the amount field
    /// (exponent bits 1 and 0, then the mantissa).
    pub(super) fn from_raw(sign_and_exponent: u8, amount: u16) -> CurrencyAmount {
        let high = u32::from(sign_and_exponent & 0b111) << 2;
        CurrencyAmount {
            negative: sign_and_exponent & 0b1000 != 0,
            exponent: high | u32::from(amount >> 14),
            mantissa: u32::from(amount) & MANTISSA_MAX,
        }
    }

    /// The two fields, as [`from_raw`](Self::from_raw) takes them.
    pub(super) fn raw(self) -> (u8, u16) {
        let sign = if self.negative { 0b1000 } else { 0 };
        let high = u8::try_from(self.exponent >> 2 & 0b111).unwrap_or(0);
        let amount = u16::try_from((self.exponent & 0b11) << 14 | self.mantissa).unwrap_or(0);
        (sign | high, amount)
    }

    /// What the meter adds, in hundred-thousandths.
    pub fn units(self) -> i128 {
        let size = i128::try_from(decode(self.exponent, self.mantissa)).unwrap_or(i128::MAX);
        if self.negative { size.saturating_neg() } else { size }
    }
}

/// The first amount of an exponent: the sum of 2^14 x 10^(n-1) over all n below and at it.
fn first_of(exponent: u32) -> u128 {
    (0..exponent).fold(0, |sum: u128, n| {
        sum.saturating_add(10_u128.saturating_pow(n).saturating_mul(0x4000))
    })
}

/// Exponent and mantissa of the smallest amount that is not below `units`.
fn encode(units: u128, exponent_max: u32) -> Option<(u32, u32)> {
    (0..=exponent_max).find_map(|exponent| {
        let above = units.saturating_sub(first_of(exponent));
        let mantissa = above.div_ceil(10_u128.saturating_pow(exponent));
        let mantissa = u32::try_from(mantissa).ok().filter(|mantissa| *mantissa <= MANTISSA_MAX)?;
        Some((exponent, mantissa))
    })
}

/// 10^exponent x mantissa + the first amount of the exponent.
fn decode(exponent: u32, mantissa: u32) -> u128 {
    10_u128
        .saturating_pow(exponent)
        .saturating_mul(u128::from(mantissa))
        .saturating_add(first_of(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(units: u32, raw: u16, carried: u32) {
        let amount = Amount::at_least(units).map(|amount| (amount.raw(), amount.units()));
        assert_eq!(amount, Some((raw, carried)), "{units}");
    }

    #[test]
    fn amounts_are_rounded_up_at_every_change_of_the_exponent() {
        check(0, 0, 0);
        check(16_383, 0x3FFF, 16_383);
        check(16_384, 0x4000, 16_384);
        check(16_385, 0x4001, 16_394);
        check(180_214, 0x7FFF, 180_214);
        check(180_215, 0x8000, 180_224);
        check(1_818_524, 0xBFFF, 1_818_524);
        check(1_818_525, 0xC000, 1_818_624);
        check(18_201_624, 0xFFFF, 18_201_624);
        assert_eq!(Amount::at_least(18_201_625), None);
        assert_eq!(Amount::at_least(u32::MAX), None);
    }

    #[test]
    fn every_raw_amount_is_the_smallest_for_what_it_carries() {
        for raw in 0..=u16::MAX {
            let amount = Amount::from_raw(raw);
            assert_eq!(Amount::at_least(amount.units()), Some(amount), "{raw:04X}");
        }
    }

    #[test]
    fn currency_amounts_read_back_with_every_exponent() {
        for exponent in 0..=CURRENCY_EXPONENT_MAX {
            for mantissa in [0, 1, 0x2AAA, MANTISSA_MAX] {
                let amount = CurrencyAmount { negative: exponent % 2 == 1, exponent, mantissa };
                let (high, low) = amount.raw();
                assert_eq!(CurrencyAmount::from_raw(high, low), amount);
            }
        }
        assert!(CurrencyAmount::at_least(i64::MIN).units() <= i128::from(i64::MIN));
    }
}
