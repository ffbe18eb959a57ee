//! How a device is named: by its vendor, on its line, by its customer. Checked once, here.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("vendor code `{0}` must be 1 to 16 capital letters, digits or `-`, e.g. ACREL")]
    VendorCode(String),
    #[error("region `{0}` must be 1 to 32 letters, digits, `.`, `_` or `-`, e.g. HZ-01")]
    Region(String),
    #[error("meter address `{0}` must be 1 to 64 printable characters without spaces")]
    MeterAddress(String),
    #[error("customer number `{0}` must be 1 to 12 digits")]
    CustomerNumber(String),
}

/// The maker of a device, whose driver speaks to it (厂家代码).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VendorCode(String);

impl VendorCode {
    pub fn new(text: &str) -> Result<Self, BadName> {
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > 16 || !text.bytes().all(fits) {
            return Err(BadName::VendorCode(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A part of a vendor's estate with keys of its own, so that a card of one region is worth nothing in
/// another (区域).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(String);

impl Region {
    pub fn new(text: &str) -> Result<Self, BadName> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        // A lone hyphen stands for "no region" in the vault's file.
        if text.is_empty() || text.len() > 32 || text == "-" || !text.bytes().all(fits) {
            return Err(BadName::Region(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Text that only the driver may parse.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterAddress(String);

impl MeterAddress {
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() || text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadName::MeterAddress(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The customer's number as devices store it (客户编号): at most 12 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CustomerNumber(String);

impl CustomerNumber {
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() || text.len() > 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadName::CustomerNumber(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! text {
    ($($name:ident),+) => {$(
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}
text!(VendorCode, Region, MeterAddress, CustomerNumber);

/// Civil time at the site, as devices keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// `2026-11-25T13:40:12`: as texts they sort as times.
impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalTime { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_once() {
        for (text, ok) in
            [("ACREL", true), ("DLT645", true), ("", false), ("acrel", false), ("A B", false)]
        {
            assert_eq!(VendorCode::new(text).is_ok(), ok, "{text:?}");
        }
        for (text, ok) in
            [("HZ-01", true), ("", false), ("-", false), ("杭州", false), ("a/b", false)]
        {
            assert_eq!(Region::new(text).is_ok(), ok, "{text:?}");
        }
        for (text, ok) in
            [("1", true), ("000000000001", true), ("", false), ("a b", false), ("é", false)]
        {
            assert_eq!(MeterAddress::new(text).is_ok(), ok, "{text:?}");
        }
        for (text, ok) in
            [("1", true), ("123456789012", true), ("1234567890123", false), ("12a", false)]
        {
            assert_eq!(CustomerNumber::new(text).is_ok(), ok, "{text:?}");
        }
    }
}
