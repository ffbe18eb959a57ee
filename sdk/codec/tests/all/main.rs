//! The codec's tests from outside: properties over any bytes, and vectors published by others.
//! One module per protocol.

/// Printed past the test harness, which keeps what a passing test prints to itself.
macro_rules! report {
    ($($text:tt)*) => {
        writeln!(std::io::stderr(), $($text)*).expect("standard error is there")
    };
}

mod acrel_4g;
mod cjt188;
mod dlms;
mod dlt645;
mod dlt645_answers;
mod dlt645_values;
mod dlt698;
mod gbcard;
mod mbus;
mod mbus_wireless;
mod modbus;
mod sts;
