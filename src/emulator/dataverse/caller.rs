//! In whose name a request runs: the application user, or whom `CallerObjectId` or `MSCRMCallerID` names
//! (Dataverse Web API, impersonation).

use uuid::Uuid;

use crate::emulator::dataverse::address;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::model::{Cell, Environment};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::seed;
use crate::emulator::dataverse::session::Caller;

/// The caller of a request. Refuses a user who does not exist.
pub fn of(call: &Call, env: &Environment) -> Result<Caller, Refusal> {
    let own = seed::user();
    let named = if let Some(object) = call.header("callerobjectid") {
        Some((object, by_object(env, object)))
    } else {
        call.header("mscrmcallerid").map(|id| (id, by_id(env, id)))
    };
    match named {
        None => Ok(Caller { user: own, on_behalf: None }),
        Some((_, Some(user))) if user == own => Ok(Caller { user: own, on_behalf: None }),
        Some((_, Some(user))) => Ok(Caller { user, on_behalf: Some(own) }),
        Some((id, None)) => {
            let message = format!("There is no user '{id}' to act on behalf of.");
            Err(Refusal::new(403, "0x8004A110", message))
        }
    }
}

fn by_id(env: &Environment, id: &str) -> Option<Uuid> {
    let id = address::id(id)?;
    env.tables.get("systemuser")?.rows.contains_key(&id).then_some(id)
}

fn by_object(env: &Environment, object: &str) -> Option<Uuid> {
    let object = Cell::Guid(address::id(object)?);
    let mut users = env.tables.get("systemuser")?.rows.values();
    let user = users.find(|user| user.cells.get("azureactivedirectoryobjectid") == Some(&object));
    user.map(|user| user.id)
}
