//! Named places in a sale at which the process can be told to die, so that the crash test kills the
//! very program that is shipped, at the very step it means, and not a copy built for testing.
//!
//! It stays in the product because its price is one comparison per step and because a build without
//! it would be another program than the one that was proved. Only the environment of the process can
//! set it, and who controls that can kill the process anyway.

use std::sync::OnceLock;

/// The environment variable that holds the name of the point to die at.
const VARIABLE: &str = "POLYMETER_CRASH_AT";

/// The points, in the order in which a sale passes them.
pub const CRASH_POINTS: &[&str] = &[
    "before-reserve",
    "after-reserve",
    "before-dispatch",
    // Stored as dispatched; the first byte has not left.
    "after-dispatch",
    // The device has answered; nothing of that is stored.
    "after-sell",
    "after-settle",
    "before-reconcile",
    "after-reconcile",
];

/// The points of a refund or reversal, in the order in which it passes them.
pub const REFUND_CRASH_POINTS: &[&str] = &[
    "before-refund-reserve",
    "after-refund-reserve",
    // The device has answered; nothing of that is stored.
    "after-refund-ask",
    "after-refund-settle",
];

/// Those of purses, in the order in which a reading that uses one up passes them.
pub const PURSE_CRASH_POINTS: &[&str] = &[
    // The reading is stored and not charged.
    "before-charge",
    "after-charge",
    // The cut, or its end, is stored as wanted.
    "before-supply",
    // The device has answered; nothing of that is stored.
    "after-supply",
];

/// Those that a meter swap and the closing of an account pass, beside the sale's.
pub const ACCOUNT_CRASH_POINTS: &[&str] = &[
    "after-swap-begun",
    "after-swap-opened",
    "before-swap-switched",
    "after-swap-switched",
    "after-closing-begun",
    // Stored as clearing; the device has not been asked.
    "before-closing-cleared",
    // The device has said yes; nothing of that is stored.
    "after-closing-cleared",
    "before-closing-settled",
    "after-closing-settled",
];

/// Ends the process at once, without unwinding or flushing, where it was told to die here.
pub(crate) fn crash_point(name: &'static str) {
    static CRASH_AT: OnceLock<Option<String>> = OnceLock::new();
    let lists = [CRASH_POINTS, REFUND_CRASH_POINTS, PURSE_CRASH_POINTS, ACCOUNT_CRASH_POINTS];
    debug_assert!(lists.iter().any(|list| list.contains(&name)), "{name} is not in the list");
    let crash_at = CRASH_AT.get_or_init(|| std::env::var(VARIABLE).ok());
    if crash_at.as_deref() == Some(name) {
        std::process::abort();
    }
}
