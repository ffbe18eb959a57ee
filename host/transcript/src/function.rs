//! The functions of the contract by their names.

/// The functions that a driver may export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    Describe,
    Probe,
    Read,
    Open,
    Sell,
    Clear,
    Check,
    Control,
    SetParameters,
    Decode,
    Search,
    Refund,
    Plan,
    Issue,
    SetClock,
    Enter,
    ReadRecords,
    CardIdentify,
    CardCheck,
    CardOpen,
    CardSell,
    CardReplace,
    CardTakeBack,
    CardClear,
    CardMake,
}

impl Function {
    pub const ALL: [Function; 25] = [
        Function::Describe,
        Function::Probe,
        Function::Read,
        Function::Open,
        Function::Sell,
        Function::Clear,
        Function::Check,
        Function::Control,
        Function::SetParameters,
        Function::Decode,
        Function::Search,
        Function::Refund,
        Function::Plan,
        Function::Issue,
        Function::SetClock,
        Function::Enter,
        Function::ReadRecords,
        Function::CardIdentify,
        Function::CardCheck,
        Function::CardOpen,
        Function::CardSell,
        Function::CardReplace,
        Function::CardTakeBack,
        Function::CardClear,
        Function::CardMake,
    ];

    /// As a transcript's `call:` names it. Those of `card` bear its name, because a meter's purse has
    /// the same verbs.
    pub fn name(self) -> &'static str {
        match self {
            Function::Describe => "describe",
            Function::Probe => "probe",
            Function::Read => "read",
            Function::Open => "open",
            Function::Sell => "sell",
            Function::Clear => "clear",
            Function::Check => "check",
            Function::Control => "control",
            Function::SetParameters => "set-parameters",
            Function::Decode => "decode",
            Function::Search => "search",
            Function::Refund => "refund",
            Function::Plan => "plan",
            Function::Issue => "issue",
            Function::SetClock => "set-clock",
            Function::Enter => "enter",
            Function::ReadRecords => "read-records",
            Function::CardIdentify => "card-identify",
            Function::CardCheck => "card-check",
            Function::CardOpen => "card-open",
            Function::CardSell => "card-sell",
            Function::CardReplace => "card-replace",
            Function::CardTakeBack => "card-take-back",
            Function::CardClear => "card-clear",
            Function::CardMake => "card-make",
        }
    }

    /// The exported interface in which it stands.
    pub fn interface(self) -> &'static str {
        match self {
            Function::Describe => "info",
            Function::Probe | Function::Read => "meter",
            Function::Open | Function::Sell | Function::Clear | Function::Check => "purse",
            Function::Control => "supply",
            Function::SetParameters => "settings",
            Function::Decode => "frames",
            Function::Search => "bus",
            Function::Refund => "refund",
            Function::Plan | Function::Issue => "token",
            Function::SetClock => "clock",
            Function::Enter => "entry",
            Function::ReadRecords => "records",
            Function::CardIdentify
            | Function::CardCheck
            | Function::CardOpen
            | Function::CardSell
            | Function::CardReplace
            | Function::CardTakeBack
            | Function::CardClear
            | Function::CardMake => "card",
        }
    }

    /// Whether it is made to change a device, or a card.
    pub fn is_act(self) -> bool {
        match self {
            Function::Open
            | Function::Sell
            | Function::Clear
            | Function::Control
            | Function::SetParameters
            | Function::Refund
            | Function::SetClock
            | Function::Enter
            | Function::CardOpen
            | Function::CardSell
            | Function::CardReplace
            | Function::CardTakeBack
            | Function::CardClear
            | Function::CardMake => true,
            Function::Describe
            | Function::Probe
            | Function::Read
            | Function::Check
            | Function::Decode
            | Function::Search
            | Function::Plan
            | Function::Issue
            | Function::ReadRecords
            | Function::CardIdentify
            | Function::CardCheck => false,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Function> {
        Function::ALL.into_iter().find(|function| function.name() == name)
    }
}

/// `purse.clear`, `card.clear`
impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (interface, name) = (self.interface(), self.name());
        let name = name.strip_prefix("card-").unwrap_or(name);
        write!(f, "{interface}.{name}")
    }
}
