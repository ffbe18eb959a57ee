//! `explain SALE_ID`: the arithmetic of a sale's price, made again. The program that serves is asked;
//! where none does, the database is opened here.

use super::{Failure, open};
use crate::api::explanation::Explanation;
use crate::config::Config;
use crate::control::{Client, ControlError};
use polymeter_domain::SaleId;
use std::path::Path;

pub async fn run(config: &Path, id: SaleId) -> Result<(), Failure> {
    let control = Config::control_of(config)?;
    let route = format!("/control/sales/{id}/explanation");
    let explained: Explanation = match Client::of(&control).get(&route).await {
        Ok(explained) => explained,
        Err(ControlError::NobodyServes(_)) => {
            let app = open(config).await?;
            Explanation::from(&app.service.explain_sale(id).await?)
        }
        Err(error) => return Err(error.into()),
    };
    println!("sale {}", explained.sale_id);
    for line in &explained.lines {
        println!("  {} {}: {}", line.label, line.chinese, line.text);
    }
    println!("  Prices of version {} 电价:", explained.version);
    for line in explained.definition.lines() {
        println!("    {line}");
    }
    match explained.difference {
        None => Ok(()),
        Some(why) => Err(Failure::Wrong(format!("the sale's price does not come out: {why}"))),
    }
}
