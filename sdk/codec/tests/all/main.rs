//! The codec's tests from outside: properties over any bytes, and vectors published by others.
//! One module per protocol.

mod dlt645;
mod modbus;
