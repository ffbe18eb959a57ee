//! What a number is: quantity, unit and power of ten, by the tables of value information
//! (EN 13757-3:2013, tables 10 to 14).
//!
//! Invariant: a code without an entry is [`Quantity::Unknown`] and no guess.

/// Quantity, unit and scale: the number on the wire times ten to the `scale` is in `unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// What was measured.
    pub quantity: Quantity,
    /// In what.
    pub unit: Unit,
    /// The power of ten.
    pub scale: i8,
}

/// Declares an enumeration of which every variant has a printed name.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("\"", $text, "\"")] $variant,)*
        }

        impl $name {
            /// As printed; lower case, words apart.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }
    };
}

named! {
    /// What a value is a value of.
    Quantity {
        Energy = "energy",
        ReactiveEnergy = "reactive energy",
        ApparentEnergy = "apparent energy",
        Volume = "volume",
        Mass = "mass",
        OnTime = "on time",
        OperatingTime = "operating time",
        Power = "power",
        ReactivePower = "reactive power",
        ApparentPower = "apparent power",
        MaximumPower = "cumulated maximum power",
        VolumeFlow = "volume flow",
        MassFlow = "mass flow",
        FlowTemperature = "flow temperature",
        ReturnTemperature = "return temperature",
        TemperatureDifference = "temperature difference",
        ExternalTemperature = "external temperature",
        TemperatureLimit = "temperature limit",
        Pressure = "pressure",
        Date = "date",
        DateTime = "date and time",
        HeatCostAllocation = "heat cost allocation",
        AveragingDuration = "averaging duration",
        ActualityDuration = "actuality duration",
        FabricationNumber = "fabrication number",
        EnhancedIdentification = "enhanced identification",
        BusAddress = "bus address",
        PlainText = "as its text says",
        Any = "any",
        VendorSpecific = "specific to the vendor",
        Credit = "credit",
        Debit = "debit",
        AccessNumber = "access number",
        Medium = "medium",
        Vendor = "vendor",
        ParameterSet = "parameter set",
        Model = "model",
        HardwareVersion = "hardware version",
        FirmwareVersion = "firmware version",
        SoftwareVersion = "software version",
        CustomerLocation = "customer location",
        Customer = "customer",
        UserAccessCode = "access code of the user",
        OperatorAccessCode = "access code of the operator",
        SystemOperatorAccessCode = "access code of the system operator",
        DeveloperAccessCode = "access code of the developer",
        Password = "password",
        ErrorFlags = "error flags",
        ErrorMask = "error mask",
        SecurityKey = "security key",
        DigitalOutput = "digital output",
        DigitalInput = "digital input",
        BaudRate = "baud rate",
        ResponseDelay = "response delay",
        Retry = "retry",
        RemoteControl = "remote control",
        FirstStorage = "first storage of a cyclic store",
        LastStorage = "last storage of a cyclic store",
        StorageBlock = "size of a storage block",
        TariffDescriptor = "descriptor of tariff and subunit",
        StorageInterval = "storage interval",
        OperatorData = "data of the operator",
        SecondOfMinute = "second of the minute",
        SinceReadout = "duration since the last readout",
        TariffStart = "start of the tariff",
        TariffDuration = "duration of the tariff",
        TariffPeriod = "period of the tariff",
        Dimensionless = "without dimension",
        WirelessContainer = "container of wireless M-Bus",
        TransmissionPeriod = "period of transmissions",
        Voltage = "voltage",
        PhaseToPhase = "voltage between phases, angle",
        PhaseAngle = "angle of voltage to current",
        Frequency = "frequency",
        Current = "current",
        ResetCounter = "reset counter",
        CumulationCounter = "cumulation counter",
        ControlSignal = "control signal",
        DayOfWeek = "day of the week",
        WeekNumber = "week number",
        DayChange = "time of the change of day",
        ParameterActivation = "state of parameter activation",
        SpecialSupplier = "special supplier information",
        SinceCumulation = "duration since the last cumulation",
        BatteryTime = "operating time of the battery",
        BatteryChange = "time of the change of battery",
        RadioLevel = "level of radio",
        DaylightSaving = "daylight saving",
        ListeningWindow = "listening window",
        BatteryRemaining = "remaining life of the battery",
        Stops = "stops of the meter",
        VendorContainer = "container of the vendor's protocol",
        RelativeHumidity = "relative humidity",
        ActiveTariff = "tariff in force",
        Hours = "hours, minutes, seconds",
        Unknown = "unknown",
    }
}

named! {
    /// Units as printed.
    Unit {
        None = "",
        WattHour = "Wh",
        Joule = "J",
        Calorie = "cal",
        VarHour = "varh",
        VoltAmpereHour = "VAh",
        CubicMetre = "m3",
        CubicFoot = "ft3",
        Gallon = "gal",
        Kilogram = "kg",
        Second = "s",
        Minute = "min",
        Hour = "h",
        Day = "d",
        Month = "months",
        Year = "years",
        Watt = "W",
        Var = "var",
        VoltAmpere = "VA",
        JoulePerHour = "J/h",
        CubicMetrePerHour = "m3/h",
        CubicMetrePerMinute = "m3/min",
        CubicMetrePerSecond = "m3/s",
        GallonPerMinute = "gal/min",
        GallonPerHour = "gal/h",
        KilogramPerHour = "kg/h",
        Celsius = "°C",
        Fahrenheit = "°F",
        Kelvin = "K",
        DegreeFahrenheit = "°F difference",
        Bar = "bar",
        Degree = "°",
        Hertz = "Hz",
        Volt = "V",
        Ampere = "A",
        Currency = "currency",
        Percent = "%",
        Baud = "Bd",
        BitTime = "bit times",
        Allocation = "HCA",
        DecibelMilliwatt = "dBm",
        Date = "date",
    }
}

const fn of(quantity: Quantity, unit: Unit, scale: i8) -> Meaning {
    Meaning { quantity, unit, scale }
}

const fn plain(quantity: Quantity) -> Meaning {
    of(quantity, Unit::None, 0)
}

/// What stands for a code that has no entry.
pub(super) const UNKNOWN: Meaning = plain(Quantity::Unknown);

/// The low `mask` of a code as a power of ten, moved by `by`.
fn power(code: u8, mask: u8, by: i8) -> i8 {
    i8::try_from(code & mask).unwrap_or_default().saturating_add(by)
}

/// Seconds, minutes, hours, days by the low two bits.
pub(super) fn time_unit(code: u8) -> Unit {
    match code & 3 {
        0 => Unit::Second,
        1 => Unit::Minute,
        2 => Unit::Hour,
        _ => Unit::Day,
    }
}

/// Hours, days, months, years by the low two bits.
fn long_time_unit(code: u8) -> Unit {
    match code & 3 {
        0 => Unit::Hour,
        1 => Unit::Day,
        2 => Unit::Month,
        _ => Unit::Year,
    }
}

/// The primary table (EN 13757-3:2013, table 10), for the low seven bits of a VIF.
pub(super) fn primary(code: u8) -> Meaning {
    use Quantity as Q;
    use Unit as U;
    let three = |quantity, unit, by| of(quantity, unit, power(code, 7, by));
    let two = |quantity, unit| of(quantity, unit, power(code, 3, -3));
    match code {
        0x00..=0x07 => three(Q::Energy, U::WattHour, -3),
        0x08..=0x0F => three(Q::Energy, U::Joule, 0),
        0x10..=0x17 => three(Q::Volume, U::CubicMetre, -6),
        0x18..=0x1F => three(Q::Mass, U::Kilogram, -3),
        0x20..=0x23 => of(Q::OnTime, time_unit(code), 0),
        0x24..=0x27 => of(Q::OperatingTime, time_unit(code), 0),
        0x28..=0x2F => three(Q::Power, U::Watt, -3),
        0x30..=0x37 => three(Q::Power, U::JoulePerHour, 0),
        0x38..=0x3F => three(Q::VolumeFlow, U::CubicMetrePerHour, -6),
        0x40..=0x47 => three(Q::VolumeFlow, U::CubicMetrePerMinute, -7),
        0x48..=0x4F => three(Q::VolumeFlow, U::CubicMetrePerSecond, -9),
        0x50..=0x57 => three(Q::MassFlow, U::KilogramPerHour, -3),
        0x58..=0x5B => two(Q::FlowTemperature, U::Celsius),
        0x5C..=0x5F => two(Q::ReturnTemperature, U::Celsius),
        0x60..=0x63 => two(Q::TemperatureDifference, U::Kelvin),
        0x64..=0x67 => two(Q::ExternalTemperature, U::Celsius),
        0x68..=0x6B => two(Q::Pressure, U::Bar),
        0x6C => of(Q::Date, U::Date, 0),
        0x6D => of(Q::DateTime, U::Date, 0),
        0x6E => of(Q::HeatCostAllocation, U::Allocation, 0),
        0x70..=0x73 => of(Q::AveragingDuration, time_unit(code), 0),
        0x74..=0x77 => of(Q::ActualityDuration, time_unit(code), 0),
        0x78 => plain(Q::FabricationNumber),
        0x79 => plain(Q::EnhancedIdentification),
        0x7A => plain(Q::BusAddress),
        0x7C => plain(Q::PlainText),
        0x7E => plain(Q::Any),
        0x7F => plain(Q::VendorSpecific),
        _ => UNKNOWN,
    }
}

/// The table after FB (EN 13757-3:2013, table 12), for the low seven bits.
pub(super) fn after_fb(code: u8) -> Meaning {
    use Quantity as Q;
    use Unit as U;
    let one = |quantity, unit, by| of(quantity, unit, power(code, 1, by));
    let two = |quantity, unit, by| of(quantity, unit, power(code, 3, by));
    match code {
        0x00 | 0x01 => one(Q::Energy, U::WattHour, 5),
        0x02 | 0x03 => one(Q::ReactiveEnergy, U::VarHour, 3),
        0x04 | 0x05 => one(Q::ApparentEnergy, U::VoltAmpereHour, 3),
        0x08 | 0x09 => one(Q::Energy, U::Joule, 8),
        0x0C..=0x0F => two(Q::Energy, U::Calorie, 5),
        0x10 | 0x11 => one(Q::Volume, U::CubicMetre, 2),
        0x14..=0x17 => two(Q::ReactivePower, U::Var, 0),
        0x18 | 0x19 => one(Q::Mass, U::Kilogram, 5),
        0x1A | 0x1B => one(Q::RelativeHumidity, U::Percent, -1),
        0x20 => of(Q::Volume, U::CubicFoot, 0),
        0x21 => of(Q::Volume, U::CubicFoot, -1),
        // What the edition of 2004 still had, which meters in service send.
        0x22 => of(Q::Volume, U::Gallon, -1),
        0x23 => of(Q::Volume, U::Gallon, 0),
        0x24 => of(Q::VolumeFlow, U::GallonPerMinute, -3),
        0x25 => of(Q::VolumeFlow, U::GallonPerMinute, 0),
        0x26 => of(Q::VolumeFlow, U::GallonPerHour, 0),
        0x28 | 0x29 => one(Q::Power, U::Watt, 5),
        0x2A => of(Q::PhaseToPhase, U::Degree, -1),
        0x2B => of(Q::PhaseAngle, U::Degree, -1),
        0x2C..=0x2F => two(Q::Frequency, U::Hertz, -3),
        0x30 | 0x31 => one(Q::Power, U::JoulePerHour, 8),
        0x34..=0x37 => two(Q::ApparentPower, U::VoltAmpere, 0),
        0x58..=0x5B => two(Q::FlowTemperature, U::Fahrenheit, -3),
        0x5C..=0x5F => two(Q::ReturnTemperature, U::Fahrenheit, -3),
        0x60..=0x63 => two(Q::TemperatureDifference, U::DegreeFahrenheit, -3),
        0x64..=0x67 => two(Q::ExternalTemperature, U::Fahrenheit, -3),
        0x70..=0x73 => two(Q::TemperatureLimit, U::Fahrenheit, -3),
        0x74..=0x77 => two(Q::TemperatureLimit, U::Celsius, -3),
        0x78..=0x7F => of(Q::MaximumPower, U::Watt, power(code, 7, -3)),
        _ => UNKNOWN,
    }
}

/// The table after FD (EN 13757-3:2013, table 14), for the low seven bits.
pub(super) fn after_fd(code: u8) -> Meaning {
    use Quantity as Q;
    use Unit as U;
    match code {
        0x00..=0x03 => of(Q::Credit, U::Currency, power(code, 3, -3)),
        0x04..=0x07 => of(Q::Debit, U::Currency, power(code, 3, -3)),
        0x1C => of(Q::BaudRate, U::Baud, 0),
        0x1D => of(Q::ResponseDelay, U::BitTime, 0),
        0x24..=0x27 => of(Q::StorageInterval, time_unit(code), 0),
        0x28 => of(Q::StorageInterval, U::Month, 0),
        0x29 => of(Q::StorageInterval, U::Year, 0),
        0x2B => of(Q::SecondOfMinute, U::Second, 0),
        0x2C..=0x2F => of(Q::SinceReadout, time_unit(code), 0),
        0x30 => of(Q::TariffStart, U::Date, 0),
        0x31..=0x33 => of(Q::TariffDuration, time_unit(code), 0),
        0x34..=0x37 => of(Q::TariffPeriod, time_unit(code), 0),
        0x38 => of(Q::TariffPeriod, U::Month, 0),
        0x39 => of(Q::TariffPeriod, U::Year, 0),
        0x3C..=0x3F => of(Q::TransmissionPeriod, time_unit(code), 0),
        0x40..=0x4F => of(Q::Voltage, U::Volt, power(code, 15, -9)),
        0x50..=0x5F => of(Q::Current, U::Ampere, power(code, 15, -12)),
        0x68..=0x6B => of(Q::SinceCumulation, long_time_unit(code), 0),
        0x6C..=0x6F => of(Q::BatteryTime, long_time_unit(code), 0),
        0x70 => of(Q::BatteryChange, U::Date, 0),
        0x71 => of(Q::RadioLevel, U::DecibelMilliwatt, 0),
        0x74 => of(Q::BatteryRemaining, U::Day, 0),
        _ => plain(plain_after_fd(code)),
    }
}

/// Those of the same table that have no unit.
fn plain_after_fd(code: u8) -> Quantity {
    use Quantity as Q;
    match code {
        0x08 => Q::AccessNumber,
        0x09 => Q::Medium,
        0x0A => Q::Vendor,
        0x0B => Q::ParameterSet,
        0x0C => Q::Model,
        0x0D => Q::HardwareVersion,
        0x0E => Q::FirmwareVersion,
        0x0F => Q::SoftwareVersion,
        0x10 => Q::CustomerLocation,
        0x11 => Q::Customer,
        0x12 => Q::UserAccessCode,
        0x13 => Q::OperatorAccessCode,
        0x14 => Q::SystemOperatorAccessCode,
        0x15 => Q::DeveloperAccessCode,
        0x16 => Q::Password,
        0x17 => Q::ErrorFlags,
        0x18 => Q::ErrorMask,
        0x19 => Q::SecurityKey,
        0x1A => Q::DigitalOutput,
        0x1B => Q::DigitalInput,
        0x1E => Q::Retry,
        0x1F => Q::RemoteControl,
        0x20 => Q::FirstStorage,
        0x21 => Q::LastStorage,
        0x22 => Q::StorageBlock,
        0x23 => Q::TariffDescriptor,
        0x2A => Q::OperatorData,
        0x3A => Q::Dimensionless,
        0x3B => Q::WirelessContainer,
        0x60 => Q::ResetCounter,
        0x61 => Q::CumulationCounter,
        0x62 => Q::ControlSignal,
        0x63 => Q::DayOfWeek,
        0x64 => Q::WeekNumber,
        0x65 => Q::DayChange,
        0x66 => Q::ParameterActivation,
        0x67 => Q::SpecialSupplier,
        0x72 => Q::DaylightSaving,
        0x73 => Q::ListeningWindow,
        0x75 => Q::Stops,
        0x76 => Q::VendorContainer,
        _ => Q::Unknown,
    }
}

impl Quantity {
    /// Whole numbers of this are a name, a set of bits or a count, and have no sign (types C and D of
    /// EN 13757-3:2013, annex A).
    pub(super) fn is_unsigned(self) -> bool {
        matches!(
            self,
            Quantity::FabricationNumber
                | Quantity::EnhancedIdentification
                | Quantity::BusAddress
                | Quantity::AccessNumber
                | Quantity::Medium
                | Quantity::Vendor
                | Quantity::ParameterSet
                | Quantity::Model
                | Quantity::HardwareVersion
                | Quantity::FirmwareVersion
                | Quantity::SoftwareVersion
                | Quantity::ErrorFlags
                | Quantity::ErrorMask
                | Quantity::DigitalOutput
                | Quantity::DigitalInput
        )
    }
}
