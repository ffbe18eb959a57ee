//! The contract's values as a transcript's and back.

polymeter_transcript::conversions!(
    crate::bindings,
    crate::bindings::exports::polymeter::driver::info,
    crate::bindings::exports::polymeter::driver::bus,
    crate::bindings::exports::polymeter::driver::token,
    crate::bindings::exports::polymeter::driver::clock,
    crate::bindings::exports::polymeter::driver::entry,
    crate::bindings::exports::polymeter::driver::records,
    crate::bindings::exports::polymeter::driver::card,
    crate::bindings::polymeter::driver::card_slot
);
