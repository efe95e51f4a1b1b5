// The public npm client dataverse-webapi, unchanged, against the emulated Dataverse.
//
//     node dataverse-webapi.mjs http://127.0.0.1:PORT
//
// The client always speaks to port 443 by https through Node's global agent. That agent is Node's own place
// to say how connections are made: ours connects to the emulator, whatever the name.

import https from "node:https";
import net from "node:net";
import client from "dataverse-webapi/lib/node";
import { refusal, same, step } from "./check.mjs";

const target = new URL(process.argv[2]);
const agent = new https.Agent({ keepAlive: false });
agent.createConnection = () => net.connect(Number(target.port), target.hostname);
https.globalAgent = agent;

const {
    associate,
    batchOperation,
    create,
    createWithReturnData,
    deleteProperty,
    deleteRecord,
    disassociate,
    retrieve,
    retrieveAlternateKey,
    retrieveMultiple,
    retrieveMultipleNextPage,
    unboundAction,
    unboundFunction,
    update,
    updateProperty,
    updateWithReturnData,
    WebApiConfig,
} = client;

// Every call gets its own configuration: `retrieveMultipleNextPage` overwrites the address in it, and the
// constructor takes the second slash out of `https://`, which associate would hand on to the service.
function config() {
    const made = new WebApiConfig("9.2", "emulated", "https://acme.crm.dynamics.com");
    made.url = "https://acme.crm.dynamics.com/api/data/v9.2";
    return made;
}

async function metadata() {
    const post = (path, body) => unboundAction(config(), path, body);
    const label = (Label) => ({ LocalizedLabels: [{ Label, LanguageCode: 1033 }] });
    const column = (type, SchemaName, more = {}) => ({
        "@odata.type": `Microsoft.Dynamics.CRM.${type}AttributeMetadata`,
        SchemaName,
        DisplayName: label(SchemaName),
        ...more,
    });
    const table = await create(config(), "EntityDefinitions", {
        "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
        SchemaName: "acme_WaCustomer",
        DisplayName: label("Wa customer"),
        DisplayCollectionName: label("Wa customers"),
        OwnershipType: "UserOwned",
        ChangeTrackingEnabled: true,
        Attributes: [column("String", "acme_Name", { IsPrimaryName: true, MaxLength: 100 })],
    });
    step("create a table", /^[0-9a-f-]{36}$/.test(table), table);
    await post(`EntityDefinitions(${table})/Attributes`, column("String", "acme_Number", { MaxLength: 30 }));
    await post(`EntityDefinitions(${table})/Attributes`, column("Integer", "acme_Staff"));
    await post(`EntityDefinitions(${table})/Keys`, { SchemaName: "acme_WaKey", KeyAttributes: ["acme_number"] });
    await create(config(), "RelationshipDefinitions", {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        SchemaName: "account_acme_wacustomer",
        ReferencedEntity: "account",
        ReferencingEntity: "acme_wacustomer",
        Lookup: column("Lookup", "acme_AccountId"),
    });
    await create(config(), "RelationshipDefinitions", {
        "@odata.type": "Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata",
        SchemaName: "acme_wacustomer_contact",
        Entity1LogicalName: "acme_wacustomer",
        Entity2LogicalName: "contact",
        IntersectEntityName: "acme_wacustomer_contact",
    });
    const found = await retrieveMultiple(
        config(),
        "EntityDefinitions",
        "$select=LogicalName,EntitySetName&$filter=LogicalName eq 'acme_wacustomer'&$expand=Keys($select=KeyAttributes)"
            .replaceAll(" ", "%20")
    );
    same("read a table and its keys", found.value[0].Keys[0].KeyAttributes, ["acme_number"]);
    const kinds = await retrieveMultiple(
        config(),
        "EntityDefinitions(LogicalName='acme_wacustomer')/Attributes",
        "$select=LogicalName,AttributeType&$filter=LogicalName%20eq%20'acme_staff'"
    );
    same("read columns", kinds.value[0].AttributeType, "Integer");
}

async function rows() {
    const account = await create(config(), "accounts", { name: "Owner of all" });
    const first = await create(config(), "acme_wacustomers", {
        acme_name: "First",
        acme_number: "C-1",
        "acme_AccountId@odata.bind": `/accounts(${account})`,
    });
    step("create a row", /^[0-9a-f-]{36}$/.test(first), first);
    const shown = await createWithReturnData(
        config(),
        "acme_wacustomers",
        { acme_name: "Second", acme_number: "C-2" },
        "$select=acme_name,statecode"
    );
    const formatted = shown["statecode@OData.Community.Display.V1.FormattedValue"];
    same("create and show", [shown.acme_name, formatted], ["Second", "Active"]);
    const row = await retrieve(config(), "acme_wacustomers", first, "$select=acme_name&$expand=acme_AccountId($select=name)");
    same("read a row", [row.acme_name, row.acme_AccountId.name], ["First", "Owner of all"]);
    const byKey = await retrieveAlternateKey(config(), "acme_wacustomers", "acme_number='C-1'", "$select=acme_name");
    same("read by key", byKey.acme_wacustomerid, first);

    const match = (etag) => ({ customHeaders: { "If-Match": etag } });
    await update(config(), "acme_wacustomers", first, { acme_staff: 5 }, match(byKey["@odata.etag"]));
    const stale = await refusal(() =>
        update(config(), "acme_wacustomers", first, { acme_staff: 6 }, match(byKey["@odata.etag"]))
    );
    same("update with a stale ETag", stale.code, "0x80060882");
    const now = await updateWithReturnData(config(), "acme_wacustomers", first, { acme_staff: 7 }, "$select=acme_staff");
    same("update and show", now.acme_staff, 7);
    await updateProperty(config(), "acme_wacustomers", first, "acme_staff", 8);
    await deleteProperty(config(), "acme_wacustomers", first, "acme_name");
    const changed = await retrieve(config(), "acme_wacustomers", first, "$select=acme_name,acme_staff");
    same("update and clear one property", [changed.acme_staff, changed.acme_name], [8, null]);

    const contact = await create(config(), "contacts", { lastname: "Jensen" });
    await associate(config(), "acme_wacustomers", first, "acme_wacustomer_contact", "contacts", contact);
    const people = await retrieve(config(), "acme_wacustomers", first, "$select=acme_number&$expand=acme_wacustomer_contact($select=lastname)");
    same("associate", people.acme_wacustomer_contact.map((one) => one.lastname), ["Jensen"]);
    await disassociate(config(), "acme_wacustomers", first, "acme_wacustomer_contact", contact);
    const nobody = await retrieve(config(), "acme_wacustomers", first, "$expand=acme_wacustomer_contact($select=lastname)");
    same("disassociate", nobody.acme_wacustomer_contact, []);
    return first;
}

async function batches() {
    const results = await batchOperation(
        config(),
        "b1",
        "c1",
        [
            { method: "PATCH", queryString: "acme_wacustomers(acme_number='U-1')", entity: { acme_name: "Upserted" } },
            { method: "POST", queryString: "acme_wacustomers", entity: { acme_name: "Posted", acme_number: "U-2" } },
        ],
        ["acme_wacustomers?$select=acme_number&$filter=startswith(acme_number,'U-')&$orderby=acme_number"]
    );
    same("a batch", results.map((one) => one.httpStatus), [204, 204, 200]);
    same("upsert by key in a changeset", results[2].data.value.map((one) => one.acme_number), ["U-1", "U-2"]);
    const failed = await refusal(() =>
        batchOperation(
            config(),
            "b2",
            "c2",
            [
                { method: "POST", queryString: "acme_wacustomers", entity: { acme_number: "U-3" } },
                { method: "POST", queryString: "acme_wacustomers", entity: { acme_number: "U-2" } },
            ],
            []
        )
    );
    same("a failed changeset", failed.code, "0x80060892");
    const left = await retrieveMultiple(config(), "acme_wacustomers", "$filter=acme_number%20eq%20'U-3'");
    same("a failed changeset leaves nothing", left.value, []);
}

async function multiples() {
    const type = { "@odata.type": "Microsoft.Dynamics.CRM.acme_wacustomer" };
    const send = (name, Targets) =>
        unboundAction(config(), `acme_wacustomers/Microsoft.Dynamics.CRM.${name}`, { Targets });
    const made = await send("CreateMultiple", [1, 2, 3].map((n) => ({ ...type, acme_number: `M-${n}`, acme_staff: n })));
    same("CreateMultiple", made.Ids.length, 3);
    await send("UpdateMultiple", made.Ids.map((one) => ({ ...type, acme_wacustomerid: one, acme_name: "Updated" })));
    await send("UpsertMultiple", [
        { ...type, "@odata.id": "acme_wacustomers(acme_number='M-3')", acme_staff: 30 },
        { ...type, "@odata.id": "acme_wacustomers(acme_number='M-4')", acme_staff: 40 },
    ]);
    const found = await retrieveMultiple(
        config(),
        "acme_wacustomers",
        "$select=acme_staff,acme_name&$filter=startswith(acme_number,'M-')&$orderby=acme_number"
    );
    same("UpsertMultiple", found.value.map((one) => one.acme_staff), [1, 2, 30, 40]);
    same("UpdateMultiple", found.value.map((one) => one.acme_name), ["Updated", "Updated", "Updated", null]);
}

async function queries() {
    let page = await retrieveMultiple(config(), "acme_wacustomers", "$select=acme_number&$orderby=acme_number", { maxPageSize: 3 });
    const numbers = page.value.map((one) => one.acme_number);
    while (page["@odata.nextLink"]) {
        page = await retrieveMultipleNextPage(config(), page["@odata.nextLink"], { maxPageSize: 3 });
        numbers.push(...page.value.map((one) => one.acme_number));
    }
    same("page by nextLink", numbers, ["C-1", "C-2", "M-1", "M-2", "M-3", "M-4", "U-1", "U-2"]);
    const xml = (more, cookie) =>
        encodeURIComponent(
            `<fetch count="5" ${more}><entity name="acme_wacustomer"><attribute name="acme_number"/>` +
                `<order attribute="acme_number"/></entity></fetch>`
        );
    const first = await retrieveMultiple(config(), "acme_wacustomers", `fetchXml=${xml('page="1"')}`);
    const cookie = /pagingcookie="([^"]*)"/.exec(first["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"])[1];
    const inner = decodeURIComponent(decodeURIComponent(cookie)).replace(/[<>"&]/g, (one) => `&#${one.charCodeAt(0)};`);
    const second = await retrieveMultiple(config(), "acme_wacustomers", `fetchXml=${xml(`page="2" paging-cookie="${inner}"`)}`);
    same("FetchXML by cookie", second.value.map((one) => one.acme_number), ["M-4", "U-1", "U-2"]);
    const wrong = await refusal(() => retrieveMultiple(config(), "acme_wacustomers", "$select=nope"));
    same("an unknown column", wrong.code, "0x0");
    const total = await unboundFunction(config(), "RetrieveTotalRecordCount", [
        { name: "EntityNames", alias: "p1", value: '["acme_wacustomer"]' },
    ]);
    same("a function with an alias", total.EntityRecordCountCollection.Values, [8]);
}

async function changes(first) {
    const track = { customHeaders: { Prefer: "odata.track-changes" } };
    const tracked = await retrieveMultiple(config(), "acme_wacustomers", "$select=acme_number", track);
    await update(config(), "acme_wacustomers", first, { acme_staff: 1 });
    const delta = await retrieveMultipleNextPage(config(), tracked["@odata.deltaLink"]);
    same("change tracking", delta.value.map((one) => one.acme_number), ["C-1"]);
    await deleteRecord(config(), "acme_wacustomers", first);
    const gone = await retrieveMultipleNextPage(config(), delta["@odata.deltaLink"]);
    same("a tracked delete", gone.value.map((one) => [one.id, one.reason]), [[first, "deleted"]]);
    const missing = await refusal(() => retrieve(config(), "acme_wacustomers", first));
    same("delete a row", missing.code, "0x80040217");
}

await metadata();
const first = await rows();
await batches();
await multiples();
await queries();
await changes(first);
