//! Digits by which a keypad meter tests itself or shows something, on a page.
//!
//! Not here: tokens that are ordered or sold, which are kept (tokens).

use super::meters::id;
use super::{Head, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Path, State};

#[derive(Template)]
#[template(path = "test_tokens.html")]
struct TestsPage {
    head: Head,
    meter_id: String,
    serial_number: String,
    tests: Vec<TestRow>,
}

#[derive(Debug)]
struct TestRow {
    word: &'static str,
    chinese: &'static str,
    digits: Vec<String>,
}

/// What IEC 62055-41 (6.3.8) has numbers for; 0 is all of them.
const TESTS: [(u64, &str, &str); 17] = [
    (0, "All tests, one after the other", "全部测试"),
    (1, "Test the load switch", "负荷开关测试"),
    (2, "Test the display", "显示测试"),
    (3, "Show the cumulative kWh", "累计电量"),
    (4, "Show key revision and key type", "密钥版本与类型"),
    (5, "Show the tariff index", "费率索引"),
    (6, "Test the keypad", "键盘测试"),
    (7, "Show the power limit", "功率上限"),
    (8, "Show whether it was tampered with", "窃电状态"),
    (9, "Show the load now", "当前功率"),
    (10, "Show the software version", "软件版本"),
    (11, "Show the limit of phase unbalance", "不平衡上限"),
    (14, "Show the cipher", "加密算法"),
    (15, "Show which key change tokens came", "已输入的换钥码"),
    (16, "Show the supply group", "供电组代码"),
    (17, "Show when the key expires", "密钥有效期"),
    (18, "Show its number", "表号"),
];

/// Digits that test or show something: typed as often as one likes, and kept nowhere.
pub async fn list(State(app): State<App>, caller: Caller, Path(meter): Path<String>) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let mut tests = Vec::new();
    for (number, word, chinese) in TESTS {
        let digits = app.service.test_token(meter.meter_id, number).await?.grouped();
        tests.push(TestRow { word, chinese, digits });
    }
    Ok(render(&TestsPage {
        head: Head::new(&caller, "meters"),
        meter_id: meter.meter_id.to_string(),
        serial_number: meter.serial_number,
        tests,
    }))
}
