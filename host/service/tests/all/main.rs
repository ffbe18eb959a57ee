//! The service against a real database, and for everything that touches a device against the real
//! DL/T 645 driver on a simulated meter. One binary, because linking is what costs. Time is set by
//! hand; nothing here sleeps.

mod account;
mod acts;
mod bench;
mod billing;
mod clocks;
mod counter;
mod deductions;
mod field;
mod life;
mod login;
mod modes;
mod operators;
mod purse;
mod readings;
mod records;
mod refunds;
mod register;
mod sales;
mod stories;
mod tariffs;
mod trail;
mod two_people;
