// The public npm client dynamics-web-api, unchanged, against the emulated Dataverse.
//
//     node dynamics-web-api.mjs http://127.0.0.1:PORT

import { DynamicsWebApi } from "dynamics-web-api";
import { refusal, same, step } from "./check.mjs";

const api = new DynamicsWebApi({
    serverUrl: process.argv[2],
    dataApi: { version: "9.2" },
    onTokenRefresh: async () => "emulated",
});

const label = (text) => ({
    "@odata.type": "Microsoft.Dynamics.CRM.Label",
    LocalizedLabels: [
        { "@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", Label: text, LanguageCode: 1033 },
    ],
});

const column = (type, name, more = {}) => ({
    "@odata.type": `Microsoft.Dynamics.CRM.${type}AttributeMetadata`,
    SchemaName: name,
    DisplayName: label(name),
    RequiredLevel: { Value: "None" },
    ...more,
});

const set = "acme_jscustomers";
const id = "acme_jscustomerid";

async function metadata() {
    const created = await api.createEntity({
        data: {
            "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
            SchemaName: "acme_JsCustomer",
            DisplayName: label("Js customer"),
            DisplayCollectionName: label("Js customers"),
            OwnershipType: "UserOwned",
            ChangeTrackingEnabled: true,
            HasActivities: false,
            HasNotes: false,
            Attributes: [
                column("String", "acme_Name", { IsPrimaryName: true, MaxLength: 100, FormatName: { Value: "Text" } }),
            ],
        },
    });
    step("create a table", /^[0-9a-f-]{36}$/.test(created), created);
    const number = await api.createAttribute({
        entityKey: created,
        data: column("String", "acme_Number", { MaxLength: 30, FormatName: { Value: "Text" } }),
    });
    const add = (data) => api.createAttribute({ entityKey: created, data });
    await add(column("Integer", "acme_Staff", { MinValue: 0, MaxValue: 1000 }));
    await add(column("Money", "acme_Credit", { Precision: 2 }));
    await add(column("DateTime", "acme_Since", { Format: "DateOnly", DateTimeBehavior: { Value: "DateOnly" } }));
    await add(column("File", "acme_Contract"));
    const option = (Value, text) => ({ Value, Label: label(text) });
    await add(
        column("Picklist", "acme_Tier", {
            OptionSet: {
                "@odata.type": "Microsoft.Dynamics.CRM.OptionSetMetadata",
                IsGlobal: false,
                OptionSetType: "Picklist",
                Options: [option(1, "Gold"), option(2, "Silver")],
            },
        })
    );
    step("create columns", /^[0-9a-f-]{36}$/.test(number), number);

    const table = await api.retrieveEntity({ key: created, select: ["LogicalName", "EntitySetName", "DisplayName"] });
    same("read a table", [table.LogicalName, table.EntitySetName], ["acme_jscustomer", set]);
    table.DisplayName = label("Renamed");
    await api.updateEntity({ data: table, mergeLabels: true });
    const renamed = await api.retrieveEntity({ key: "LogicalName='acme_jscustomer'", select: ["DisplayName"] });
    same("change a table", renamed.DisplayName.UserLocalizedLabel.Label, "Renamed");

    const tables = await api.retrieveEntities({ select: ["LogicalName"], filter: "SchemaName eq 'acme_JsCustomer'" });
    same("list tables", tables.value.map((one) => one.LogicalName), ["acme_jscustomer"]);
    const texts = await api.retrieveAttributes({
        entityKey: "LogicalName='acme_jscustomer'",
        castType: "Microsoft.Dynamics.CRM.StringAttributeMetadata",
        select: ["LogicalName", "MaxLength"],
        filter: "LogicalName eq 'acme_number'",
    });
    same("list columns of a type", texts.value.map((one) => one.MaxLength), [30]);
    const one = await api.retrieveAttribute({
        entityKey: created,
        attributeKey: number,
        castType: "Microsoft.Dynamics.CRM.StringAttributeMetadata",
    });
    one.MaxLength = 40;
    await api.updateAttribute({
        entityKey: created,
        data: one,
        castType: "Microsoft.Dynamics.CRM.StringAttributeMetadata",
    });
    const longer = await api.retrieveAttribute({
        entityKey: created,
        attributeKey: number,
        castType: "Microsoft.Dynamics.CRM.StringAttributeMetadata",
        select: ["MaxLength"],
    });
    same("change a column", longer.MaxLength, 40);
    const tiers = await api.retrieveAttributes({
        entityKey: created,
        castType: "Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
        select: ["LogicalName"],
        expand: [{ property: "OptionSet", select: ["Options"] }, { property: "GlobalOptionSet" }],
    });
    const labels = tiers.value[0].OptionSet.Options.map((one) => one.Label.UserLocalizedLabel.Label);
    same("choices of a column", labels, ["Gold", "Silver"]);

    await api.create({
        collection: "EntityDefinitions",
        key: "LogicalName='acme_jscustomer'",
        navigationProperty: "Keys",
        data: { SchemaName: "acme_JsNumberKey", DisplayName: label("Number"), KeyAttributes: ["acme_number"] },
    });
    const keyed = await api.retrieveEntity({
        key: created,
        select: ["LogicalName"],
        expand: [{ property: "Keys", select: ["EntityKeyIndexStatus", "KeyAttributes"] }],
    });
    same("create a key", keyed.Keys.map((one) => one.EntityKeyIndexStatus), ["Active"]);

    const relation = await api.createRelationship({
        data: {
            "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
            SchemaName: "account_acme_jscustomer",
            ReferencedEntity: "account",
            ReferencingEntity: "acme_jscustomer",
            ReferencedAttribute: "accountid",
            CascadeConfiguration: { Delete: "RemoveLink", Assign: "NoCascade" },
            Lookup: column("Lookup", "acme_AccountId"),
        },
    });
    const castType = "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata";
    const found = await api.retrieveRelationship({ key: relation, castType });
    same("create a relationship", found.ReferencingEntityNavigationPropertyName, "acme_AccountId");
    found.CascadeConfiguration.Delete = "Restrict";
    await api.updateRelationship({ data: found, castType });
    const changed = await api.retrieveRelationships({ castType, filter: "SchemaName eq 'account_acme_jscustomer'" });
    same("change a relationship", changed.value[0].CascadeConfiguration.Delete, "Restrict");

    const sizes = await api.createGlobalOptionSet({
        data: {
            "@odata.type": "Microsoft.Dynamics.CRM.OptionSetMetadata",
            Name: "acme_jssize",
            DisplayName: label("Size"),
            OptionSetType: "Picklist",
            Options: [{ Value: 1, Label: label("S") }],
        },
    });
    const size = await api.retrieveGlobalOptionSet({ key: sizes, castType: "Microsoft.Dynamics.CRM.OptionSetMetadata" });
    same("create a global choice", [size.Name, size.Options.length], ["acme_jssize", 1]);
    size.Options.push({ Value: 2, Label: label("M") });
    await api.updateGlobalOptionSet({ data: size });
    const all = await api.retrieveGlobalOptionSets({ castType: "Microsoft.Dynamics.CRM.OptionSetMetadata" });
    same("change a global choice", all.value.find((one) => one.Name === "acme_jssize").Options.length, 2);
    await api.deleteGlobalOptionSet({ key: sizes });
    const xml = await api.retrieveCsdlMetadata({ addAnnotations: true });
    step("$metadata", xml.includes('EntityType Name="acme_jscustomer"') && xml.includes("ChangeTracking"), xml.slice(0, 80));
}

async function rows() {
    const account = await api.create({ collection: "accounts", data: { name: "Owner of all" } });
    const first = await api.create({
        collection: set,
        data: {
            acme_name: "Nørre “quoted” 100%",
            acme_number: "C-1",
            acme_credit: 1250.5,
            acme_since: "2024-05-01",
            "acme_AccountId@odata.bind": `accounts(${account})`,
        },
    });
    step("create a row", /^[0-9a-f-]{36}$/.test(first), first);
    const shown = await api.create({
        collection: set,
        data: { acme_name: "Shown", acme_number: "C-2", acme_tier: 1 },
        returnRepresentation: true,
        select: ["acme_name", "acme_tier"],
        includeAnnotations: "*",
    });
    same("create and show", [shown.acme_name, shown.acme_tier_Formatted], ["Shown", "Gold"]);

    const row = await api.retrieve({
        collection: set,
        key: first,
        select: ["acme_name", "acme_since", "_acme_accountid_value"],
        expand: [{ property: "acme_AccountId", select: ["name"] }],
        includeAnnotations: "*",
    });
    same("read a row", [row.acme_name, row.acme_since], ["Nørre “quoted” 100%", "2024-05-01"]);
    same("read a lookup", [row._acme_accountid_value, row.acme_AccountId.name], [account, "Owner of all"]);
    const byKey = await api.retrieve({ collection: set, key: "acme_number='C-1'", select: ["acme_name"] });
    same("read by key", byKey[id], first);
    const etag = byKey["@odata.etag"];
    const unchanged = await api.retrieve({ collection: set, key: first, select: ["acme_name"], ifnonematch: etag });
    step("an unchanged row is not sent", !unchanged?.acme_name, unchanged);

    step("update with the right ETag", await api.update({ collection: set, key: first, data: { acme_staff: 5 }, ifmatch: etag }));
    const stale = await api.update({ collection: set, key: first, data: { acme_staff: 6 }, ifmatch: etag });
    same("update with a stale ETag", stale, false);
    await api.updateSingleProperty({ collection: set, key: first, fieldValuePair: { acme_staff: 9 } });
    const staff = await api.retrieve({ collection: set, key: first, select: ["acme_staff"] });
    same("update one property", staff.acme_staff, 9);
    const missing = await refusal(() =>
        api.update({ collection: set, key: "00000000-0000-0000-0000-000000000001", data: { acme_staff: 1 } })
    );
    same("an update of a missing row", [missing.status, missing.code], [404, "0x80040217"]);

    const made = await api.upsert({
        collection: set,
        key: "acme_number='C-3'",
        data: { acme_name: "Third" },
        returnRepresentation: true,
        select: [id],
    });
    step("upsert by key creates", /^[0-9a-f-]{36}$/.test(made[id]), made);
    await api.upsert({ collection: set, key: "acme_number='C-3'", data: { acme_staff: 3 } });
    const not = await api.upsert({ collection: set, key: "acme_number='C-3'", data: { acme_staff: 4 }, ifnonematch: "*" });
    const third = await api.retrieve({ collection: set, key: made[id], select: ["acme_staff"] });
    same("upsert that may only create", [not, third.acme_staff], [null, 3]);
    const clash = await refusal(() => api.create({ collection: set, data: { acme_number: "C-3" } }));
    same("a used key", [clash.status, clash.code], [412, "0x80060892"]);

    await api.associate({
        collection: "accounts",
        primaryKey: account,
        relationshipName: "account_acme_jscustomer",
        relatedCollection: set,
        relatedKey: made[id],
    });
    const children = await api.retrieveMultiple({
        collection: `accounts(${account})/account_acme_jscustomer`,
        select: ["acme_number"],
        orderBy: ["acme_number"],
    });
    same("associate", children.value.map((one) => one.acme_number), ["C-1", "C-3"]);
    await api.disassociateSingleValued({ collection: set, primaryKey: made[id], navigationProperty: "acme_AccountId" });
    const alone = await api.retrieve({ collection: set, key: made[id], select: ["_acme_accountid_value"] });
    same("disassociate", alone._acme_accountid_value, null);
    return { first, account, third: made[id] };
}

async function multiples() {
    const targets = Array.from({ length: 8 }, (_, n) => ({
        "@odata.type": "Microsoft.Dynamics.CRM.acme_jscustomer",
        acme_name: `Row ${n}`,
        acme_number: `M-${n}`,
        acme_staff: n,
    }));
    const action = (name, Targets) =>
        api.callAction({ collection: set, actionName: `Microsoft.Dynamics.CRM.${name}`, action: { Targets } });
    const { Ids } = await action("CreateMultiple", targets);
    step("CreateMultiple", new Set(Ids).size === 8, Ids);
    await action(
        "UpdateMultiple",
        Ids.map((one) => ({ "@odata.type": "Microsoft.Dynamics.CRM.acme_jscustomer", [id]: one, acme_credit: 5 }))
    );
    await action(
        "UpsertMultiple",
        ["M-7", "M-8"].map((key) => ({
            "@odata.type": "Microsoft.Dynamics.CRM.acme_jscustomer",
            "@odata.id": `${set}(acme_number='${key}')`,
            acme_credit: 6,
        }))
    );
    const found = await api.retrieveMultiple({
        collection: set,
        select: ["acme_number", "acme_credit"],
        filter: "startswith(acme_number,'m-') and acme_credit ne null",
        orderBy: ["acme_number"],
    });
    same("UpdateMultiple and UpsertMultiple", found.value.map((one) => one.acme_credit), [5, 5, 5, 5, 5, 5, 5, 6, 6]);
    return Ids;
}

async function queries() {
    const all = await api.retrieveAll({ collection: set, select: ["acme_number"], orderBy: ["acme_number"] });
    same("read all", all.value.length, 12);
    let page = await api.retrieveMultiple({ collection: set, select: ["acme_number"], maxPageSize: 5, count: true });
    const seen = page.value.map((one) => one.acme_number);
    let pages = 1;
    while (page.oDataNextLink) {
        page = await api.retrieveMultiple({ collection: set, select: ["acme_number"], maxPageSize: 5 }, page.oDataNextLink);
        seen.push(...page.value.map((one) => one.acme_number));
        pages += 1;
    }
    same("page by nextLink", [pages, new Set(seen).size], [3, 12]);
    same("count", await api.count({ collection: set, filter: "acme_staff ge 5" }), 4);
    const grouped = await api.retrieveMultiple({
        collection: set,
        apply: "groupby((acme_tier),aggregate($count as n))",
    });
    same("apply", grouped.value.map((one) => one.n).sort(), [1, 11]);

    const fetchXml =
        "<fetch count='5'><entity name='acme_jscustomer'><attribute name='acme_number'/><order attribute='acme_number'/></entity></fetch>";
    const first = await api.fetch({ collection: set, fetchXml, includeAnnotations: "*" });
    const second = await api.fetch({
        collection: set,
        fetchXml,
        includeAnnotations: "*",
        pageNumber: first.PagingInfo.nextPage,
        pagingCookie: first.PagingInfo.cookie,
    });
    same("FetchXML by cookie", second.value.map((one) => one.acme_number), ["M-2", "M-3", "M-4", "M-5", "M-6"]);
    const every = await api.fetchAll({ collection: set, fetchXml, includeAnnotations: "*" });
    same("FetchXML to the end", every.value.length, 12);
    const linked = await api.fetch({
        collection: set,
        fetchXml:
            "<fetch><entity name='acme_jscustomer'><attribute name='acme_number'/>" +
            "<link-entity name='account' from='accountid' to='acme_accountid' alias='a'><attribute name='name'/></link-entity>" +
            "</entity></fetch>",
    });
    same("FetchXML link", linked.value.map((one) => one["a.name"]), ["Owner of all"]);
    const wrong = await refusal(() => api.retrieveMultiple({ collection: set, select: ["nope"] }));
    same("an unknown column", [wrong.status, wrong.code], [400, "0x0"]);
}

async function changes(third) {
    const tracked = await api.retrieveMultiple({ collection: set, select: ["acme_number"], trackChanges: true });
    step("a delta link stands on the last page", tracked.value.length === 12 && tracked.oDataDeltaLink, tracked);
    await api.update({ collection: set, key: third, data: { acme_staff: 77 } });
    const gone = await api.create({ collection: set, data: { acme_number: "D-1" } });
    await api.deleteRecord({ collection: set, key: gone });
    const delta = await api.retrieveMultiple({ collection: set }, tracked.oDataDeltaLink);
    same("a changed row comes whole", delta.value[0].acme_number, "C-3");
    same("a deleted row comes by its id", [delta.value[1].id, delta.value[1].reason], [gone, "deleted"]);
    const quiet = await api.retrieveMultiple({ collection: set }, delta.oDataDeltaLink);
    same("nothing new is nothing", quiet.value, []);
}

async function batches() {
    api.startBatch();
    api.create({ collection: set, data: { acme_number: "B-1" }, contentId: "1", inChangeSet: true });
    api.update({ collection: "$1", data: { acme_staff: 11 }, contentId: "2", inChangeSet: true });
    api.retrieveMultiple({ collection: set, select: ["acme_number"], filter: "acme_number eq 'B-1'", inChangeSet: false });
    const results = await api.executeBatch();
    step("a changeset creates", /^[0-9a-f-]{36}$/.test(results[0]), results);
    same("a batch reads what it wrote", results[2].value.map((one) => one.acme_number), ["B-1"]);
    const row = await api.retrieve({ collection: set, key: results[0], select: ["acme_staff"] });
    same("$1 is the row before", row.acme_staff, 11);

    api.startBatch();
    api.retrieve({ collection: set, key: "00000000-0000-0000-0000-000000000001", inChangeSet: false });
    api.retrieve({ collection: set, key: results[0], select: ["acme_number"], inChangeSet: false });
    const mixed = await api.executeBatch({ continueOnError: true });
    same("a batch goes on after an error", [mixed[0].status, mixed[1].acme_number], [404, "B-1"]);

    api.startBatch();
    api.create({ collection: set, data: { acme_number: "B-2" } });
    api.create({ collection: set, data: { acme_number: "B-1" } });
    const failed = await refusal(() => api.executeBatch());
    const left = await api.retrieveMultiple({ collection: set, filter: "acme_number eq 'B-2'" });
    step("a failed changeset leaves nothing", failed !== null && left.value.length === 0, left.value);
}

async function files(key) {
    const data = Buffer.from("signed ".repeat(1000));
    await api.uploadFile({ collection: set, key, property: "acme_contract", fileName: "contract.txt", data });
    const file = await api.downloadFile({ collection: set, key, property: "acme_contract" });
    same("upload and download a file", [file.fileName, file.fileSize], ["contract.txt", data.length]);
    step("the bytes are the same", Buffer.compare(Buffer.from(file.data), data) === 0);
    await api.deleteRecord({ collection: set, key, property: "acme_contract" });
    const row = await api.retrieve({ collection: set, key, select: ["acme_contract"] });
    same("delete a file", row.acme_contract, null);
}

async function deletes(ids, account, relation) {
    same("delete with a stale ETag", await api.deleteRecord({ collection: set, key: ids[0], ifmatch: 'W/"1"' }), false);
    await api.deleteRecord({ collection: set, key: ids[0] });
    const gone = await refusal(() => api.retrieve({ collection: set, key: ids[0] }));
    same("delete a row", gone.status, 404);
    const held = await refusal(() => api.deleteRecord({ collection: "accounts", key: account }));
    same("a restricted delete", [held.status, held.code], [405, "0x80040227"]);
    const who = await api.callFunction("WhoAmI");
    step("WhoAmI", /^[0-9a-f-]{36}$/.test(who.UserId), who);
    const table = await api.retrieveEntity({ key: "LogicalName='acme_jscustomer'", select: ["MetadataId"] });
    await api.deleteRecord({ collection: "EntityDefinitions", key: table.MetadataId });
    const nothing = await refusal(() => api.retrieveMultiple({ collection: set }));
    same("delete a table", [nothing.status, nothing.code], [404, "0x8006088a"]);
}

await metadata();
const { first, account, third } = await rows();
const ids = await multiples();
await queries();
await changes(third);
await batches();
await files(first);
await deletes(ids, account);
