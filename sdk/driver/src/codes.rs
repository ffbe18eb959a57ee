//! Names for the `u16` codes of the contract. The tables themselves, with their meaning and source,
//! stand in `wit/1.1.0`; a code that is missing here is still legal on the wire.

/// `driver-error.code`.
pub mod error {
    pub const NO_REPLY: u16 = 1;
    pub const GARBLED: u16 = 2;
    pub const OTHER_DEVICE: u16 = 3;
    pub const NO_SUCH_DATA: u16 = 4;
    pub const DEVICE_SAYS_NO: u16 = 5;
    pub const BAD_PARAMETER: u16 = 6;
    pub const VAULT: u16 = 7;
    pub const LINE: u16 = 8;
    pub const UNSUPPORTED: u16 = 9;
}

/// `line-error.code`.
pub mod line {
    pub const SILENT: u16 = 1;
    pub const DOWN: u16 = 2;
    pub const LIMIT: u16 = 3;
    pub const NOT_GRANTED: u16 = 4;
}

/// `vault-error.code` and what the vault can do; lengths of `iv` and data stand in the contract.
pub mod vault {
    pub mod error {
        pub const NO_SUCH_KEY: u16 = 1;
        pub const NOT_OFFERED: u16 = 2;
        pub const BAD_LENGTH: u16 = 3;
        pub const NOT_GRANTED: u16 = 4;
        pub const OTHER_KIND: u16 = 5;
        pub const WRONG_TAG: u16 = 6;
        pub const NO_ANSWER: u16 = 7;
    }

    /// `mac`'s algorithm.
    pub mod mac {
        pub const PBOC: u16 = 1;
        pub const HMAC_SHA_256: u16 = 2;
        pub const AES_CMAC: u16 = 3;
        pub const DLMS_GMAC: u16 = 4;
        pub const SM4_CBC_MAC: u16 = 5;
        pub const AES_GMAC: u16 = 6;
    }

    /// `encrypt`'s and `decrypt`'s algorithm.
    pub mod cipher {
        pub const TRIPLE_DES_ECB: u16 = 1;
        pub const AES_ECB: u16 = 2;
        pub const AES_CBC: u16 = 3;
        pub const DLMS_GCM: u16 = 4;
        pub const SM4_ECB: u16 = 5;
        pub const SM4_CBC: u16 = 6;
        pub const AES_GCM: u16 = 7;
        pub const TRIPLE_DES_CBC: u16 = 8;
        pub const AES_CTR: u16 = 9;
    }

    /// `diversification.algorithm`.
    pub mod diversification {
        pub const TRIPLE_DES_COMPLEMENT: u16 = 1;
        pub const PBOC: u16 = 2;
        pub const PBOC_SM4: u16 = 3;
        pub const EMV_AES: u16 = 4;
        pub const AES_CMAC: u16 = 5;
    }
}

/// `refusal.code`.
pub mod refusal {
    pub const OTHER: u16 = 1;
    pub const ALREADY_TAKEN: u16 = 2;
    pub const WRONG_MAC: u16 = 3;
    pub const NOT_AUTHENTICATED: u16 = 4;
    pub const WRONG_CUSTOMER: u16 = 5;
    pub const WRONG_COUNT: u16 = 6;
    pub const OVER_HOARDING_LIMIT: u16 = 7;
    pub const SUSPENDED: u16 = 8;
    pub const WRONG_ADDRESS: u16 = 9;
    pub const WRONG_PASSWORD: u16 = 10;
    pub const SUPPLY_PROTECTED: u16 = 11;
    pub const OUT_OF_TIME: u16 = 12;
    pub const NO_SUCH_FUNCTION: u16 = 13;
    pub const BAD_VALUE: u16 = 14;
}

/// `measurement.unit`: the COSEM enumeration (IEC 62056-62), and ours above 255.
pub mod unit {
    pub const SECOND: u16 = 7;
    pub const CURRENCY: u16 = 10;
    pub const CUBIC_METRE: u16 = 13;
    pub const WATT: u16 = 27;
    pub const WATT_HOUR: u16 = 30;
    pub const AMPERE: u16 = 33;
    pub const VOLT: u16 = 35;
    pub const HERTZ: u16 = 44;
    pub const NONE: u16 = 255;
    pub const KILOWATT_HOUR: u16 = 256;
    pub const KILOWATT: u16 = 257;
    pub const KILOVAR: u16 = 258;
    pub const KILOVOLT_AMPERE: u16 = 259;
}

/// `measurement.quality`.
pub mod quality {
    pub const MEASURED: u16 = 0;
    pub const NOT_MEASURED: u16 = 1;
    pub const INVALID: u16 = 2;
    pub const ESTIMATED: u16 = 3;
}

/// `credit.quantity` and, with 0 for none, `description.purse`.
pub mod quantity {
    pub const NONE: u16 = 0;
    pub const MONEY: u16 = 1;
    pub const ENERGY: u16 = 2;
    pub const VOLUME: u16 = 3;
}

/// `description.proof`.
pub mod proof {
    pub const NONE: u16 = 0;
    pub const PURCHASE_COUNT: u16 = 1;
    pub const CREDIT_REGISTER: u16 = 2;
    pub const PURCHASE_LIST: u16 = 3;
}

/// `snapshot.supply`.
pub mod supply {
    pub const UNKNOWN: u16 = 0;
    pub const DISCONNECTED: u16 = 1;
    pub const CONNECTED: u16 = 2;
    pub const READY_FOR_RECONNECTION: u16 = 3;
}

/// `control`'s command.
pub mod command {
    pub const DISCONNECT: u16 = 1;
    pub const CONNECT: u16 = 2;
    pub const ALLOW_CONNECTION: u16 = 3;
    pub const PROTECT: u16 = 4;
    pub const END_PROTECTION: u16 = 5;
}

/// OBIS codes (IEC 62056-61) that drivers of one kind of device should agree on.
pub mod register {
    pub const CLOCK: &str = "0.0.1.0.0.255";
    pub const ENERGY_IMPORT_TOTAL: &str = "1.0.1.8.0.255";
    /// Tariffs 1 to 4: sharp 尖, peak 峰, flat 平, valley 谷.
    pub const ENERGY_IMPORT_TARIFF: [&str; 4] =
        ["1.0.1.8.1.255", "1.0.1.8.2.255", "1.0.1.8.3.255", "1.0.1.8.4.255"];
    pub const ENERGY_EXPORT_TOTAL: &str = "1.0.2.8.0.255";
    pub const ENERGY_COMBINED_TOTAL: &str = "1.0.15.8.0.255";
    pub const VOLTAGE: [&str; 3] = ["1.0.32.7.0.255", "1.0.52.7.0.255", "1.0.72.7.0.255"];
    pub const CURRENT: [&str; 3] = ["1.0.31.7.0.255", "1.0.51.7.0.255", "1.0.71.7.0.255"];
    pub const POWER_IMPORT: &str = "1.0.1.7.0.255";
    pub const REACTIVE_POWER: &str = "1.0.3.7.0.255";
    pub const APPARENT_POWER: &str = "1.0.9.7.0.255";
    pub const POWER_FACTOR: &str = "1.0.13.7.0.255";
    pub const FREQUENCY: &str = "1.0.14.7.0.255";
    /// What the purse holds (payment metering, group C = 19: credit).
    pub const CREDIT_REMAINING: &str = "0.0.19.10.0.255";
    /// What has been used beyond it (the emergency credit in use).
    pub const CREDIT_OVERDRAWN: &str = "0.0.19.10.1.255";
    /// All that was ever bought.
    pub const CREDIT_BOUGHT_TOTAL: &str = "0.0.19.10.2.255";
    /// The device's own purchase count (购电次数).
    pub const PURCHASE_COUNT: &str = "0.0.19.40.0.255";
    /// Status word n stands in group E.
    pub const STATUS_WORD: &str = "0.0.96.5.0.255";
}
