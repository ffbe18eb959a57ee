//! By which way money comes over the counter or goes back. Not here: the account of each (service).

/// A payment channel (收款方式).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Channel {
    /// Notes and coins, which lie in the till of a shift.
    #[default]
    Cash,
    Bank,
    Card,
    Alipay,
    Wechat,
    Unionpay,
}

impl Channel {
    pub const ALL: [Channel; 6] = [
        Channel::Cash,
        Channel::Bank,
        Channel::Card,
        Channel::Alipay,
        Channel::Wechat,
        Channel::Unionpay,
    ];

    /// As it is stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Cash => "cash",
            Channel::Bank => "bank",
            Channel::Card => "card",
            Channel::Alipay => "alipay",
            Channel::Wechat => "wechat",
            Channel::Unionpay => "unionpay",
        }
    }

    pub fn from_name(name: &str) -> Option<Channel> {
        Channel::ALL.into_iter().find(|channel| channel.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_is_found_by_its_name() {
        for channel in Channel::ALL {
            assert_eq!(Channel::from_name(channel.name()), Some(channel));
        }
        for other in ["", "Cash", "cash ", "cheque"] {
            assert_eq!(Channel::from_name(other), None, "{other}");
        }
    }
}
