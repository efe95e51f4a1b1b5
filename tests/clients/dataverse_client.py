"""The public Python client (PowerPlatform-Dataverse-Client), unchanged, against the emulated Dataverse.

    python dataverse_client.py http://127.0.0.1:PORT

One line a step; exits with 1 at the first thing that is not as it should be.
"""

import os
import sys
import tempfile
from enum import IntEnum
from pathlib import Path

from python_client import run


class Tier(IntEnum):
    Gold = 1
    Silver = 2


def step(name, holds=True, shown=None):
    print(f"{'ok  ' if holds else 'FAIL'} {name}" + ("" if holds else f": {shown!r}"), flush=True)
    if not holds:
        sys.exit(1)


def refused(work, status):
    """Whether the service refuses with this status."""
    from PowerPlatform.Dataverse.core.errors import HttpError

    try:
        work()
    except HttpError as error:
        return error.status_code == status
    return False


TABLE = "acme_PyCustomer"


def schema(client):
    columns = {
        "acme_Number": "string",
        "acme_Credit": "decimal",
        "acme_Staff": "int",
        "acme_Since": "datetime",
        "acme_Active": "bool",
        "acme_Tier": Tier,
        "acme_Notes": {"type": "memo", "max_length": 500},
    }
    made = client.tables.create(TABLE, columns, primary_column="acme_Name", display_name="Py customer")
    step("create a table", made.entity_set_name == "acme_pycustomers", made)
    step("read a table back", client.tables.get(TABLE).primary_id_attribute == "acme_pycustomerid")
    names = [table["LogicalName"] for table in client.tables.list(select=["LogicalName"])]
    step("list tables", "acme_pycustomer" in names and "account" in names, names)
    step("list tables by filter", len(client.tables.list(filter="SchemaName eq 'acme_PyCustomer'")) == 1)

    client.tables.add_columns(TABLE, {"acme_Extra": "string", "acme_Gone": "float"})
    client.tables.remove_columns(TABLE, "acme_Gone")
    columns = client.tables.list_columns(TABLE, select=["LogicalName", "AttributeType"])
    kinds = {column["LogicalName"]: column["AttributeType"] for column in columns}
    step("add and remove columns", "acme_extra" in kinds and "acme_gone" not in kinds, kinds)
    step("columns have their types", kinds["acme_tier"] == "Picklist" and kinds["acme_active"] == "Boolean")
    client.tables.update_column(TABLE, "acme_Extra", {"max_length": 321, "display_name": "More"})
    typed = client.tables.get_column(TABLE, "acme_Extra", typed=True)
    step("change a column", typed["MaxLength"] == 321, typed)
    strings = client.tables.list_columns(
        TABLE, filter="AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'String'"
    )
    step("filter columns by type", {c["LogicalName"] for c in strings} >= {"acme_name", "acme_number"})

    key = client.tables.create_alternate_key(TABLE, "acme_PyNumberKey", ["acme_number"])
    found = client.tables.get_alternate_keys(TABLE)
    step("create an alternate key", [k.key_attributes for k in found] == [["acme_number"]], found)
    step("the key is active", found[0].status == "Active" and found[0].metadata_id == key.metadata_id)
    extra = client.tables.create_alternate_key(TABLE, "acme_PyExtraKey", ["acme_extra"])
    client.tables.delete_alternate_key(TABLE, extra.metadata_id)
    step("delete an alternate key", len(client.tables.get_alternate_keys(TABLE)) == 1)

    lookup = client.tables.create_lookup_field(TABLE, "acme_AccountId", "account", display_name="Account")
    found = client.tables.get_relationship(lookup.relationship_schema_name)
    step("create a lookup", found.referenced_entity == "account", found)
    from PowerPlatform.Dataverse.models import ManyToManyRelationshipMetadata

    pairs = client.tables.create_many_to_many_relationship(
        ManyToManyRelationshipMetadata(
            schema_name="acme_pycustomer_contact",
            entity1_logical_name="acme_pycustomer",
            entity2_logical_name="contact",
        )
    )
    both = client.tables.list_table_relationships(TABLE)
    names = {one["SchemaName"] for one in both}
    step("list relationships", {"acme_pycustomer_contact", lookup.relationship_schema_name} <= names, names)
    client.tables.delete_relationship(pairs.relationship_id)
    step("delete a relationship", client.tables.get_relationship("acme_pycustomer_contact") is None)
    bind = client.query.odata_bind(TABLE, "account", "5f0c2a11-0d3e-ef11-8409-000d3a1f2b3c")
    step("find the name for binding", list(bind) == ["acme_AccountId@odata.bind"], bind)


def rows(client):
    account = client.records.create("account", {"name": "Owner of all"})
    first = client.records.create(
        TABLE,
        {
            "acme_Name": "Nørre O'Neil",
            "acme_Number": "C-1",
            "acme_Credit": 1250.5,
            "acme_Active": True,
            "acme_Tier": "gold",
            "acme_AccountId@odata.bind": f"/accounts({account})",
        },
    )
    row = client.records.retrieve(TABLE, first, include_annotations="*")
    step("create a row", row["acme_name"] == "Nørre O'Neil" and row["acme_credit"] == 1250.5, row.data)
    step("a label becomes its number", row["acme_tier"] == 1)
    shown = row["acme_tier@OData.Community.Display.V1.FormattedValue"]
    step("formatted values come on request", shown == "Gold", shown)
    step("a lookup is bound", row["_acme_accountid_value"] == account)
    inner = client.records.retrieve(TABLE, first, select=["acme_name"], expand=["acme_AccountId"])
    step("expand a lookup", inner["acme_AccountId"]["name"] == "Owner of all", inner.data)

    client.records.update(TABLE, first, {"acme_Staff": 7})
    step("update a row", client.records.retrieve(TABLE, first)["acme_staff"] == 7)
    missing = "00000000-0000-0000-0000-000000000001"
    step("a missing row is None", client.records.retrieve(TABLE, missing) is None)
    step("an update of a missing row is 404", refused(lambda: client.records.update(TABLE, missing, {"acme_Staff": 1}), 404))

    from PowerPlatform.Dataverse.models import UpsertItem

    client.records.upsert(TABLE, [UpsertItem({"acme_number": "C-1"}, {"acme_Staff": 8})])
    step("upsert by key updates", client.records.retrieve(TABLE, first)["acme_staff"] == 8)
    client.records.upsert(TABLE, [UpsertItem({"acme_number": "C-2"}, {"acme_Name": "Second"})])
    found = client.records.list(TABLE, filter="acme_number eq 'c-2'", select=["acme_name", "acme_number"])
    step("upsert by key creates", [r["acme_number"] for r in found] == ["C-2"], [r.data for r in found])
    second = found[0]["acme_pycustomerid"]
    clash = lambda: client.records.create(TABLE, {"acme_Name": "x", "acme_Number": "C-2"})
    step("a used key is 412", refused(clash, 412))

    many = [{"acme_Name": f"Row {n:02}", "acme_Number": f"M-{n:02}", "acme_Staff": n} for n in range(12)]
    ids = client.records.create(TABLE, many)
    step("CreateMultiple", len(set(ids)) == 12, ids)
    client.records.update(TABLE, ids, {"acme_Credit": 10})
    client.records.update(TABLE, ids[:2], [{"acme_Credit": 20}, {"acme_Credit": 30}])
    credit = [client.records.retrieve(TABLE, one)["acme_credit"] for one in ids[:3]]
    step("UpdateMultiple", credit == [20, 30, 10], credit)
    items = [UpsertItem({"acme_number": f"M-{n:02}"}, {"acme_Notes": "seen"}) for n in range(10, 14)]
    client.records.upsert(TABLE, items)
    seen = client.records.list(TABLE, filter="acme_notes eq 'SEEN'", select=["acme_number"])
    step("UpsertMultiple", sorted(r["acme_number"] for r in seen) == ["M-10", "M-11", "M-12", "M-13"])
    twice = [UpsertItem({"acme_number": "T-1"}, {"acme_Staff": n}) for n in (1, 2)]
    step("a key twice in UpsertMultiple is refused", refused(lambda: client.records.upsert(TABLE, twice), 400))
    nothing = client.records.list(TABLE, filter="acme_number eq 'T-1'")
    step("a refused UpsertMultiple leaves nothing", len(list(nothing)) == 0)
    return first, second, ids


def queries(client):
    pages = list(client.records.list_pages(TABLE, select=["acme_number"], orderby=["acme_number"], page_size=5))
    numbers = [row["acme_number"] for page in pages for row in page]
    step("page by nextLink", len(pages) == 4 and numbers == sorted(numbers) and len(set(numbers)) == 16, numbers)
    top = client.records.list(TABLE, select=["acme_number"], orderby=["acme_staff desc"], top=3)
    step("order and top", [r["acme_number"] for r in top] == ["M-11", "M-10", "M-09"])
    from PowerPlatform.Dataverse.models.filters import col

    built = client.query.builder(TABLE).select("acme_number").where(col("acme_staff").between(3, 5))
    built = built.order_by("acme_staff").execute()
    step("the query builder", [r["acme_number"] for r in built] == ["M-03", "M-04", "M-05"])
    listed = client.query.builder(TABLE).select("acme_number").where(col("acme_number").in_(["M-01", "C-1"]))
    step("In with a list", len(list(listed.execute())) == 2)
    step("an unknown column is 400", refused(lambda: list(client.records.list(TABLE, filter="nope eq 1")), 400))

    xml = (
        "<fetch count='4'><entity name='acme_pycustomer'><attribute name='acme_number'/>"
        "<order attribute='acme_number'/><filter><condition attribute='acme_number' operator='like' value='M-%'/>"
        "</filter></entity></fetch>"
    )
    pages = list(client.query.fetchxml(xml).execute_pages())
    numbers = [row["acme_number"] for page in pages for row in page]
    step("page FetchXML by cookie", len(pages) == 4 and numbers == [f"M-{n:02}" for n in range(14)], numbers)
    xml = (
        "<fetch aggregate='true'><entity name='acme_pycustomer'>"
        "<attribute name='acme_pycustomerid' alias='n' aggregate='count'/>"
        "<attribute name='acme_credit' alias='total' aggregate='sum'/></entity></fetch>"
    )
    row = client.query.fetchxml(xml).execute().first()
    step("FetchXML totals", row["n"] == 16 and row["total"] == 1250.5 + 150, row.data)

    found = client.query.sql(
        "SELECT TOP 2 acme_number, acme_staff FROM acme_pycustomer WHERE acme_staff >= 3 AND acme_number LIKE 'M-%' "
        "ORDER BY acme_staff"
    )
    step("SQL", [r["acme_number"] for r in found] == ["M-03", "M-04"], [r.data for r in found])
    found = client.query.sql(
        "SELECT c.acme_number, a.name AS owner FROM acme_pycustomer c JOIN account a ON c.acme_accountid = a.accountid"
    )
    step("SQL join", [r["owner"] for r in found] == ["Owner of all"], [r.data for r in found])


def batches(client):
    batch = client.batch.new()
    batch.records.create(TABLE, {"acme_Name": "In a batch", "acme_Number": "B-1"})
    batch.records.retrieve(TABLE, "00000000-0000-0000-0000-000000000001")
    batch.tables.get(TABLE)
    batch.query.sql("SELECT acme_number FROM acme_pycustomer WHERE acme_number = 'C-1'")
    result = batch.execute(continue_on_error=True)
    codes = [one.status_code for one in result.responses]
    step("a batch goes on after an error", codes == [204, 404, 200, 200], codes)
    step("a batch names what it created", len(result.entity_ids) == 1)

    batch = client.batch.new()
    with batch.changeset() as changes:
        one = changes.records.create(TABLE, {"acme_Name": "Made", "acme_Number": "B-2"})
        changes.records.update(TABLE, one, {"acme_Staff": 99})
    result = batch.execute()
    made = client.records.list(TABLE, filter="acme_number eq 'B-2'", select=["acme_staff"])
    step("a changeset refers to its own rows", not result.has_errors and made[0]["acme_staff"] == 99, result)

    batch = client.batch.new()
    with batch.changeset() as changes:
        changes.records.create(TABLE, {"acme_Name": "Never", "acme_Number": "B-3"})
        changes.records.create(TABLE, {"acme_Name": "Clash", "acme_Number": "B-2"})
    result = batch.execute()
    left = client.records.list(TABLE, filter="acme_number eq 'B-3'")
    step("a failed changeset leaves nothing", result.has_errors and len(list(left)) == 0, result)


def files(client, row):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "contract.txt"
        path.write_bytes(b"signed " * 100)
        client.files.upload(TABLE, row, "acme_Contract", str(path))
        step("upload a file and its column", bool(client.records.retrieve(TABLE, row)["acme_contract"]))
        path.write_bytes(os.urandom(5 * 1024 * 1024))
        client.files.upload(TABLE, row, "acme_Contract", str(path), mode="chunk", if_none_match=False)
        step("upload a file in chunks", bool(client.records.retrieve(TABLE, row)["acme_contract"]))


def deletes(client, first, second, ids):
    client.records.delete(TABLE, second)
    step("delete a row", client.records.retrieve(TABLE, second) is None)
    step("delete a missing row is 404", refused(lambda: client.records.delete(TABLE, second), 404))
    job = client.records.delete(TABLE, ids[:10])
    gone = all(client.records.retrieve(TABLE, one) is None for one in ids[:10])
    step("BulkDelete", bool(job) and gone, job)
    client.tables.delete(TABLE)
    step("delete a table", client.tables.get(TABLE) is None)


def every_step(client):
    schema(client)
    first, second, ids = rows(client)
    queries(client)
    batches(client)
    files(client, first)
    deletes(client, first, second, ids)


if __name__ == "__main__":
    run(every_step)
