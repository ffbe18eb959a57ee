//! Domain values as a page shows them: words, colours, digits. Nothing is decided here.

use crate::app::App;
use crate::arithmetic;
use crate::states;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use polymeter_domain::{BillingMode, Channel, Credit, Quality, Quantity, Sale, SupplyState, Value};
use polymeter_runtime::{Explanation, RecordingEnd};
use polymeter_service::{
    AccountState, ClockSetting, Customer, Hold, HoldKind, Meter, Reading, SaleView, SettingEnd,
    UnixMs,
};

/// A word with a colour and a sign, so that colour is never the only bearer of meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Badge {
    /// `good`, `bad`, `warn`, `busy` or `calm`.
    pub tone: &'static str,
    pub word: &'static str,
    pub chinese: &'static str,
}

pub const fn badge(tone: &'static str, word: &'static str, chinese: &'static str) -> Badge {
    Badge { tone, word, chinese }
}

/// A word with its trade term, and the name by which it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    pub name: &'static str,
    pub word: &'static str,
    pub chinese: &'static str,
}

pub fn channel(channel: Channel) -> Named {
    let (word, chinese) = match channel {
        Channel::Cash => ("Cash", "现金"),
        Channel::Bank => ("Bank transfer", "银行转账"),
        Channel::Card => ("Card", "刷卡"),
        Channel::Alipay => ("Alipay", "支付宝"),
        Channel::Wechat => ("WeChat", "微信"),
        Channel::Unionpay => ("UnionPay", "银联"),
    };
    Named { name: channel.name(), word, chinese }
}

/// What a receipt is for.
pub fn receipt_kind(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "sale" => ("Sale", "售电"),
        "refund" => ("Refund", "退电"),
        "reversal" => ("Reversal", "冲正"),
        "deposit" => ("Deposit", "押金"),
        "deposit-refund" => ("Return of a deposit", "退押金"),
        "arrears-payment" => ("Payment of arrears", "缴欠费"),
        "bill-payment" => ("Bill paid", "账单缴费"),
        "purse-payment" => ("Paid into the purse", "充值"),
        "purse-refund" => ("Given back from the purse", "退费"),
        _ => ("Payment", "收款"),
    }
}

pub fn supply(state: SupplyState) -> Badge {
    match state {
        SupplyState::Connected => badge("good", "Connected", "合闸"),
        SupplyState::Disconnected => badge("bad", "Disconnected", "跳闸"),
        SupplyState::ReadyForReconnection => badge("warn", "Ready to reconnect", "合闸允许"),
        SupplyState::Unknown => badge("calm", "Not known yet", "未知"),
    }
}

/// "Suspended since 2026-03-02 18:00:00: moved away."
pub fn hold(hold: &Hold, app: &App) -> String {
    let what = match hold.kind {
        HoldKind::Suspended => "Suspended 报停",
        HoldKind::Bypassed => "Switch bypassed 旁路",
    };
    sentence(&format!("{what} since {}: {}", time(hold.from, &app.time_zone), hold.reason))
}

pub fn account(state: AccountState) -> Badge {
    match state {
        AccountState::Open => badge("good", "Account open", "已开户"),
        AccountState::Opening => badge("warn", "Opening not finished", "开户中"),
        AccountState::None => badge("calm", "No account", "未开户"),
    }
}

pub fn conversation_end(end: RecordingEnd) -> Badge {
    match end {
        RecordingEnd::Answered => badge("good", "Answered", "成功"),
        RecordingEnd::Refused => badge("bad", "Refused", "被拒绝"),
        RecordingEnd::NotSent => badge("calm", "Nothing sent", "未发送"),
        RecordingEnd::Unknown => badge("warn", "Unknown", "未知"),
        RecordingEnd::Failed => badge("bad", "No answer", "失败"),
    }
}

pub fn setting(end: SettingEnd) -> Badge {
    match end {
        SettingEnd::Confirmed => badge("good", "Written and read back", "已写入并核对"),
        SettingEnd::Refused => badge("bad", "Refused", "被拒绝"),
        SettingEnd::NotSent => badge("calm", "Nothing sent", "未发送"),
        SettingEnd::Unknown => badge("warn", "Unknown", "未知"),
    }
}

/// What a driver says of a frame, as names and values.
pub fn explained(explanation: &Explanation) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    if !explanation.address.is_empty() {
        fields.push(("Address".to_owned(), explanation.address.clone()));
    }
    for measured in &explanation.measurements {
        let code = measured.register.as_str();
        let name = crate::registers::name(code).map_or(code, |(name, _)| name);
        let value = match measured.quality {
            Quality::Measured | Quality::Estimated => text(&measured.value),
            Quality::Invalid | Quality::NotMeasured => "–".to_owned(),
        };
        let value = format!("{value} {}", measured.unit.symbol());
        fields.push((name.to_owned(), value.trim_end().to_owned()));
    }
    fields.extend(explanation.extras.iter().map(|(name, value)| (name.clone(), text(value))));
    fields
}

pub fn sale(state: &Sale) -> Badge {
    sale_by_name(state.name())
}

/// As stored in a sale's history.
pub fn sale_by_name(name: &str) -> Badge {
    match name {
        "confirmed" => badge("good", "Confirmed", "已到账"),
        "refused" => badge("bad", "Refused", "被拒绝"),
        "unresolved" => badge("warn", "Unresolved", "待核实"),
        "cancelled" => badge("calm", "Cancelled", "已取消"),
        "dispatched" => badge("busy", "Sent to the meter", "已下发"),
        "reserved" => badge("busy", "Reserved", "已预留"),
        _ => badge("calm", "Quoted", "已报价"),
    }
}

/// First letter large, full stop at the end.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    let full_stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{}{}{full_stop}", first.unwrap_or_default(), letters.as_str())
}

/// Site's civil time to the second.
pub fn time(at: UnixMs, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(at.0) {
        Ok(at) => zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => at.0.to_string(),
    }
}

/// "96.153": Wh as kWh, all three decimals.
pub fn kwh(energy_wh: u64) -> String {
    format!("{}.{:03}", energy_wh / 1000, energy_wh % 1000)
}

/// What a purse holds, in words.
pub fn credit(credit: Credit, app: &App) -> String {
    match credit.quantity {
        Quantity::Money => match i64::try_from(credit.amount) {
            Ok(minor) => {
                let money = polymeter_domain::Money::new(minor, app.currency);
                format!("{money} {}", app.currency.code())
            }
            Err(_) => credit.amount.to_string(),
        },
        Quantity::Energy => format!("{} kWh", kwh(credit.amount)),
        Quantity::Volume => format!("{} L", credit.amount),
    }
}

#[derive(Debug)]
pub struct CustomerView {
    pub id: String,
    pub number: String,
    pub name: String,
    pub phone: String,
    pub premises: String,
    pub equipment: String,
    pub is_closed: bool,
}

impl From<&Customer> for CustomerView {
    fn from(customer: &Customer) -> Self {
        CustomerView {
            id: customer.customer_id.to_string(),
            number: customer.number.to_string(),
            name: customer.name.clone(),
            phone: customer.phone.clone(),
            premises: customer.premises.clone(),
            equipment: customer.equipment.clone(),
            is_closed: customer.closed_at.is_some(),
        }
    }
}

#[derive(Debug)]
pub struct MeterView {
    pub id: String,
    pub serial_number: String,
    pub vendor: String,
    pub line: String,
    pub address: String,
    /// Its tariff plan today, with version; and the prices at a glance.
    pub plan: String,
    pub plan_id: String,
    pub prices: String,
    pub currency: String,
    pub customer: Option<CustomerView>,
    pub account: Badge,
    pub is_open: bool,
    pub mode: &'static str,
    pub mode_chinese: &'static str,
    /// Credit is sold into the device.
    pub is_sold_to: bool,
    pub is_from_purse: bool,
    pub keeps_power: bool,
    pub supply: Badge,
    pub supply_at: Option<String>,
}

impl MeterView {
    pub fn new(meter: &Meter, app: &App) -> MeterView {
        let plan = meter.tariff.as_ref();
        MeterView {
            id: meter.meter_id.to_string(),
            serial_number: meter.serial_number.clone(),
            vendor: meter.vendor.to_string(),
            line: meter.line.clone(),
            address: meter.address.to_string(),
            plan: plan.map_or_else(
                || "none today".to_owned(),
                |it| format!("{}, version {}", it.plan_name, it.version.number),
            ),
            plan_id: plan.map(|it| it.plan_id.to_string()).unwrap_or_default(),
            prices: plan.map(|it| arithmetic::prices(&it.version.tariff)).unwrap_or_default(),
            currency: app.currency.code().to_owned(),
            customer: meter.customer.as_ref().map(CustomerView::from),
            account: account(meter.account),
            is_open: meter.account == AccountState::Open,
            mode: meter.mode.name(),
            mode_chinese: meter.mode.chinese(),
            is_sold_to: meter.mode.quantity().is_some(),
            is_from_purse: meter.mode == BillingMode::PlatformPurse,
            keeps_power: meter.keeps_power,
            supply: supply(meter.supply),
            supply_at: meter.supply_at.map(|at| time(at, &app.time_zone)),
        }
    }
}

/// A value in front of people: a time as they write it, all else as in the API.
pub fn text(value: &Value) -> String {
    let text = crate::api::values::text(value);
    if matches!(value, Value::Time(_)) { text.replace('T', " ") } else { text }
}

#[derive(Debug)]
pub struct ReadingView {
    pub at: String,
    pub rows: Vec<ReadingRow>,
    /// Names with commas: what the driver asked for and this meter does not measure.
    pub not_measured: String,
    pub extras: Vec<(String, String)>,
    /// What was wrong: word and Chinese.
    pub states: Vec<(String, &'static str)>,
    /// How far off its clock was; empty where it told none.
    pub drift: String,
}

#[derive(Debug)]
pub struct ReadingRow {
    pub name: String,
    pub chinese: &'static str,
    pub value: String,
    pub unit: &'static str,
    /// Empty for a plain measurement.
    pub quality: &'static str,
}

impl ReadingView {
    pub fn new(reading: &Reading, app: &App) -> ReadingView {
        let (mut rows, mut not_measured) = (Vec::new(), Vec::new());
        for measured in &reading.snapshot.measurements {
            let code = measured.register.as_str();
            let (name, chinese) = crate::registers::name(code).unwrap_or((code, ""));
            let (value, quality) = match measured.quality {
                Quality::Measured => (text(&measured.value), ""),
                Quality::Estimated => (text(&measured.value), "estimated"),
                Quality::Invalid => ("–".to_owned(), "invalid"),
                Quality::NotMeasured => {
                    not_measured.push(name);
                    continue;
                }
            };
            let unit = measured.unit.symbol();
            rows.push(ReadingRow { name: name.to_owned(), chinese, value, unit, quality });
        }
        let extra = |(name, value): &(String, Value)| (name.clone(), text(value));
        ReadingView {
            at: time(reading.at, &app.time_zone),
            rows,
            not_measured: not_measured.join(", "),
            extras: reading.snapshot.extras.iter().map(extra).collect(),
            drift: reading.drift.map(|drift| drift.to_string()).unwrap_or_default(),
            states: reading.states().unwrap_or_default().into_iter().map(states::words).collect(),
        }
    }
}

/// One line of what was done about a meter's clock.
#[derive(Debug)]
pub struct ClockRow {
    pub at: String,
    pub way: &'static str,
    pub state: &'static str,
    /// Empty where it ended well.
    pub detail: String,
}

impl ClockRow {
    pub fn new(it: &ClockSetting, app: &App) -> ClockRow {
        ClockRow {
            at: time(it.created_at, &app.time_zone),
            way: it.way.name(),
            state: it.state.name(),
            detail: it.detail.clone(),
        }
    }
}

/// One line of a list of sales.
#[derive(Debug)]
pub struct SaleRow {
    pub id: String,
    pub at: String,
    pub serial_number: String,
    pub customer: String,
    pub paid: String,
    pub currency: String,
    pub bought: String,
    pub state: Badge,
}

impl SaleRow {
    /// `meter` where the list is of more than one.
    pub fn new(sale: &SaleView, meter: Option<&Meter>, app: &App) -> SaleRow {
        let customer = meter.and_then(|meter| meter.customer.as_ref());
        SaleRow {
            id: sale.sale_id.to_string(),
            at: time(sale.created_at, &app.time_zone),
            serial_number: meter.map(|meter| meter.serial_number.clone()).unwrap_or_default(),
            customer: customer.map(|it| format!("{} {}", it.number, it.name)).unwrap_or_default(),
            paid: sale.paid.to_string(),
            currency: sale.paid.currency().code().to_owned(),
            bought: arithmetic::amount(sale.bought, sale.commodity),
            state: self::sale(&sale.state),
        }
    }
}

/// A name as one part of an address: any printable character may stand in a driver's name.
pub fn segment(name: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let part = |byte: u8| match kept(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_shows_every_watt_hour() {
        for (wh, shown) in
            [(0, "0.000"), (19, "0.019"), (96_153, "96.153"), (1_000_000, "1000.000")]
        {
            assert_eq!(kwh(wh), shown);
        }
    }

    #[test]
    fn details_become_sentences() {
        for (text, shown) in [
            ("the meter did not answer", "The meter did not answer."),
            ("wrong?", "Wrong?"),
            ("", "."),
        ] {
            assert_eq!(sentence(text), shown);
        }
    }
}
