//! Meters that hold kWh, through the real program: sold to in whole steps of the meter, taken back, swapped
//! kWh for kWh although the price has changed, and paid out for what was paid.

use anyhow::{Context, Result, ensure};
use e2e::{Api, Ended, Meter, Program, Site};
use meter_sim::{
    BusKind, BusPlan, Dlt645Plan, Endpoint, Meters, Plan, PurseKind, Simulator, State,
};
use polymeter_service::ACCOUNT_CRASH_POINTS;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

const fn meter(serial_number: &'static str, address: &'static str) -> Meter {
    let (vendor, line, customer) = ("DLT645E", "bus-energy", "200001");
    Meter { serial_number, vendor, line, address, customer }
}

const OLD: Meter = meter("E-1", "000000000021");
const NEW: Meter = meter("E-2", "000000000022");
/// More than a delivery takes to begin again after a start.
const PATIENCE: Duration = Duration::from_secs(60);

struct Energy {
    site: Site,
    simulator: Simulator,
}

impl Energy {
    /// A site with a second line, on which two meters hold energy: the first has an account.
    async fn new() -> Result<(Energy, Program, String, String)> {
        let each = [OLD, NEW]
            .map(|it| Dlt645Plan { purse: PurseKind::Energy, ..Dlt645Plan::new(it.address) });
        let meters = Meters::Dlt645(each.to_vec());
        let buses = vec![BusPlan::new(OLD.line, BusKind::Tcp, meters)];
        let simulator = Simulator::start(Plan { buses })?;
        let Endpoint::Tcp(address) = simulator.endpoint(OLD.line)? else {
            anyhow::bail!("the line is TCP")
        };
        let more = format!(
            "[[line]]\nname = \"{}\"\ntcp = \"{address}\"\ninter-frame-ms = 5\n\
             reply-timeout-ms = 400\n",
            OLD.line
        );
        let driver = ("dlt645-2007-energy", OLD.vendor, r#"["line", "vault", "log"]"#);
        let (site, program) = Site::with_drivers_and(&[driver], &more).await?;
        let api = site.api(&program);
        let old = site.add_meter(&api, &OLD).await?;
        let new = site.enter_meter(&api, &NEW).await?;
        Ok((Energy { site, simulator }, program, old, new))
    }

    fn truth(&self, meter: &Meter) -> Result<State> {
        Ok(self.simulator.state(meter.address)?)
    }

    /// The load uses so many tenths of a kWh.
    fn use_up(&self, meter: &Meter, tenths: u32) -> Result<()> {
        self.simulator.set_load(meter.address, 1_000)?;
        self.simulator.advance(tenths * 360);
        Ok(self.simulator.set_load(meter.address, 0)?)
    }
}

async fn sold(api: &Api, meter_id: &str, paid: &str) -> Result<Value> {
    let id = uuid::Uuid::now_v7().to_string();
    let sale = api.sell(&id, meter_id, paid).await?;
    ensure!(sale.body["state"] == "confirmed", "{sale:?}");
    Ok(sale.body)
}

fn id<'a>(body: &'a Value, name: &str) -> Result<&'a str> {
    body[name].as_str().with_context(|| format!("no {name} in {body}"))
}

fn has(body: &Value, pointer: &str, expected: &Value) -> Result<()> {
    let found = body.pointer(pointer);
    ensure!(found == Some(expected), "{pointer}: {found:?} instead of {expected}: {body}");
    Ok(())
}

fn energy(watt_hours: u64) -> Value {
    json!({ "quantity": "energy", "amount": watt_hours })
}

async fn at_price(api: &Api, meter_id: &str, price: &str) -> Result<()> {
    let meter = api.get(&format!("/api/v1/meters/{meter_id}")).await?;
    let plan = id(&meter["tariff"], "tariff_plan_id")?;
    let version = json!({ "definition": format!("unit kWh\nprice {price}\n") });
    api.post(&format!("/api/v1/tariffs/{plan}/versions"), version).await?;
    Ok(())
}

async fn account(api: &Api, name: &str) -> Result<String> {
    let sums = api.get("/api/v1/ledger/trial-balance").await?;
    ensure!(sums["difference"] == "0.00", "{sums}");
    let lines = sums["lines"].as_array().context("lines")?;
    let line = lines.iter().find(|line| line["account"] == name).context("an account")?;
    Ok(format!("{} {}", line["debits_posted"], line["credits_posted"]).replace('"', ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn kwh_are_sold_taken_back_and_paid_out_at_what_was_paid() -> Result<()> {
    let (field, program, old, _) = Energy::new().await?;
    let api = field.site.api(&program);
    let meter = api.get(&format!("/api/v1/meters/{old}")).await?;
    has(&meter, "/mode", &json!("energy-in-meter"))?;

    // 50.00 at 0.52 are 96.153 kWh, and the meter counts in 0.01.
    let sale = sold(&api, &old, "50.00").await?;
    has(&sale, "/energy_wh", &json!(96_150))?;
    ensure!(field.truth(&OLD)?.money_fen == 9_615, "{:?}", field.truth(&OLD)?);
    let sale_id = id(&sale, "sale_id")?;
    let why = api.get(&format!("/api/v1/sales/{sale_id}/explanation")).await?;
    has(&why, "/rerun_is_same", &json!(true))?;
    has(&why, "/metered", &json!(96_150))?;
    let ended = Ended::of(&field.site.config, &["explain", sale_id]).await?;
    e2e::check(&["explain"], &ended, 0, &["96.150 kWh, rounded down"])?;
    // Less than a step is not sold.
    let fresh = uuid::Uuid::now_v7().to_string();
    let nothing = api.sell(&fresh, &old, "0.00").await?;
    ensure!(nothing.status.is_client_error(), "{nothing:?}");

    // Twice the price, and 100 kWh more; then the last sale goes back whole.
    at_price(&api, &old, "1.04").await?;
    let dear = sold(&api, &old, "104.00").await?;
    has(&dear, "/energy_wh", &json!(100_000))?;
    let amount = json!({ "kind": "refund", "meter_id": old, "amount": "1.00", "reason": "moves" });
    let refused = api.keyed("/api/v1/counter-acts", "part", amount).await?;
    ensure!(refused.status == StatusCode::CONFLICT, "{refused:?}");
    let back = json!({ "kind": "refund", "sale_id": dear["sale_id"], "reason": "too much" });
    let back = api.keyed("/api/v1/counter-acts", "back", back).await?;
    has(&back.body, "/state", &json!("confirmed"))?;
    ensure!(field.truth(&OLD)?.money_fen == 9_615, "{:?}", field.truth(&OLD)?);
    ensure!(account(&api, "cash").await? == "154.00 104.00", "{}", account(&api, "cash").await?);

    // 10 kWh more at 1.04; 46.10 used. What is left: those 10, and 50 of the first 96.15.
    sold(&api, &old, "10.40").await?;
    field.use_up(&OLD, 461)?;
    let left = field.truth(&OLD)?.money_fen;
    ensure!(left == 6_005, "{left}");
    // 10.40, and 50.00 x 50.05 / 96.15 = 26.0271, rounded up.
    let customer = api.get(&format!("/api/v1/meters/{old}")).await?;
    let customer = id(&customer["customer"], "customer_id")?.to_owned();
    let path = format!("/api/v1/customers/{customer}/closing");
    let closing = json!({ "reason": "moves away" });
    let dry = api.keyed(&format!("{path}?dry-run=true"), "c-0", closing.clone()).await?;
    has(&dry.body, "/refunded", &json!("36.43"))?;
    let done = api.keyed(&path, "c-1", closing).await?;
    has(&done.body, "/state", &json!("settled"))?;
    has(&done.body, "/refunded", &json!("36.43"))?;
    let truth = field.truth(&OLD)?;
    ensure!((truth.money_fen, truth.customer) == (0, None), "{:?}", field.truth(&OLD)?);
    ensure!(account(&api, "cash").await? == "164.40 140.43", "{}", account(&api, "cash").await?);
    program.kill().await
}

/// A customer keeps the kWh, and the books the money that was paid for them; whatever step it dies at.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_carries_kwh_whatever_they_cost_now_and_whatever_step_it_dies_at() -> Result<()> {
    let (field, mut program, mut old, mut new) = Energy::new().await?;
    let (mut from, mut to) = (OLD, NEW);
    sold(&field.site.api(&program), &old, "50.00").await?;
    // What is left, and what was paid for it: a part of what it was before, rounded up.
    let (mut holds, mut worth) = (9_615_u64, 5_000_u64);
    at_price(&field.site.api(&program), &new, "1.04").await?;
    for point in ACCOUNT_CRASH_POINTS.iter().filter(|point| point.contains("-swap-")) {
        program.kill().await?;
        field.use_up(&from, 10)?;
        worth = (worth * (holds - 100)).div_ceil(holds);
        holds -= 100;
        program = Program::start(&field.site.config, Some(point)).await?;
        let new_swap =
            json!({ "old_meter_id": old, "new_meter_id": new, "reason": "display broken" });
        let died = field.site.api(&program).keyed("/api/v1/swaps", point, new_swap.clone()).await;
        ensure!(died.is_err(), "the program was to die at {point} and answered {died:?}");
        program.ended().await.context("it lives")?;
        program.kill().await?;
        program = Program::start(&field.site.config, None).await?;
        let api = field.site.api(&program);
        let swap = ended(&api, point, &new_swap).await.with_context(|| (*point).to_owned())?;
        has(&swap, "/left", &energy(holds * 10))?;
        has(&swap, "/remaining", &json!(format!("{}.{:02}", worth / 100, worth % 100)))?;
        has(&swap, "/is_old_cleared", &json!(true))?;
        let at = (field.truth(&from)?.money_fen, field.truth(&to)?.money_fen);
        ensure!(at == (0, i64::try_from(holds)?), "killed at {point}: {at:?}");
        let sale = id(&swap, "sale_id")?;
        let why = api.get(&format!("/api/v1/sales/{sale}/explanation")).await?;
        has(&why, "/rerun_is_same", &json!(true))?;
        ensure!(why.to_string().contains("as it was in the old meter"), "{why}");
        let page = api.text(&format!("/swaps/{}", id(&swap, "swap_id")?)).await?;
        ensure!(page.contains(" kWh, paid with "), "{page}");
        (old, new) = (new, old);
        (from, to) = (to, from);
    }
    program.kill().await
}

/// Asks again until nothing of it is open.
async fn ended(api: &Api, key: &str, new: &Value) -> Result<Value> {
    let settled = async {
        loop {
            let answer = api.keyed("/api/v1/swaps", key, new.clone()).await?;
            if answer.body["is_done"] == true && answer.body["is_old_cleared"] == true {
                return anyhow::Ok(answer.body);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.context("it never ended")?
}
