// Edits of a person with the public npm client dynamics-web-api, unchanged: what they leave must arrive wherever
// somebody listens.
//
//     node edits-dynamics-web-api.mjs http://127.0.0.1:PORT

import { DynamicsWebApi } from "dynamics-web-api";

const api = new DynamicsWebApi({
    serverUrl: process.argv[2],
    dataApi: { version: "9.2" },
    onTokenRefresh: async () => "emulated",
});

const collection = "acme_regions";
const create = (acme_code, acme_name) => api.create({ collection, data: { acme_code, acme_name } });

const europe = await create("EU", "Europe");
const america = await create("US", "America");
await api.update({ collection, key: america, data: { acme_name: "The Americas" } });
await api.deleteRecord({ collection, key: await create("XX", "Nowhere") });
api.startBatch();
for (const n of [1, 2, 3]) create(`R${n}`, `Row ${n}`);
await api.executeBatch();
await api.upsert({ collection, key: "acme_code='R3'", data: { acme_name: "Row three" } });
const customer = await api.create({
    collection: "acme_customers",
    data: { acme_number: "C-1", acme_name: "Åse", "acme_RegionId@odata.bind": `acme_regions(${europe})` },
});
const hotel = await api.create({ collection: "acme_hotels", data: { acme_code: "H1", acme_name: "Hotel" } });
await api.associate({
    collection: "acme_customers",
    primaryKey: customer,
    relationshipName: "acme_customer_acme_hotel",
    relatedCollection: "acme_hotels",
    relatedKey: hotel,
});
