//! The breaker or valve: its states (COSEM class 70) and what may be asked of it.

use crate::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SupplyState {
    Unknown,
    Disconnected,
    Connected,
    ReadyForReconnection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SupplyCommand {
    Disconnect,
    Connect,
    /// The customer closes the breaker by hand.
    AllowConnection,
    /// No disconnection until the protection ends (保电).
    Protect,
    EndProtection,
}

/// How a supply command ended; `Unknown` and `NotSent` as for a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlOutcome {
    NotSent(String),
    /// The state that the device reported afterwards.
    Confirmed(SupplyState),
    Refused(Refusal),
    Unknown(String),
}
