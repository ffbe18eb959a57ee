//! Why a published value of a wireless telegram is not one of ours, by row and field.

use crate::Explained;

const VENDOR_VIF: &str = "\
    quantity or unit stand in the vendor's own codes (VIF or VIFE FF), which wmbusmeters' driver \
    of that meter knows and the standard does not";
const VENDOR_DATA: &str = "\
    it stands in the vendor's own data behind the records (DIF 0F), which wmbusmeters' driver of \
    that meter knows";
const COMPUTED: &str = "\
    the telegram does not carry it: wmbusmeters computes it, a date from that of another store \
    and the storage number, apparent energy from the other two";
const PROFILE: &str = "\
    it is an increment of a compact profile (VIFE 1F), which wmbusmeters gives out as it stands, \
    and in the order from the last one";
const RESERVED_MEDIUM: &str =
    "the medium byte is a reserved one; wmbusmeters' driver knows what its vendor means";
const LATER_MEDIUM: &str =
    "medium 32 is a repeater since EN 13757-3:2013, wmbusmeters says reserved";
const PRIOS: &str = "\
    a vendor's telegram whose address has version and medium before the number, which wmbusmeters \
    knows by the vendor and the CI";
const OTHER_IDENTITY: &str = "\
    the meter behind a radio converter is named by a record (VIF 79) in the order of bytes of its \
    vendor";
const PLAIN_TEXT: &str = "the unit is the telegram's own text, CO2; the number is 256 in both";
const NO_TIME: &str = "day and month are zero, which is no date; wmbusmeters prints one";
const EVERY_YEAR: &str =
    "the year 127 is every year (EN 13757-3, type G), which wmbusmeters takes for 2127";
const CENTURY: &str = "\
    the hour's bits 5 and 6 are the century (EN 13757-3:2013, type F); this meter says 2, which \
    is 2126, and wmbusmeters does not look at them";
const INVALID_TIME: &str =
    "the meter marks its time as invalid (bit 7 of the minute), wmbusmeters prints it";
const DAYS: &str = "\
    VIF FD 74 is the battery's remaining life in days; wmbusmeters' driver knows that this vendor \
    means per cent";
const LIMIT: &str = "\
    the VIFE 56 makes the record the duration of a limit exceed; wmbusmeters takes its number for \
    a flow";
const BEHIND: &str = "\
    bytes behind the last record that are none: FF FF, or a checksum behind the fillers; \
    wmbusmeters passes over what it does not know";
const CUT: &str =
    "the telegram was published without its last bytes; what stands before them is equal";
const SUBUNIT: &str = "8E 40 is subunit 1 (EN 13757-3, DIFE bit 6), published as storage 1";
const MISREAD: &str = "\
    published with digits or power of ten that the bytes do not have: 04098668 is 4098668, \
    F0000022 is -22, and A6 18 is an operating time with an error";
const MEGAJOULE: &str = "VIF 0E is 10^6 J (EN 13757-3, table 10), published as kJ";

/// Reason, then row and the fields of which it is the reason.
macro_rules! explained {
    ($($reason:ident { $($row:literal: $($about:literal),+;)+ })+) => {
        &[$($($(Explained { row: $row, about: $about, reason: $reason },)+)+)+]
    };
}

pub const EXPLAINED: &[Explained] = explained! {
    VENDOR_VIF {
        26: "dust_level_counter";
        66: "va_counter", "vb_counter";
        67: "forward_energy_m3c", "return_energy_m3c";
        71: "forward_energy_m3c", "return_energy_m3c";
        72: "va_counter", "vb_counter";
        73: "va_counter", "vb_counter";
        74: "forward_energy_m3c", "return_energy_m3c";
        75: "forward_energy_m3c", "return_energy_m3c";
        76: "forward_energy_m3c", "return_energy_m3c";
        79: "alfa_counter", "beta_counter";
        113: "consumption_at_set_date_17_hca", "consumption_at_set_date_1_hca",
            "consumption_at_set_date_hca", "current_consumption_hca", "set_date";
        116: "energy_delta_10_kwh", "energy_delta_11_kwh", "energy_delta_12_kwh",
            "energy_delta_13_kwh", "energy_delta_2_kwh", "energy_delta_3_kwh",
            "energy_delta_4_kwh", "energy_delta_5_kwh", "energy_delta_6_kwh",
            "energy_delta_7_kwh", "energy_delta_8_kwh", "energy_delta_9_kwh", "target_date",
            "target_kwh", "target_year_kwh", "total_kwh";
        119: "due_17_date", "due_17_date_m3", "due_date_m3", "total_m3";
        120: "due_17_date_m3", "due_date_m3", "total_m3";
        122: "due_17_date", "due_17_date_m3", "due_date", "due_date_m3", "total_m3";
        123: "due_17_date", "due_17_date_m3", "due_date", "due_date_m3", "total_m3";
        149: "forward_energy_m3c", "return_energy_m3c";
        152: "last_month_date", "last_month_energy_consumption_kwh", "last_year_date",
            "last_year_energy_consumption_kwh", "total_energy_consumption_kwh";
    }
    VENDOR_DATA {
        45: "battery_y";
        46: "battery_y";
        47: "ambient_temperature_at_set_date_1_c", "ambient_temperature_at_set_date_2_c",
            "ambient_temperature_at_set_date_3_c", "average_ambient_temperature_c",
            "average_ambient_temperature_last_month_c", "average_heater_temperature_c",
            "average_heater_temperature_last_month_c", "consumption_at_set_date_1_hca",
            "consumption_at_set_date_3_hca", "consumption_at_set_date_4_hca",
            "max_ambient_temperature_c", "total_consumption_hca";
        48: "average_ambient_temperature_c", "average_ambient_temperature_last_month_c",
            "average_heater_temperature_last_month_c", "max_ambient_temperature_c",
            "total_consumption_hca";
        49: "backflow_m3", "voltage_v";
        50: "April_total_m3", "August_total_m3", "December_total_m3", "February_total_m3",
            "January_total_m3", "July_total_m3", "June_total_m3", "March_total_m3",
            "May_total_m3", "November_total_m3", "October_total_m3", "September_total_m3",
            "backflow_m3", "voltage_v";
        51: "April_total_m3", "August_total_m3", "December_total_m3", "February_total_m3",
            "January_total_m3", "July_total_m3", "June_total_m3", "March_total_m3",
            "May_total_m3", "November_total_m3", "October_total_m3", "September_total_m3",
            "backflow_m3", "voltage_v";
    }
    COMPUTED {
        18: "consumption_2", "consumption_3", "consumption_4";
        19: "consumption_2", "consumption_3", "consumption_4";
        34: "total_apparent_energy_consumption_kvah";
        39: "history_10_date", "history_11_date", "history_12_date", "history_2_date",
            "history_3_date", "history_4_date", "history_5_date", "history_6_date",
            "history_7_date", "history_8_date", "history_9_date";
        93: "set_date_11_date", "set_date_13_date", "set_date_15_date", "set_date_17_date",
            "set_date_19_date", "set_date_21_date", "set_date_23_date", "set_date_25_date",
            "set_date_27_date", "set_date_29_date", "set_date_31_date", "set_date_3_date",
            "set_date_5_date", "set_date_7_date", "set_date_9_date";
        136: "target_10_date", "target_1_date", "target_2_date", "target_3_date", "target_4_date",
            "target_5_date", "target_6_date", "target_7_date", "target_8_date", "target_9_date";
        143: "history_10_date", "history_11_date", "history_12_date", "history_13_date",
            "history_14_date", "history_15_date", "history_1_date", "history_2_date",
            "history_3_date", "history_4_date", "history_5_date", "history_6_date",
            "history_7_date", "history_8_date", "history_9_date";
        144: "history_10_date", "history_11_date", "history_12_date", "history_13_date",
            "history_14_date", "history_15_date", "history_1_date", "history_2_date",
            "history_3_date", "history_4_date", "history_5_date", "history_6_date",
            "history_7_date", "history_8_date", "history_9_date";
        145: "history_10_date", "history_11_date", "history_12_date", "history_13_date",
            "history_14_date", "history_15_date", "history_1_date", "history_2_date",
            "history_3_date", "history_4_date", "history_5_date", "history_6_date",
            "history_7_date", "history_8_date", "history_9_date";
    }
    PROFILE {
        41: "consumption_at_set_date_1_hca", "consumption_at_set_date_2_hca", "consumption_at_set_date_1:", "consumption_at_set_date_2:", "consumption_at_set_date_3:", "consumption_at_set_date_4:", "consumption_at_set_date_5:", "consumption_at_set_date_6:", "consumption_at_set_date_7:", "consumption_at_set_date_8:", "consumption_at_set_date_9:", "consumption_at_set_date_10:", "consumption_at_set_date_11:", "consumption_at_set_date_12:", "consumption_at_set_date_13:";
    }
    RESERVED_MEDIUM {
        13: "media";
        21: "media";
        22: "media";
        40: "media";
        60: "media";
        97: "media";
        98: "media";
        99: "media";
        100: "media";
        101: "media";
        102: "media";
        133: "media";
        134: "media";
        135: "media";
        141: "media";
    }
    LATER_MEDIUM {
        87: "media";
    }
    PRIOS {
        60: "id:";
        61: "media";
        175: "id:", "media";
    }
    OTHER_IDENTITY {
        152: "id:", "media";
    }
    PLAIN_TEXT {
        32: "co2_ppm";
    }
    NO_TIME {
        35: "target_date";
        44: "target_date";
    }
    EVERY_YEAR {
        62: "target_date";
        63: "target_date";
    }
    CENTURY {
        136: "meter_datetime";
    }
    INVALID_TIME {
        143: "meter_datetime";
    }
    DAYS {
        109: "battery_pct";
        110: "battery_pct";
    }
    LIMIT {
        121: "volume_flow_m3h";
        124: "volume_flow_m3h";
    }
    BEHIND {
        39: "records";
        139: "records";
    }
    CUT {
        187: "records";
    }
    SUBUNIT {
        177: "record 1";
    }
    MISREAD {
        179: "record 1", "record 3", "record 6";
    }
    MEGAJOULE {
        186: "record 0", "record 2";
    }
};
