//! What a state of a device is called in front of people: shared name (docs/contract.md) to English and
//! Chinese trade term.

/// A state, or an event of a record; one that no driver shares with others is shown by its own name.
pub fn words(name: &str) -> (String, &'static str) {
    match WORDS.iter().chain(EVENTS).find(|(known, _, _)| *known == name) {
        Some((_, english, chinese)) => ((*english).to_owned(), chinese),
        None => (name.to_owned(), ""),
    }
}

const WORDS: &[(&str, &str, &str)] = &[
    ("low-battery", "Battery low", "电池欠压"),
    ("power-low", "Power low", "供电不足"),
    ("fault", "Defective", "故障"),
    ("fault-passing", "Defective for a moment", "暂时故障"),
    ("clock-fault", "Clock wrong", "时钟故障"),
    ("valve-fault", "Valve does not obey", "阀门故障"),
    ("relay-fault", "Relay does not obey", "继电器故障"),
    ("cover-open", "Cover opened", "开表盖"),
    ("terminal-cover-open", "Terminal cover opened", "开端钮盖"),
    ("magnetic-field", "Magnet", "磁场干扰"),
    ("tamper", "Tampered with", "窃动"),
    ("overload", "Overload", "过载"),
    ("current-high", "Current too high", "过流"),
    ("current-lost", "Current lost", "失流"),
    ("voltage-lost", "Voltage lost", "失压"),
    ("voltage-low", "Voltage low", "欠压"),
    ("voltage-high", "Voltage high", "过压"),
    ("phase-missing", "Phase missing", "断相"),
    ("power-down", "Power down", "掉电"),
    ("power-reversed", "Power reversed", "潮流反向"),
    ("voltage-phases-reversed", "Voltage phases reversed", "电压逆相序"),
    ("current-phases-reversed", "Current phases reversed", "电流逆相序"),
    ("leak", "Leak", "漏水"),
    ("burst", "Burst", "爆管"),
    ("flow-reversed", "Flow reversed", "倒流"),
    ("dry", "Dry", "空管"),
];

/// What happens and does not last.
const EVENTS: &[(&str, &str, &str)] = &[
    ("relay-opened", "Relay opened", "跳闸"),
    ("relay-closed", "Relay closed", "合闸"),
    ("programmed", "Programmed", "编程"),
    ("events-cleared", "Events cleared", "事件清零"),
    ("clock-set", "Clock set", "校时"),
];

#[cfg(test)]
mod tests {
    use super::{EVENTS, WORDS};

    #[test]
    fn the_contract_and_the_words_have_the_same_names() {
        let page = include_str!("../../../docs/contract.md");
        for (heading, words) in
            [("## States of a device", WORDS), ("## Events of a device", EVENTS)]
        {
            check(page, heading, words);
        }
    }

    fn check(page: &str, heading: &str, words: &[(&str, &str, &str)]) {
        let (_, section) = page.split_once(heading).expect("the section");
        let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let mut told: Vec<&str> = rows
            .flat_map(|line| {
                line.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2)
            })
            .collect();
        let mut known: Vec<&str> = words.iter().map(|(name, ..)| *name).collect();
        told.sort_unstable();
        known.sort_unstable();
        assert_eq!(told, known);
    }
}
