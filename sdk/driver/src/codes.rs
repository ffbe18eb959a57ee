//! Names for the `u16` codes of the contract. The tables themselves, with their meaning and source,
//! stand in `wit/1.1.0`; a code that is missing here is still legal on the wire.

/// `clock.set-clock`'s way.
pub mod clock {
    /// As the protocol lets anybody on the line, within its rules.
    pub const ADJUST: u16 = 1;
    /// With the driver's authority, by any amount.
    pub const SET: u16 = 2;
}

/// `records.kind.sort`.
pub mod records {
    /// Values at fixed times.
    pub const PROFILE: u16 = 1;
    /// What happened.
    pub const EVENTS: u16 = 2;
}

/// `driver-error.code`.
pub mod error {
    /// Nothing came in time.
    pub const NO_REPLY: u16 = 1;
    /// What came is no answer: cut, or of a wrong checksum or shape.
    pub const GARBLED: u16 = 2;
    /// The answer of another device, or to another question.
    pub const OTHER_DEVICE: u16 = 3;
    /// The device says that it has no such data.
    pub const NO_SUCH_DATA: u16 = 4;
    /// The device says no.
    pub const DEVICE_SAYS_NO: u16 = 5;
    /// The address or a parameter is not one that this driver takes.
    pub const BAD_PARAMETER: u16 = 6;
    /// The vault said no.
    pub const VAULT: u16 = 7;
    /// The line said no.
    pub const LINE: u16 = 8;
    /// This device cannot do that.
    pub const UNSUPPORTED: u16 = 9;
}

/// `line-error.code`.
pub mod line {
    /// Nothing came in time.
    pub const SILENT: u16 = 1;
    /// The line is down.
    pub const DOWN: u16 = 2;
    /// A limit of this call is spent.
    pub const LIMIT: u16 = 3;
    /// The admin has not granted it.
    pub const NOT_GRANTED: u16 = 4;
}

/// `slot-error.code`.
pub mod slot {
    /// The card is gone.
    pub const GONE: u16 = 1;
    /// The reader failed, or is gone.
    pub const READER: u16 = 2;
    /// A limit of this call is spent.
    pub const LIMIT: u16 = 3;
    /// The admin has not granted it.
    pub const NOT_GRANTED: u16 = 4;
    /// This card or this reader cannot do that.
    pub const UNSUPPORTED: u16 = 5;
    /// A wrong code, a protected place.
    pub const CARD_SAYS_NO: u16 = 6;
    /// The vault said no.
    pub const VAULT: u16 = 7;
    /// The card bears no more wrong codes, and none was presented.
    pub const NO_TRIES: u16 = 8;
}

/// `inserted-card.kind`, `identity.purpose` and `contents.taken`.
pub mod card {
    /// Of `kind`: a CPU card (ISO/IEC 7816-4).
    pub const CPU: u16 = 1;
    /// Of `kind`: SLE4442, 256 bytes under a code of three.
    pub const SLE4442: u16 = 2;
    /// Of `kind`: SLE4428, 1024 bytes under a code of two.
    pub const SLE4428: u16 = 3;
    /// Of `kind`: AT24C, plain memory.
    pub const AT24C: u16 = 4;
    /// Of `kind`: AT88SC102, two application zones.
    pub const AT88SC102: u16 = 5;
    /// Of `kind`: AT88SC1604, four application zones.
    pub const AT88SC1604: u16 = 6;
    /// Of `kind`: Mifare Classic.
    pub const MIFARE_CLASSIC: u16 = 7;
    /// Of `kind`: Mifare DESFire.
    pub const MIFARE_DESFIRE: u16 = 8;

    /// `identity.purpose` and `order.purpose`.
    pub mod purpose {
        /// This vendor's, or fit for it, and nobody's yet.
        pub const BLANK: u16 = 0;
        /// 用户卡
        pub const USER: u16 = 1;
        /// 设置卡
        pub const SETTING: u16 = 2;
        /// 检查卡
        pub const CHECK: u16 = 3;
        /// 清零卡
        pub const CLEAR: u16 = 4;
        /// 复位卡
        pub const RESET: u16 = 5;
        /// 电价卡
        pub const PRICE: u16 = 6;
        /// 区域卡
        pub const AREA: u16 = 7;
        /// 测试卡
        pub const TEST: u16 = 8;
        /// 密钥卡
        pub const KEYS: u16 = 9;
    }

    /// `contents.taken`.
    pub mod taken {
        /// The card does not tell.
        pub const UNKNOWN: u16 = 0;
        /// The device has not taken the purchase.
        pub const NO: u16 = 1;
        /// It has.
        pub const YES: u16 = 2;
    }
}

/// `vault-error.code` and what the vault can do; lengths of `iv` and data stand in the contract.
pub mod vault {
    /// `vault-error.code`.
    pub mod error {
        /// This vendor has no such key.
        pub const NO_SUCH_KEY: u16 = 1;
        /// The algorithm is not offered.
        pub const NOT_OFFERED: u16 = 2;
        /// An initial value, data or path of a wrong length.
        pub const BAD_LENGTH: u16 = 3;
        /// The admin has not granted the vault.
        pub const NOT_GRANTED: u16 = 4;
        /// The key is of another kind than the algorithm wants.
        pub const OTHER_KIND: u16 = 5;
        /// What was to be decrypted was changed on its way.
        pub const WRONG_TAG: u16 = 6;
        /// The keys are in a token, and it does not answer.
        pub const NO_ANSWER: u16 = 7;
    }

    /// `mac`'s algorithm.
    pub mod mac {
        /// ISO/IEC 9797-1 algorithm 3 with two-key 3DES, 8 bytes.
        pub const PBOC: u16 = 1;
        /// HMAC-SHA-256, 32 bytes.
        pub const HMAC_SHA_256: u16 = 2;
        /// AES-CMAC, 16 bytes.
        pub const AES_CMAC: u16 = 3;
        /// AES-GMAC as DLMS has it, 12 bytes.
        pub const DLMS_GMAC: u16 = 4;
        /// SM4 CBC-MAC.
        pub const SM4_CBC_MAC: u16 = 5;
        /// AES-GMAC, 16 bytes.
        pub const AES_GMAC: u16 = 6;
    }

    /// `encrypt`'s and `decrypt`'s algorithm.
    pub mod cipher {
        /// Two-key 3DES, ECB.
        pub const TRIPLE_DES_ECB: u16 = 1;
        /// AES, ECB.
        pub const AES_ECB: u16 = 2;
        /// AES, CBC.
        pub const AES_CBC: u16 = 3;
        /// AES-GCM as DLMS has it, tag of 12 bytes.
        pub const DLMS_GCM: u16 = 4;
        /// SM4, ECB.
        pub const SM4_ECB: u16 = 5;
        /// SM4, CBC.
        pub const SM4_CBC: u16 = 6;
        /// AES-GCM, tag of 16 bytes.
        pub const AES_GCM: u16 = 7;
        /// Two-key 3DES, CBC.
        pub const TRIPLE_DES_CBC: u16 = 8;
        /// AES, counter mode.
        pub const AES_CTR: u16 = 9;
        /// A block of an STS token by EA07; `encrypt` alone.
        pub const STS_EA07: u16 = 10;
        /// A block of an STS token by EA11; `encrypt` alone.
        pub const STS_EA11: u16 = 11;
        /// A section of an STS key change, under the old key; `encrypt` alone.
        pub const STS_KEY_CHANGE: u16 = 12;
        /// Another key of the vault, wrapped by a key for that alone (RFC 3394); `encrypt` alone.
        pub const KEY_WRAP: u16 = 13;
    }

    /// `diversification.algorithm`.
    pub mod diversification {
        /// 3DES of the factor, and the complement of that.
        pub const TRIPLE_DES_COMPLEMENT: u16 = 1;
        /// 3DES of the factor, and 3DES of its complement.
        pub const PBOC: u16 = 2;
        /// The same with SM4.
        pub const PBOC_SM4: u16 = 3;
        /// As EMV derives with AES.
        pub const EMV_AES: u16 = 4;
        /// By AES-CMAC.
        pub const AES_CMAC: u16 = 5;
        /// A decoder key of STS by DKGA02.
        pub const STS_DKGA02: u16 = 6;
        /// A decoder key of STS by DKGA04.
        pub const STS_DKGA04: u16 = 7;
    }
}

/// `order.kind` of a token.
pub mod token {
    /// Credit.
    pub const CREDIT: u16 = 1;
    /// Empties a register.
    pub const CLEAR_CREDIT: u16 = 2;
    /// The power above which the device disconnects.
    pub const MAX_POWER: u16 = 3;
    /// The rate of a tariff.
    pub const TARIFF_RATE: u16 = 4;
    /// Forgets that it was tampered with.
    pub const CLEAR_TAMPER: u16 = 5;
    /// The difference between phases above which it disconnects.
    pub const MAX_PHASE_UNBALANCE: u16 = 6;
    /// The factor of a water meter.
    pub const WATER_FACTOR: u16 = 7;
    /// Tests or shows something.
    pub const TEST: u16 = 8;
    /// Another key.
    pub const KEY_CHANGE: u16 = 9;
}

/// `refusal.code`.
pub mod refusal {
    /// A reason that has no code here.
    pub const OTHER: u16 = 1;
    /// The device has taken this purchase before.
    pub const ALREADY_TAKEN: u16 = 2;
    /// The MAC is wrong.
    pub const WRONG_MAC: u16 = 3;
    /// The device wants an authentication first.
    pub const NOT_AUTHENTICATED: u16 = 4;
    /// The customer number is not the one in the device.
    pub const WRONG_CUSTOMER: u16 = 5;
    /// The purchase count is not the next one.
    pub const WRONG_COUNT: u16 = 6;
    /// The purse may not hold so much (囤积).
    pub const OVER_HOARDING_LIMIT: u16 = 7;
    /// The device takes nothing for the time being.
    pub const SUSPENDED: u16 = 8;
    /// The device has another address.
    pub const WRONG_ADDRESS: u16 = 9;
    /// The password is wrong.
    pub const WRONG_PASSWORD: u16 = 10;
    /// The supply is protected from disconnection (保电).
    pub const SUPPLY_PROTECTED: u16 = 11;
    /// The command came out of its time.
    pub const OUT_OF_TIME: u16 = 12;
    /// The device does not know this function.
    pub const NO_SUCH_FUNCTION: u16 = 13;
    /// The device does not take this value.
    pub const BAD_VALUE: u16 = 14;
}

/// `measurement.unit`: the COSEM enumeration (IEC 62056-62), and ours above 255.
pub mod unit {
    /// s
    pub const SECOND: u16 = 7;
    /// The meter's currency; for a parameter its minor unit.
    pub const CURRENCY: u16 = 10;
    /// m³
    pub const CUBIC_METRE: u16 = 13;
    /// W
    pub const WATT: u16 = 27;
    /// Wh
    pub const WATT_HOUR: u16 = 30;
    /// A
    pub const AMPERE: u16 = 33;
    /// V
    pub const VOLT: u16 = 35;
    /// Hz
    pub const HERTZ: u16 = 44;
    /// No unit.
    pub const NONE: u16 = 255;
    /// kWh
    pub const KILOWATT_HOUR: u16 = 256;
    /// kW
    pub const KILOWATT: u16 = 257;
    /// kvar
    pub const KILOVAR: u16 = 258;
    /// kVA
    pub const KILOVOLT_AMPERE: u16 = 259;
}

/// `measurement.quality`.
pub mod quality {
    /// The device measured it.
    pub const MEASURED: u16 = 0;
    /// This device does not measure it.
    pub const NOT_MEASURED: u16 = 1;
    /// The device answered nonsense.
    pub const INVALID: u16 = 2;
    /// The device estimated it.
    pub const ESTIMATED: u16 = 3;
}

/// `credit.quantity` and, with 0 for none, `description.purse`.
pub mod quantity {
    /// No purse.
    pub const NONE: u16 = 0;
    /// Minor units of the currency (fen).
    pub const MONEY: u16 = 1;
    /// Wh.
    pub const ENERGY: u16 = 2;
    /// Litres.
    pub const VOLUME: u16 = 3;
}

/// `description.proof`.
pub mod proof {
    /// Not at all.
    pub const NONE: u16 = 0;
    /// By the purchase count and the last purchase.
    pub const PURCHASE_COUNT: u16 = 1;
    /// By a register of credit.
    pub const CREDIT_REGISTER: u16 = 2;
    /// By a list of purchases in the device.
    pub const PURCHASE_LIST: u16 = 3;
}

/// `snapshot.supply`.
pub mod supply {
    /// Nobody knows.
    pub const UNKNOWN: u16 = 0;
    /// The breaker or valve is open.
    pub const DISCONNECTED: u16 = 1;
    /// It is closed.
    pub const CONNECTED: u16 = 2;
    /// It waits for the customer's hand.
    pub const READY_FOR_RECONNECTION: u16 = 3;
}

/// `control`'s command.
pub mod command {
    /// Open it (跳闸).
    pub const DISCONNECT: u16 = 1;
    /// Close it (合闸).
    pub const CONNECT: u16 = 2;
    /// Let the customer close it (合闸允许).
    pub const ALLOW_CONNECTION: u16 = 3;
    /// No disconnection until that ends (保电).
    pub const PROTECT: u16 = 4;
    /// The end of it (保电解除).
    pub const END_PROTECTION: u16 = 5;
}

/// OBIS codes (IEC 62056-61) that drivers of one kind of device should agree on.
pub mod register {
    /// The device's own time.
    pub const CLOCK: &str = "0.0.1.0.0.255";
    /// Active energy used.
    pub const ENERGY_IMPORT_TOTAL: &str = "1.0.1.8.0.255";
    /// Tariffs 1 to 4: sharp 尖, peak 峰, flat 平, valley 谷.
    pub const ENERGY_IMPORT_TARIFF: [&str; 4] =
        ["1.0.1.8.1.255", "1.0.1.8.2.255", "1.0.1.8.3.255", "1.0.1.8.4.255"];
    /// Active energy given back.
    pub const ENERGY_EXPORT_TOTAL: &str = "1.0.2.8.0.255";
    /// Both together, as the device combines them.
    pub const ENERGY_COMBINED_TOTAL: &str = "1.0.15.8.0.255";
    /// Phases A, B and C.
    pub const VOLTAGE: [&str; 3] = ["1.0.32.7.0.255", "1.0.52.7.0.255", "1.0.72.7.0.255"];
    /// Phases A, B and C.
    pub const CURRENT: [&str; 3] = ["1.0.31.7.0.255", "1.0.51.7.0.255", "1.0.71.7.0.255"];
    /// Active power used.
    pub const POWER_IMPORT: &str = "1.0.1.7.0.255";
    /// Reactive power.
    pub const REACTIVE_POWER: &str = "1.0.3.7.0.255";
    /// Apparent power.
    pub const APPARENT_POWER: &str = "1.0.9.7.0.255";
    /// Power factor.
    pub const POWER_FACTOR: &str = "1.0.13.7.0.255";
    /// Frequency of the mains.
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
