//! Libraries in C, built here, called in real processes; the far end of `icdev` is the test.

mod cards;
mod contained;
mod meters;
mod rig;
