//! What the site's configuration decides about selling: handed in at the start, the same until the
//! end. Not here: what a tariff says, and who may do what (operators' rights).

/// Everything has a default that asks for nothing, so that a small site writes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Cash is taken and given by an operator with an open shift only.
    pub cash_needs_shift: bool,
}
