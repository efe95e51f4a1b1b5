//! What several tests share.

pub(crate) mod azurite;
pub(crate) mod running;
pub(crate) mod serving;
pub(crate) mod twins;
pub(crate) mod work;

/// Where events come from and rows go: any JSON with `id` and `at`, and the emulated `sales`.
pub(crate) const SYSTEMS: &str = "
[systems.mdm]
kind = 'events'
entity = 'thing'
key = 'id'
emitted = 'at'
[systems.sales]
kind = 'dataverse'
url = '${SALES_URL}'
auth = 'none'
";

/// A thing becomes an account, unless its name is longer than 60 characters.
pub(crate) const MAP: &str = "
map = 'thing'
version = 1
from = { system = 'mdm', entity = 'thing' }
to = { system = 'sales', table = 'account' }
key = { accountnumber = { from = 'id' } }
fields = { name = { from = 'name', max = 60 } }
removed = { action = 'delete' }
";

/// A thing as its source tells it.
pub(crate) fn thing(id: &str, name: &str) -> String {
    serde_json::json!({ "thing": "thing", "id": id, "at": "2026-03-14T09:15:02Z", "name": name })
        .to_string()
}
