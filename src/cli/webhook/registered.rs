//! What is registered in an environment: the endpoint of a name with its steps and their images.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::fault::Fault;
use crate::system::dataverse::Dataverse;

/// An endpoint as it is registered; its secret cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) id: Uuid,
    pub(super) url: String,
    /// Holds the digest of what callers show.
    pub(super) description: String,
}

/// A step as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) filter: Option<String>,
    pub(super) columns: String,
    pub(super) enabled: bool,
    pub(super) image: Option<Image>,
}

/// An image as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) id: Uuid,
    pub(super) alias: String,
    pub(super) columns: String,
}

/// Everything of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Registered {
    pub(super) endpoint: Option<Endpoint>,
    pub(super) steps: Vec<Step>,
}

/// A step as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shown {
    name: String,
    columns: String,
    image: String,
    enabled: bool,
}

impl Registered {
    /// Reads what is there.
    pub(super) async fn read(environment: &Dataverse, name: &str) -> Result<Self, Fault> {
        let query = format!(
            "serviceendpoints?$select=name,url,description&$filter=name eq '{name}' and contract eq 8"
        );
        let endpoints = environment.rows(&query).await?;
        let Some(endpoint) = endpoints.first().and_then(endpoint) else {
            return Ok(Self::default());
        };
        let id = endpoint.id;
        let query = format!(
            "sdkmessageprocessingsteps?$select=name,filteringattributes,statecode,\
             _sdkmessagefilterid_value&$filter=_eventhandler_value eq {id}"
        );
        let mut steps = Vec::new();
        for row in environment.rows(&query).await? {
            let Some(mut step) = step(&row) else { continue };
            let query = format!(
                "sdkmessageprocessingstepimages?$select=entityalias,attributes&$filter=\
                 _sdkmessageprocessingstepid_value eq {}",
                step.id
            );
            step.image = environment.rows(&query).await?.first().and_then(image);
            steps.push(step);
        }
        steps.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { endpoint: Some(endpoint), steps })
    }

    /// Removes all of it: steps with their images, then the endpoint.
    pub(super) async fn remove(&self, environment: &Dataverse) -> Result<(), Fault> {
        for step in &self.steps {
            environment.discard("sdkmessageprocessingsteps", step.id).await?;
        }
        match &self.endpoint {
            Some(endpoint) => environment.discard("serviceendpoints", endpoint.id).await,
            None => Ok(()),
        }
    }
}

impl Step {
    pub(super) fn shown(&self) -> Shown {
        Shown {
            name: self.name.clone(),
            columns: self.columns.clone(),
            image: self.image.as_ref().map(|image| image.columns.clone()).unwrap_or_default(),
            enabled: self.enabled,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.columns.is_empty() {
            write!(f, ", when one of {} is sent", self.columns)?;
        }
        if !self.image.is_empty() {
            write!(f, ", with {}", self.image)?;
        }
        if self.enabled { Ok(()) } else { f.write_str(" (disabled)") }
    }
}

fn text(row: &Map<String, Value>, name: &str) -> String {
    row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn id(row: &Map<String, Value>, name: &str) -> Option<Uuid> {
    row.get(name)?.as_str()?.parse().ok()
}

fn endpoint(row: &Map<String, Value>) -> Option<Endpoint> {
    let (url, description) = (text(row, "url"), text(row, "description"));
    Some(Endpoint { id: id(row, "serviceendpointid")?, url, description })
}

fn step(row: &Map<String, Value>) -> Option<Step> {
    Some(Step {
        id: id(row, "sdkmessageprocessingstepid")?,
        name: text(row, "name"),
        filter: row.get("_sdkmessagefilterid_value").and_then(Value::as_str).map(str::to_owned),
        columns: text(row, "filteringattributes"),
        enabled: row.get("statecode").and_then(Value::as_i64).unwrap_or_default() == 0,
        image: None,
    })
}

fn image(row: &Map<String, Value>) -> Option<Image> {
    let (alias, columns) = (text(row, "entityalias"), text(row, "attributes"));
    Some(Image { id: id(row, "sdkmessageprocessingstepimageid")?, alias, columns })
}
