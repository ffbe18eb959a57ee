//! The steps of a sale at which the process can be told to die. How it is told is in the ledger, which
//! has two points of its own that every write passes.

use polymeter_ledger::CRASH_POINTS as OF_A_WRITE;

/// In the order in which a sale passes them.
pub const CRASH_POINTS: &[&str] = &[
    "before-reserve",
    "after-reserve",
    "before-dispatch",
    // Stored as dispatched; the first byte has not left.
    "after-dispatch",
    // The device has answered; nothing of that is stored.
    "after-sell",
    "after-settle",
    // The attempt is not proved; the device has been asked for its record.
    "before-reconcile",
    "after-reconcile",
    // A new process has found a sale that was dispatched.
    "before-interrupt",
    "after-interrupt",
    // The device was not to be had; the history is to say so.
    "before-stay",
    "after-stay",
    OF_A_WRITE[0],
    OF_A_WRITE[1],
];

/// The points of a refund or reversal, in the order in which it passes them.
pub const REFUND_CRASH_POINTS: &[&str] = &[
    "before-refund-reserve",
    "after-refund-reserve",
    // The device has answered; nothing of that is stored.
    "after-refund-ask",
    "after-refund-settle",
];

/// Those that it passes besides where the device gives credit back, between asking and settling.
pub const TAKING_CRASH_POINTS: &[&str] = &[
    // Stored as dispatched; the device has not been told to give credit back.
    "after-refund-dispatch",
    // The device has answered; nothing of that is stored.
    "after-refund-taken",
];

/// The points of a sale whose credit is a token, in the order in which it passes them.
pub const TOKEN_CRASH_POINTS: &[&str] = &[
    "before-reserve",
    "after-reserve",
    "before-dispatch",
    // The token's number is stored; no digits are made.
    "after-dispatch",
    // The digits are made and not stored.
    "after-sell",
    "after-settle",
    OF_A_WRITE[0],
    OF_A_WRITE[1],
];

/// The points of a token that is no sale's.
pub const ORDER_CRASH_POINTS: &[&str] = &[
    "after-token-ordered",
    // Its number is stored; no digits are made.
    "after-token-numbered",
    // The digits are made and not stored.
    "after-token-made",
    "after-token-kept",
];

/// The points of a token that is entered over a line.
pub const ENTRY_CRASH_POINTS: &[&str] = &[
    // Stored as asked; the first byte has not left.
    "before-token-entry",
    // The device has answered; nothing of that is stored.
    "after-token-entry",
];

/// The points of a roll-over: it is ordered, then each of its tokens goes on.
pub const ROLLOVER_CRASH_POINTS: &[&str] = &[
    "after-rollover-ordered",
    ORDER_CRASH_POINTS[1],
    ORDER_CRASH_POINTS[2],
    ORDER_CRASH_POINTS[3],
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

/// Ends the process at once where it was told to die here.
pub(crate) fn crash_point(name: &'static str) {
    let lists = [
        CRASH_POINTS,
        REFUND_CRASH_POINTS,
        TAKING_CRASH_POINTS,
        PURSE_CRASH_POINTS,
        ACCOUNT_CRASH_POINTS,
        ORDER_CRASH_POINTS,
        ENTRY_CRASH_POINTS,
        ROLLOVER_CRASH_POINTS,
    ];
    debug_assert!(lists.iter().any(|list| list.contains(&name)), "{name} is not in the list");
    polymeter_ledger::crash_point(name);
}
