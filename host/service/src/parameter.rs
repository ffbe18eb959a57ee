//! A meter's parameters, as its driver's `driver.toml` declares them: checked by that file, kept with
//! the meter, told to the driver in every call.
//!
//! Invariant: what is kept is allowed by the driver that was there when it was kept; each value that
//! is not has a sentence of its own. Not here: parameters that live in the device (setting.rs).

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::error::{BadParameter, Result, ServiceError};
use crate::meter::{self, Meter};
use crate::stored;
use crate::token;
use polymeter_domain::{BillingMode, MeterId, Value, VendorCode};
use polymeter_runtime::{Driver, Parameter};
use std::collections::BTreeSet;

/// Where a parameter lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// With the meter in our database; it steers the driver.
    Here,
    /// In the device, where it can be written.
    Device,
}

impl Home {
    pub fn of(parameter: &Parameter) -> Home {
        if parameter.writable { Home::Device } else { Home::Here }
    }
}

impl Service {
    /// What the current driver of a vendor declares of one home, in its order; nothing where it
    /// declares none or the vendor has no driver.
    pub fn parameters_of(&self, vendor: &VendorCode, home: Home) -> Vec<Parameter> {
        let Ok(driver) = self.driver(vendor) else { return Vec::new() };
        // Without the ability there is nobody to write them.
        let able = driver.abilities();
        if home == Home::Device && !able.settings && !able.cards {
            return Vec::new();
        }
        driver.parameters().iter().filter(|it| Home::of(it) == home).cloned().collect()
    }

    /// In the place of all that the meter had. Takes effect with the next call.
    pub async fn keep_parameters(
        &self,
        id: MeterId,
        parameters: Vec<(String, Value)>,
        actor: &Actor,
    ) -> Result<Meter> {
        let record = meter::record(self.reader(), id).await?;
        if record.mode == BillingMode::Token && token::has_any(self.reader(), id).await? {
            let why = "its tokens were made by these; change them by a key change".to_owned();
            let what = format!("meter {}", record.serial_number);
            return Err(ServiceError::Blocked { what, why });
        }
        let driver = self.driver(&record.vendor)?;
        let parameters = checked(&driver, Home::Here, &parameters)?;
        let (at, actor) = (self.clock().at(), actor.clone());
        // Names alone: a password may be among the values.
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        let detail = names.join(", ");
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query("update meter set parameters = $1 where meter_id = $2")
                        .bind(stored::named_values_text(&parameters))
                        .bind(id.to_string())
                        .execute(tx.connection())
                        .await?;
                    let act = "meter-parameters-kept";
                    let object = format!("meter/{id}");
                    audit::record(
                        tx.connection(),
                        Act { at, actor: &actor, act, object, detail: &detail },
                    )
                    .await
                })
            })
            .await?;
        self.meter(id).await
    }
}

/// The values as the driver gets them. A name that it does not know is refused: a mistyped `pasword`
/// would otherwise silently be the default one.
pub(crate) fn checked(
    driver: &Driver,
    home: Home,
    given: &[(String, Value)],
) -> Result<Vec<(String, Value)>> {
    let declared = driver.parameters();
    let (mut good, mut bad, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (name, value) in given {
        let taken = match declared.iter().find(|known| known.name == *name) {
            _ if !seen.insert(name) => Err("is given twice".to_owned()),
            None => Err(unknown(driver, home)),
            Some(known) if Home::of(known) != home => Err(elsewhere(home)),
            Some(known) => known.take(value),
        };
        match taken {
            Ok(value) => good.push((name.clone(), value)),
            Err(why) => bad.push(BadParameter { name: name.clone(), why }),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(ServiceError::Parameters(bad)) }
}

fn unknown(driver: &Driver, home: Home) -> String {
    let known = driver.parameters().iter().filter(|it| Home::of(it) == home);
    let names: Vec<&str> = known.map(|it| it.name.as_str()).collect();
    if names.is_empty() {
        return format!("is not known: driver {} takes no such parameters", driver.name());
    }
    format!("is not known: driver {} takes {}", driver.name(), names.join(", "))
}

fn elsewhere(home: Home) -> String {
    match home {
        Home::Here => "lives in the device: set it there, once the meter is added".to_owned(),
        Home::Device => "does not live in the device: keep it with the meter".to_owned(),
    }
}
