//! A driver of contract 1.0.0, kept as source in `tests/conformance/contract-1-0`, beside one of
//! today: both are bound by the same bindings, and what the old one never heard of is just not there.

use super::bench::{
    FarEnd, ample, config, device, driver, lease, line, moment, old_component, runtime, silent,
    vendor,
};
use crate::{CallError, Driver, DriverConfig, Search};
use polymeter_domain::{SupplyState, Value, VendorCode};
use std::sync::Arc;

async fn old() -> Arc<Driver> {
    let vendor = VendorCode::new("VINTAGE").ok();
    let config = DriverConfig { name: "contract-1-0".to_owned(), vendor, ..config(ample()) };
    runtime().load(config, old_component()).await.expect("a driver of 1.0 goes on working")
}

#[tokio::test]
async fn a_driver_of_1_0_has_all_that_1_0_had_and_nothing_more() {
    let old = old().await;
    assert_eq!(old.contract(), "1.0.0");
    assert!(old.imports().iter().all(|import| import.ends_with("@1.0.0")), "{:?}", old.imports());
    let can = old.abilities();
    assert!(can.purse && can.supply && can.settings && can.frames && !can.bus, "{can:?}");
    assert!(old.ways().is_empty());
    let search = Search { way: "units".to_owned(), parameters: vec![] };
    let error = old.search(&mut silent().await, &search, moment(), None, 2).await;
    assert_eq!(
        error.expect_err("it cannot").to_string(),
        "contract-1-0 does not have the ability to search a line"
    );
}

#[tokio::test]
async fn old_and_new_drivers_answer_side_by_side() {
    let (old, new) = (old().await, driver(ample()).await);
    assert_eq!(new.contract(), "1.1.0");
    let line = line(FarEnd::Silent).await;
    for _ in 0..2 {
        // Its import `line`, and its own error.
        let error = old.read(&mut lease(&line).await, &device("1"), moment()).await;
        let Err(CallError::Driver { driver, code: 1, .. }) = &error else { panic!("{error:?}") };
        assert_eq!(driver, "contract-1-0");
        let read = new.read(&mut lease(&line).await, &device("fine"), moment()).await;
        assert_eq!(read.expect("an answer").supply, SupplyState::Connected);
        // `frames`, its import `log`.
        let frame = [1, 3, 4, 0, 0, 0x04, 0xD2, 0x78, 0xAE];
        let explained = old.decode(&frame).await.expect("a reply of two registers");
        assert_eq!((explained.address.as_str(), explained.measurements.len()), ("1", 1));
    }
    // `vault`: a key of another vendor's is not there, of whatever contract the driver is.
    assert_ne!(vendor().as_str(), "VINTAGE");
    let mut device = device("1");
    device.parameters.push(("seal-label".to_owned(), Value::Text("master".to_owned())));
    let error = old.probe(&mut lease(&line).await, &device, moment()).await;
    let Err(CallError::Driver { code: 7, .. }) = &error else { panic!("{error:?}") };
}
