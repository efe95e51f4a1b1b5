"""Edits of a person with the public Python client, unchanged: what they leave must arrive wherever somebody
listens.

    python edits.py http://127.0.0.1:PORT
"""

from python_client import run


def edit(client):
    from PowerPlatform.Dataverse.models import UpsertItem

    region = lambda code, name: {"acme_code": code, "acme_name": name}
    client.records.create("acme_region", region("EU", "Europe"))
    america = client.records.create("acme_region", region("US", "America"))
    client.records.update("acme_region", america, {"acme_name": "The Americas"})
    gone = client.records.create("acme_region", region("XX", "Nowhere"))
    client.records.delete("acme_region", gone)
    client.records.create("acme_region", [region(f"R{n}", f"Row {n}") for n in (1, 2, 3)])
    client.records.upsert("acme_region", [UpsertItem({"acme_code": "R3"}, {"acme_name": "Row three"})])
    europe = client.records.list("acme_region", filter="acme_code eq 'EU'")[0]["acme_regionid"]
    client.records.create(
        "acme_customer",
        {"acme_number": "C-1", "acme_name": "Åse", "acme_RegionId@odata.bind": f"/acme_regions({europe})"},
    )


if __name__ == "__main__":
    run(edit)
