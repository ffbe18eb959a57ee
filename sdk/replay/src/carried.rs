//! The guest's values as a transcript's and back.

polymeter_transcript::conversions!(
    polymeter_driver::bindings,
    polymeter_driver::bindings::describing::exports::polymeter::driver::info,
    polymeter_driver::bindings::bus_search::exports::polymeter::driver::bus,
    polymeter_driver::bindings::token_issue::exports::polymeter::driver::token,
    polymeter_driver::bindings::clock_setting::exports::polymeter::driver::clock,
    polymeter_driver::bindings::token_entry::exports::polymeter::driver::entry,
    polymeter_driver::bindings::record_reading::exports::polymeter::driver::records,
    polymeter_driver::bindings::card_handling::exports::polymeter::driver::card,
    polymeter_driver::bindings::card_handling::polymeter::driver::card_slot
);

/// A value in its typed form, e.g. `number:186e-2`.
pub fn value_text(value: &polymeter_driver::Value) -> String {
    polymeter_transcript::value_text(&value.clone().carried())
}
