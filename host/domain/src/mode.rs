//! How what a meter counts is paid for (计费方式): into the device, from a purse here, or by bill.

use crate::Quantity;
use std::fmt;

/// Stored with the meter from its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BillingMode {
    /// The device holds money and takes its own prices off it.
    MoneyInMeter,
    /// The device holds energy and counts it down.
    EnergyInMeter,
    /// The device holds water and counts it down.
    VolumeInMeter,
    /// The customer's money is here; each reading takes its price off it (后台计费).
    PlatformPurse,
    /// Read, billed for a period, paid afterwards (后付费).
    PostPaid,
    /// Digits that the customer types into a device without a line (键盘表).
    Token,
}

impl BillingMode {
    pub const ALL: [BillingMode; 6] = [
        BillingMode::MoneyInMeter,
        BillingMode::EnergyInMeter,
        BillingMode::VolumeInMeter,
        BillingMode::PlatformPurse,
        BillingMode::PostPaid,
        BillingMode::Token,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            BillingMode::MoneyInMeter => "money-in-meter",
            BillingMode::EnergyInMeter => "energy-in-meter",
            BillingMode::VolumeInMeter => "volume-in-meter",
            BillingMode::PlatformPurse => "platform-purse",
            BillingMode::PostPaid => "post-paid",
            BillingMode::Token => "token",
        }
    }

    pub const fn chinese(self) -> &'static str {
        match self {
            BillingMode::MoneyInMeter => "表内金额",
            BillingMode::EnergyInMeter => "表内电量",
            BillingMode::VolumeInMeter => "表内水量",
            BillingMode::PlatformPurse => "后台计费",
            BillingMode::PostPaid => "后付费",
            BillingMode::Token => "充值码",
        }
    }

    pub fn from_name(name: &str) -> Option<BillingMode> {
        BillingMode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// What the device's own purse holds; tokens are sold in energy. `None`: the device is only read
    /// and switched.
    pub const fn quantity(self) -> Option<Quantity> {
        match self {
            BillingMode::MoneyInMeter => Some(Quantity::Money),
            BillingMode::EnergyInMeter | BillingMode::Token => Some(Quantity::Energy),
            BillingMode::VolumeInMeter => Some(Quantity::Volume),
            BillingMode::PlatformPurse | BillingMode::PostPaid => None,
        }
    }

    /// What a device is sold to by unless somebody chose: its own purse, or a bill where it has none.
    pub const fn of_purse(purse: Option<Quantity>) -> BillingMode {
        match purse {
            Some(Quantity::Money) => BillingMode::MoneyInMeter,
            Some(Quantity::Energy) => BillingMode::EnergyInMeter,
            Some(Quantity::Volume) => BillingMode::VolumeInMeter,
            None => BillingMode::PostPaid,
        }
    }
}

impl fmt::Display for BillingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_its_name_and_its_purse() {
        for mode in BillingMode::ALL {
            assert_eq!(BillingMode::from_name(mode.name()), Some(mode));
            if mode.quantity().is_some() && mode != BillingMode::Token {
                assert_eq!(BillingMode::of_purse(mode.quantity()), mode);
            }
        }
        assert_eq!(BillingMode::of_purse(None), BillingMode::PostPaid);
        assert_eq!(BillingMode::from_name("credit"), None);
    }
}
