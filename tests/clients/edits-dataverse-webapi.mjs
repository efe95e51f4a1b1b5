// Edits of a person with the public npm client dataverse-webapi, unchanged: what they leave must arrive wherever
// somebody listens.
//
//     node edits-dataverse-webapi.mjs http://127.0.0.1:PORT
//
// How the client is led to the emulator, and why every call has its own configuration, is said in
// dataverse-webapi.mjs. It counts the characters of a body where bytes are meant, so its texts are ASCII here.

import https from "node:https";
import net from "node:net";
import client from "dataverse-webapi/lib/node";

const target = new URL(process.argv[2]);
const agent = new https.Agent({ keepAlive: false });
agent.createConnection = () => net.connect(Number(target.port), target.hostname);
https.globalAgent = agent;

const { associate, create, deleteRecord, update, WebApiConfig } = client;

function config() {
    const made = new WebApiConfig("9.2", "emulated", "https://acme.crm.dynamics.com");
    made.url = "https://acme.crm.dynamics.com/api/data/v9.2";
    return made;
}

const region = (acme_code, acme_name) => create(config(), "acme_regions", { acme_code, acme_name });

const europe = await region("EU", "Europe");
await update(config(), "acme_regions", await region("US", "America"), { acme_name: "The Americas" });
await deleteRecord(config(), "acme_regions", await region("XX", "Nowhere"));
for (const n of [1, 2]) await region(`R${n}`, `Row ${n}`);
await update(config(), "acme_regions", await region("R3", "Row 3"), { acme_name: "Row three" });
const customer = await create(config(), "acme_customers", {
    acme_number: "C-1",
    acme_name: "Aase",
    "acme_RegionId@odata.bind": `/acme_regions(${europe})`,
});
const hotel = await create(config(), "acme_hotels", { acme_code: "H1", acme_name: "Hotel" });
await associate(config(), "acme_customers", customer, "acme_customer_acme_hotel", "acme_hotels", hotel);
