//! `token rollover`: a site's meters to a later base date, from a terminal.

use super::{ACTOR, Failure, open};
use polymeter_domain::TokenRolloverId;
use polymeter_service::{NewRollover, Rollover, RolloverPreview, TokenState};
use std::path::Path;

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Asked {
    /// Only meters that count from this year; left out: from any before the new one.
    #[arg(long, value_name = "YEAR")]
    from_base: Option<i64>,
    /// The new base date: 2014 or 2035.
    #[arg(long, value_name = "YEAR")]
    to_base: i64,
    /// Of the new keys; left out: each meter keeps its own.
    #[arg(long, value_name = "NUMBER")]
    key_revision: Option<i64>,
    /// For the audit trail.
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Only say which meters it concerns, and what is in the way.
    #[arg(long)]
    dry_run: bool,
    /// The campaign's id; repeating a command with the same id makes no second token.
    #[arg(long, value_name = "UUID")]
    id: Option<TokenRolloverId>,
}

pub async fn run(config: &Path, asked: Asked) -> Result<(), Failure> {
    let app = open(config).await?;
    let Asked { from_base, to_base, key_revision, reason, dry_run, id } = asked;
    // What is only looked at needs no reason, and keeps none.
    let reason = reason.unwrap_or_else(|| "dry run".to_owned());
    let new = NewRollover { from_base, to_base, key_revision, reason };
    if dry_run {
        print_preview(&app.service.preview_rollover(new).await?);
        return Ok(());
    }
    let id = id.unwrap_or_else(|| TokenRolloverId::new(uuid::Uuid::now_v7()));
    // Printed first: whatever happens next, this id names the campaign.
    println!("token rollover {id}: to base date {to_base}");
    let made = app.service.put_rollover(id, new, &ACTOR).await?;
    for order in &made.orders {
        let meter = app.service.meter(order.token.meter_id).await?.serial_number;
        match (&order.token.digits, &order.obstacle) {
            (Some(digits), _) => {
                for token in digits.grouped() {
                    println!("meter {meter}: token: {token}");
                }
            }
            (None, Some(why)) => println!("meter {meter}: not made: {why}"),
            (None, None) => println!("meter {meter}: {}", order.token.state.name()),
        }
    }
    ended(&made)
}

fn print_preview(preview: &RolloverPreview) {
    for meter in &preview.meters {
        let (serial, base) = (&meter.serial_number, meter.base);
        match &meter.obstacle {
            None => println!("meter {serial}: from {base}"),
            Some(why) => println!("meter {serial}: from {base}, left out: {why}"),
        }
    }
    let able = preview.meters.iter().filter(|it| it.obstacle.is_none()).count();
    println!("{able} of {} meters can be moved", preview.meters.len());
    if preview.left > 0 {
        println!("{} more are for another campaign", preview.left);
    }
}

fn ended(made: &Rollover) -> Result<(), Failure> {
    let (waiting, issued) = (made.count(TokenState::Waiting), made.count(TokenState::Issued));
    println!("{issued} of {} meters have their digits", made.orders.len());
    if waiting > 0 {
        println!("it waits for a second person");
    }
    match made.orders.iter().find_map(|it| it.obstacle.as_deref()) {
        None => Ok(()),
        Some(why) => Err(Failure::Wrong(format!("not all could be made: {why}"))),
    }
}
