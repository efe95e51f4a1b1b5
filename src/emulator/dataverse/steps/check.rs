//! What the service refuses when steps, images and endpoints are written: an asynchronous step before
//! the end of the operation, filtering attributes of another message than Update, images of rows that
//! are not there, ports other than 80 and 443 (for other machines than this one).

use reqwest::Url;

use super::registered::{integer, text};
use super::{ENDPOINTS, IMAGES, STEPS};
use crate::emulator::dataverse::model::{Cell, Environment, Record};
use crate::emulator::dataverse::refusal::Refusal;

/// Refuses a row that the service would refuse.
pub fn check(env: &Environment, table: &str, record: &Record) -> Result<(), Refusal> {
    match table {
        STEPS => step(env, record),
        IMAGES => image(env, record),
        ENDPOINTS => endpoint(record),
        _ => Ok(()),
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "0x80040203", message)
}

fn message(env: &Environment, step: &Record) -> String {
    let Some(Cell::Lookup { id, .. }) = step.cells.get("sdkmessageid") else {
        return String::new();
    };
    let row = env.tables.get("sdkmessage").and_then(|table| table.rows.get(id));
    row.map(|row| text(row, "name")).unwrap_or_default()
}

fn step(env: &Environment, step: &Record) -> Result<(), Refusal> {
    let (mode, stage) = (integer(step, "mode").unwrap_or(0), integer(step, "stage").unwrap_or(40));
    let message = message(env, step);
    if message.is_empty() {
        return Err(invalid("Required field 'sdkmessageid' is missing or names no message."));
    }
    if ![10, 20, 40].contains(&stage) {
        return Err(invalid("Invalid plug-in registration stage."));
    }
    if mode == 1 && stage != 40 {
        return Err(invalid(
            "Asynchronous steps can only be registered in the post-operation stage.",
        ));
    }
    if !text(step, "filteringattributes").is_empty() && message != "Update" {
        return Err(invalid("Filtering attributes are only supported for the Update message."));
    }
    Ok(())
}

fn image(env: &Environment, image: &Record) -> Result<(), Refusal> {
    let Some(Cell::Lookup { id, .. }) = image.cells.get("sdkmessageprocessingstepid") else {
        return Err(invalid("Required field 'sdkmessageprocessingstepid' is missing."));
    };
    let step = env.tables.get(STEPS).and_then(|table| table.rows.get(id));
    let message = step.map(|step| message(env, step)).unwrap_or_default();
    let kind = integer(image, "imagetype").unwrap_or(0);
    if message == "Create" && kind != 1 {
        return Err(invalid("PreImage is not supported for the Create message."));
    }
    if message == "Delete" && kind != 0 {
        return Err(invalid("PostImage is not supported for the Delete message."));
    }
    Ok(())
}

fn endpoint(endpoint: &Record) -> Result<(), Refusal> {
    if integer(endpoint, "contract") != Some(8) {
        return Ok(());
    }
    let url = Url::parse(&text(endpoint, "url"))
        .map_err(|_| invalid("The endpoint URL of a webhook must be absolute."))?;
    let here = url.host_str().is_some_and(|host| ["127.0.0.1", "localhost"].contains(&host));
    let port = url.port_or_known_default();
    if !here && !matches!(port, Some(80 | 443)) {
        return Err(invalid("A webhook may only use the ports 80 and 443."));
    }
    Ok(())
}
