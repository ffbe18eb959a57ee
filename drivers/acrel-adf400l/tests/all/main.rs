//! The driver from outside: transcripts, and a whole box of registers that loses, spoils and
//! misdirects its replies.

mod faults;
mod scripted;
mod search;
mod transcripts;
