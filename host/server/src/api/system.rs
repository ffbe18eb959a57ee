//! What the configuration has put in place: drivers and lines.

use super::values::{self, DeviceValue};
use crate::app::App;
use axum::Json;
use axum::extract::State;
use polymeter_domain::{CardPurpose, Quantity};
use polymeter_runtime as runtime;
use polymeter_runtime::Proof;
use polymeter_transport::{Endpoint, Line as LineHandle};
use serde::Serialize;
use utoipa::ToSchema;

/// A loaded driver, as it describes itself and as its component was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Driver {
    /// Its name in the configuration.
    pub name: String,
    pub vendor: String,
    pub title: String,
    pub version: String,
    pub models: Vec<String>,
    /// How a sale is proved: `none`, `purchase-count`, `credit-register` or `purchase-list`.
    pub proof: &'static str,
    /// What the purse counts: `money`, `energy`, `volume`, or `null`.
    pub purse: Option<&'static str>,
    /// Of `purse`, `supply`, `settings`, `frames`.
    pub abilities: Vec<&'static str>,
    /// Interfaces that the component imports.
    pub imports: Vec<String>,
    pub parameters: Vec<Parameter>,
    /// Which maintenance cards it makes, of `setting`, `check`, `clear`, `reset`, `price`, `area`, `test`
    /// and `key-change`; `null`: it does not say.
    pub makes_cards: Option<Vec<&'static str>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Parameter {
    pub name: String,
    /// `integer`, `number`, `string` or `boolean`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title_en: String,
    pub title_zh: String,
    /// `CNY` stands for minor units.
    pub unit: Option<&'static str>,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    /// The values there are; empty: all of its type and range.
    #[serde(rename = "enum")]
    pub choices: Vec<DeviceValue>,
    pub default: Option<DeviceValue>,
    /// Written into the device; `false`: it only steers the driver.
    pub writable: bool,
    /// The maintenance cards that carry it there; empty: the driver does not say.
    pub cards: Vec<&'static str>,
}

fn purposes(of: &[CardPurpose]) -> Vec<&'static str> {
    of.iter().map(|purpose| purpose.name()).collect()
}

impl From<&runtime::Driver> for Driver {
    fn from(driver: &runtime::Driver) -> Self {
        let described = driver.description();
        let found = driver.abilities();
        let abilities = [
            (found.purse, "purse"),
            (found.supply, "supply"),
            (found.settings, "settings"),
            (found.frames, "frames"),
            (found.bus, "bus"),
        ];
        Driver {
            name: driver.name().to_owned(),
            vendor: driver.vendor().to_string(),
            title: described.name.clone(),
            version: described.version.clone(),
            models: described.models.clone(),
            proof: match described.proof {
                Proof::None => "none",
                Proof::PurchaseCount => "purchase-count",
                Proof::CreditRegister => "credit-register",
                Proof::PurchaseList => "purchase-list",
            },
            purse: described.purse.map(|quantity| match quantity {
                Quantity::Money => "money",
                Quantity::Energy => "energy",
                Quantity::Volume => "volume",
            }),
            abilities: abilities.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect(),
            imports: driver.imports().to_vec(),
            parameters: driver.parameters().iter().map(Parameter::from).collect(),
            makes_cards: driver
                .manifest()
                .and_then(|manifest| manifest.makes.as_deref())
                .map(purposes),
        }
    }
}

impl From<&polymeter_package::Parameter> for Parameter {
    fn from(parameter: &polymeter_package::Parameter) -> Self {
        Parameter {
            name: parameter.name.clone(),
            kind: parameter.kind.name(),
            title_en: parameter.title_en.clone(),
            title_zh: parameter.title_zh.clone(),
            unit: values::symbol(parameter.unit),
            minimum: parameter.minimum,
            maximum: parameter.maximum,
            choices: parameter.choices.iter().map(values::value).collect(),
            default: parameter.default.as_ref().map(values::value),
            writable: parameter.writable,
            cards: purposes(&parameter.cards),
        }
    }
}

/// A line and what has passed over it since the start.
#[derive(Debug, Serialize, ToSchema)]
pub struct Line {
    pub name: String,
    /// A device file or host:port.
    pub endpoint: String,
    pub frames_sent: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Came when nobody was waiting for it, and was thrown away.
    pub bytes_late: u64,
    pub reconnects: u64,
}

impl From<&LineHandle> for Line {
    fn from(line: &LineHandle) -> Self {
        let settings = line.settings();
        let counters = line.counters();
        Line {
            name: settings.name.clone(),
            endpoint: match &settings.endpoint {
                Endpoint::Serial { path, baud, .. } => format!("{} {baud} Bd", path.display()),
                Endpoint::Tcp { address } => address.clone(),
                Endpoint::Enveloped { address, envelope } => {
                    format!("{address} {}", envelope.name)
                }
            },
            frames_sent: counters.frames_sent,
            bytes_sent: counters.bytes_sent,
            bytes_received: counters.bytes_received,
            bytes_late: counters.bytes_late,
            reconnects: counters.reconnects,
        }
    }
}

/// The configured lines.
#[utoipa::path(get, path = "/api/v1/lines", tag = "system", responses(
    (status = 200, description = "All of them", body = [Line]),
))]
pub async fn lines(State(app): State<App>) -> Json<Vec<Line>> {
    Json(app.service.lines().iter().map(Line::from).collect())
}
