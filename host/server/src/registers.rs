//! What a register is called in front of people: OBIS code to English name and Chinese trade term.
//!
//! Not here: which registers a device has (its driver), units (domain).

/// `None` for a register that has no name here; its code is then shown as it is.
pub fn name(register: &str) -> Option<(&'static str, &'static str)> {
    NAMES
        .iter()
        .find(|(code, _, _)| *code == register)
        .map(|(_, english, chinese)| (*english, *chinese))
}

// IEC 62056-61:2006, 5 and the Blue Book's list of standard codes; tariff order as in DL/T
// 645-2007, A.
const NAMES: &[(&str, &str, &str)] = &[
    ("1.0.1.8.0.255", "Energy total", "正向有功总电能"),
    ("1.0.1.8.1.255", "Energy tariff 1 (sharp)", "尖电能"),
    ("1.0.1.8.2.255", "Energy tariff 2 (peak)", "峰电能"),
    ("1.0.1.8.3.255", "Energy tariff 3 (flat)", "平电能"),
    ("1.0.1.8.4.255", "Energy tariff 4 (valley)", "谷电能"),
    ("1.0.2.8.0.255", "Energy returned", "反向有功总电能"),
    ("1.0.1.7.0.255", "Power", "有功功率"),
    ("1.0.3.7.0.255", "Reactive power", "无功功率"),
    ("1.0.13.7.0.255", "Power factor", "功率因数"),
    ("1.0.14.7.0.255", "Frequency", "频率"),
    ("1.0.12.7.0.255", "Voltage", "电压"),
    ("1.0.11.7.0.255", "Current", "电流"),
    ("1.0.32.7.0.255", "Voltage A", "A相电压"),
    ("1.0.52.7.0.255", "Voltage B", "B相电压"),
    ("1.0.72.7.0.255", "Voltage C", "C相电压"),
    ("1.0.31.7.0.255", "Current A", "A相电流"),
    ("1.0.51.7.0.255", "Current B", "B相电流"),
    ("1.0.71.7.0.255", "Current C", "C相电流"),
    ("1.0.21.7.0.255", "Power A", "A相有功功率"),
    ("1.0.41.7.0.255", "Power B", "B相有功功率"),
    ("1.0.61.7.0.255", "Power C", "C相有功功率"),
    ("1.0.15.8.0.255", "Energy, both ways", "组合有功总电能"),
    ("1.0.9.7.0.255", "Apparent power", "视在功率"),
    ("1.0.23.7.0.255", "Reactive power A", "A相无功功率"),
    ("1.0.43.7.0.255", "Reactive power B", "B相无功功率"),
    ("1.0.63.7.0.255", "Reactive power C", "C相无功功率"),
    ("1.0.91.7.0.255", "Neutral current", "零线电流"),
    ("0.0.1.0.0.255", "Clock", "时钟"),
    ("0.0.19.10.0.255", "Credit left", "剩余金额"),
    ("0.0.19.10.1.255", "Overdrawn", "透支金额"),
    ("0.0.19.10.2.255", "Bought in all", "累计购电金额"),
    ("0.0.19.40.0.255", "Purchase count", "购电次数"),
    ("0.0.96.5.0.255", "Status word", "状态字"),
    ("0.0.96.5.1.255", "Status word 1", "状态字1"),
    ("0.0.96.5.2.255", "Status word 2", "状态字2"),
    ("0.0.96.5.3.255", "Status word 3", "状态字3"),
    ("0.0.96.5.4.255", "Status word 4", "状态字4"),
    ("0.0.96.5.5.255", "Status word 5", "状态字5"),
    ("0.0.96.5.6.255", "Status word 6", "状态字6"),
    ("0.0.96.5.7.255", "Status word 7", "状态字7"),
    ("0.0.96.9.0.255", "Temperature", "表内温度"),
    ("0.0.96.1.0.255", "Serial number", "表号"),
];
