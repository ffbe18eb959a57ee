//! Command codes and data identifiers, as docs/native-libraries.md and `icard.h` have them.
//!
//! Invariant: a code once given is never given anew; the tables grow at their ends. The test holds
//! them against the header that vendors compile with.

macro_rules! words {
    ($(#[$of:meta])* $table:ident: $number:ty { $($(#[$about:meta])* $name:ident = $code:literal;)* }) => {
        $(#[$of])*
        pub mod $table {
            $($(#[$about])* pub const $name: $number = $code;)*

            /// Every name and its code.
            pub const ALL: &[(&str, $number)] = &[$((stringify!($name), $name),)*];
        }
    };
}

words! {
    /// `C` of a request. The answer has the same with the highest bit set.
    command: u8 {
        DESCRIBE = 0x00;
        PROBE = 0x01;
        READ = 0x02;
        OPEN = 0x03;
        SELL = 0x04;
        CLEAR = 0x05;
        CHECK = 0x06;
        CONTROL = 0x07;
        SET = 0x08;
        CARD_IDENTIFY = 0x10;
        CARD_OPEN = 0x11;
        CARD_SELL = 0x12;
        CARD_CLEAR = 0x13;
        CARD_SET = 0x14;
        CARD_CHECK = 0x15;
        CARD_REPLACE = 0x16;
    }
}

/// Set in `C` of an answer.
pub const ANSWER: u8 = 0x80;

words! {
    /// The two bytes before each item of the data.
    identifier: u16 {
        /// One byte, see [`super::result`].
        RESULT = 0x0001;
        CODE = 0x0002;
        DETAIL = 0x0003;
        DEVICE_CODE = 0x0004;
        ADDRESS = 0x0101;
        NOW = 0x0102;
        NONCE = 0x0103;
        PARAMETER = 0x0104;
        REGION = 0x0105;
        CUSTOMER = 0x0201;
        COUNT = 0x0202;
        CREDIT = 0x0203;
        COMMAND = 0x0204;
        VALID_UNTIL = 0x0205;
        MEASUREMENT = 0x0301;
        SUPPLY = 0x0302;
        BALANCE = 0x0303;
        PURCHASE = 0x0304;
        MODEL = 0x0305;
        EXTRA = 0x0306;
        VENDOR = 0x0401;
        NAME = 0x0402;
        VERSION = 0x0403;
        PROOF = 0x0404;
        PURSE = 0x0405;
        ABILITIES = 0x0406;
        DECLARED = 0x0407;
        CARD_KIND = 0x0501;
        /// The card's own number, as hexadecimal digits.
        CARD_NUMBER = 0x0502;
    }
}

words! {
    /// What [`identifier::CARD_KIND`] may say.
    card: u8 {
        BLANK = 0;
        OPENS = 1;
        SELLS = 2;
        CLEARED = 3;
        SETS = 4;
    }
}

words! {
    /// What [`identifier::RESULT`] may say.
    result: u8 {
        DONE = 0;
        REFUSED = 1;
        UNKNOWN = 2;
        FAILED = 3;
    }
}

words! {
    /// The first byte of a value.
    value: u8 {
        NUMBER = 1;
        TEXT = 2;
        FLAG = 3;
        BYTES = 4;
        TIME = 5;
    }
}

words! {
    /// Bits of [`identifier::ABILITIES`].
    ability: u16 {
        HAS_PURSE = 1;
        HAS_SUPPLY = 2;
        HAS_SETTINGS = 4;
        HAS_CARDS = 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number behind `#define ICARD_<name>` in the header.
    fn defined(header: &str, name: &str) -> Option<u32> {
        let mut words = header.lines().map(str::split_whitespace).filter_map(|mut words| {
            (words.next()? == "#define" && words.next()? == name).then(|| words.next())?
        });
        let text = words.next()?;
        match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    #[test]
    fn the_header_has_the_same_numbers() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../vendor-examples/rdk-native/src/icard.h");
        let header = std::fs::read_to_string(path).expect("the header is there");
        let tables = [
            ("C", command::ALL.iter().map(|it| (it.0, u32::from(it.1))).collect::<Vec<_>>()),
            ("D", identifier::ALL.iter().map(|it| (it.0, u32::from(it.1))).collect()),
            ("K", card::ALL.iter().map(|it| (it.0, u32::from(it.1))).collect()),
            ("R", result::ALL.iter().map(|it| (it.0, u32::from(it.1))).collect()),
            ("V", value::ALL.iter().map(|it| (it.0, u32::from(it.1))).collect()),
            ("A", ability::ALL.iter().map(|it| (it.0, u32::from(it.1))).collect()),
        ];
        for (letter, table) in tables {
            for (name, code) in table {
                let name = format!("ICARD_{letter}_{name}");
                assert_eq!(defined(&header, &name), Some(code), "{name}");
            }
        }
        let room = crate::FRAME_BYTES_MOST.try_into().ok();
        assert_eq!(defined(&header, "ICARD_FRAME_BYTES_MOST"), room);
    }
}
