//! Amounts in the capitals that Chinese receipts and cheques are written in (人民币大写), which cannot
//! be altered by a stroke: 1050.08 is 壹仟零伍拾元零捌分.
//!
//! Not here: other currencies, whose amounts stay digits.

use polymeter_domain::{Currency, Money};

const DIGITS: [&str; 10] = ["零", "壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖"];
const PLACES: [&str; 4] = ["", "拾", "佰", "仟"];
const GROUPS: [&str; 5] = ["", "万", "亿", "万亿", "亿亿"];

/// Empty for a currency that is not written so, and for an amount below zero.
pub fn of(amount: Money) -> String {
    let Ok(minor) = u64::try_from(amount.minor()) else { return String::new() };
    if amount.currency() != Currency::CNY {
        return String::new();
    }
    let (yuan, jiao, fen) = (minor / 100, minor / 10 % 10, minor % 10);
    if minor == 0 {
        return "零元整".to_owned();
    }
    let mut text = whole(yuan);
    if yuan > 0 {
        text.push('元');
    }
    if jiao == 0 && fen == 0 {
        text.push('整');
        return text;
    }
    if jiao > 0 {
        text += digit(jiao);
        text.push('角');
    } else if yuan > 0 {
        text.push('零');
    }
    if fen > 0 {
        text += digit(fen);
        text.push('分');
    } else {
        text.push('整');
    }
    text
}

fn digit(digit: u64) -> &'static str {
    usize::try_from(digit % 10).map_or("", |at| DIGITS[at])
}

/// Groups of four digits, each with its word; one 零 stands for every run of zeros within.
fn whole(yuan: u64) -> String {
    let mut text = String::new();
    let mut is_gap = false;
    for (group, word) in GROUPS.iter().enumerate().rev() {
        let value = u32::try_from(group).map_or(0, |group| yuan / 10_000_u64.pow(group) % 10_000);
        if value == 0 {
            is_gap = is_gap || !text.is_empty();
            continue;
        }
        for (place, unit) in PLACES.iter().enumerate().rev() {
            let one = u32::try_from(place).map_or(0, |place| value / 10_u64.pow(place) % 10);
            if one == 0 {
                is_gap = is_gap || !text.is_empty();
                continue;
            }
            if is_gap {
                text.push('零');
            }
            is_gap = false;
            text += digit(one);
            text += unit;
        }
        // Zeros at a group's end are said only where something follows.
        text += word;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_on_paper() {
        for (minor, text) in [
            (0, "零元整"),
            (1, "壹分"),
            (10, "壹角整"),
            (105, "壹元零伍分"),
            (5000, "伍拾元整"),
            (105_008, "壹仟零伍拾元零捌分"),
            (100_010_000, "壹佰万零壹佰元整"),
            (100_400_023, "壹佰万零肆仟元贰角叁分"),
            (123_456_789_012, "壹拾贰亿叁仟肆佰伍拾陆万柒仟捌佰玖拾元壹角贰分"),
            (1_000_000_000_000, "壹佰亿元整"),
            (-1, ""),
        ] {
            assert_eq!(of(Money::new(minor, Currency::CNY)), text, "{minor}");
        }
    }
}
