// What a careful user would write instead: one file, no dependency. Per batch: parse, map, newest per key,
// ask the ledger in Table Storage, write in bulk, remember in the ledger, bad events to the poison queue.
// It keeps connections open, works side by side where it can, and copies no more than it must. It keeps
// fewer promises than Concord: no claims, so two instances may undo each other; no sweep; a row that the
// target refuses fails its batch.

import crypto from 'node:crypto';
import http from 'node:http';

const port = Number(process.env.FUNCTIONS_CUSTOMHANDLER_PORT);
const storage = Object.fromEntries(
  process.env.CONCORD_STORAGE.split(';').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]),
);
const key = Buffer.from(storage.AccountKey, 'base64');
const target = `${process.env.SALES_URL}/api/data/v9.2`;
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

const BUCKETS = 8;
const IN_FILTER = 14;
const CHUNK = 100;
const SET = 'acme_partners';
const TABLE = 'NodeLedger';

const ALPHA2 = { DNK: 'DK', SWE: 'SE', NOR: 'NO', DEU: 'DE', FIN: 'FI', ISL: 'IS', GBR: 'GB', NLD: 'NL', FRA: 'FR' };
const LANGUAGE = { dan: 'da', swe: 'sv', nor: 'no', deu: 'de', fin: 'fi', isl: 'is', eng: 'en', nld: 'nl', fra: 'fr' };
const CURRENCY = new Set(['DKK', 'SEK', 'NOK', 'EUR', 'ISK', 'GBP', 'USD']);
const SEGMENT = { Key: 1, Standard: 2, Small: 3 };

function send(method, url, headers, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode >= 300 && response.statusCode !== 404) {
          reject(new Error(`${method} ${url}: ${response.statusCode} ${text.slice(0, 200)}`));
        } else {
          resolve(text);
        }
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function signed(url, more) {
  const date = new Date().toUTCString();
  const text = `${date}\n/${storage.AccountName}${new URL(url).pathname}`;
  const signature = crypto.createHmac('sha256', key).update(text).digest('base64');
  return {
    Authorization: `SharedKeyLite ${storage.AccountName}:${signature}`,
    'x-ms-date': date,
    'x-ms-version': '2020-12-06',
    DataServiceVersion: '3.0',
    Accept: 'application/json;odata=minimalmetadata',
    ...more,
  };
}

const table = (method, path, more, body) => {
  const url = `${storage.TableEndpoint}/${path}`;
  return send(method, url, signed(url, more), body);
};

// ---- mapping -------------------------------------------------------------------------------------

function number(text) {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value)) throw new Error(`not a number: ${text}`);
  return value;
}

function known(word, words) {
  const value = words[word];
  if (value === undefined) throw new Error(`not a known word: ${word}`);
  return value;
}

function phone(text) {
  const digits = text.replace(/[^0-9+]/g, '');
  return digits.startsWith('+') ? digits : `+45${digits}`;
}

function day(text) {
  if (!/^\d{4}-\d\d-\d\d/.test(text)) throw new Error(`not a date: ${text}`);
  return text.slice(0, 10);
}

function row(event) {
  const data = event.Data;
  const code = data.Codes.find((one) => one.includes('#SAP:'));
  if (!code) throw new Error('no key');
  const id = code.slice(code.indexOf('#SAP:') + 5);
  if (!CURRENCY.has(data['partner.currency'])) throw new Error('no such currency');
  return {
    id,
    version: Date.parse(event.TimeStamp),
    removed: event.VersionChangeType === 'Removed',
    columns: {
      '@odata.type': 'Microsoft.Dynamics.CRM.acme_partner',
      '@odata.id': `${SET}(acme_number='${id.replaceAll("'", "''")}')`,
      acme_name: data.Name.trim().slice(0, 160),
      acme_legalname: data['partner.legalName'].trim().slice(0, 200),
      acme_country: known(data['partner.countryIso3'], ALPHA2),
      acme_currency: data['partner.currency'],
      acme_language: known(data['partner.language'], LANGUAGE),
      acme_segment: known(data['partner.segment'], SEGMENT),
      acme_creditlimit: number(data['partner.creditLimit']),
      acme_balance: number(data['partner.balance']),
      acme_employees: number(data['partner.employees']),
      acme_active: data['partner.active'] === 'true',
      acme_openedon: day(data['partner.openedOn']),
      acme_reviewedat: new Date(data['partner.reviewedAt']).toISOString(),
      acme_email: data['partner.email'].toLowerCase(),
      acme_phone: phone(data['partner.phone']),
      acme_street: data['partner.street'].replace(/\s+/g, ' ').trim(),
      acme_postalcode: data['partner.postalCode'],
      acme_city: data['partner.city'].trim(),
      acme_webpage: data['partner.webPage'] ?? null,
      acme_note: data['partner.note'],
      acme_revision: number(data['partner.revision']),
    },
  };
}

// ---- ledger --------------------------------------------------------------------------------------

function bucket(id) {
  let sum = 0;
  for (let at = 0; at < id.length; at += 1) sum = (sum * 31 + id.charCodeAt(at)) >>> 0;
  return `p${sum % BUCKETS}`;
}

function buckets(rows) {
  const groups = new Map();
  for (const one of rows) {
    const name = bucket(one.id);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(one);
  }
  return [...groups];
}

async function ask(partition, rows) {
  const names = rows.map((one) => `RowKey eq '${one.id.replaceAll("'", "''")}'`).join(' or ');
  const filter = encodeURIComponent(`PartitionKey eq '${partition}' and (${names})`);
  const found = JSON.parse(await table('GET', `${TABLE}()?$filter=${filter}`)).value;
  const entries = new Map(found.map((entry) => [entry.RowKey, entry]));
  for (const one of rows) one.entry = entries.get(one.id);
}

function remember(partition, rows) {
  const boundary = crypto.randomUUID();
  const parts = rows.map((one) => {
    const entity = JSON.stringify({
      PartitionKey: partition,
      RowKey: one.id,
      version: String(one.version),
      idempotency: `${one.id}@${one.version}`,
      row: JSON.stringify(one.columns),
    });
    const address = one.entry
      ? `PUT ${storage.TableEndpoint}/${TABLE}(PartitionKey='${partition}',RowKey='${encodeURIComponent(one.id)}')`
      : `POST ${storage.TableEndpoint}/${TABLE}`;
    const condition = one.entry ? `If-Match: ${one.entry['odata.etag']}\r\n` : '';
    return (
      `--changeset_${boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n` +
      `${address} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n` +
      `Prefer: return-no-content\r\n${condition}Content-Type: application/json\r\n\r\n${entity}\r\n`
    );
  });
  const body =
    `--batch_${boundary}\r\nContent-Type: multipart/mixed; boundary=changeset_${boundary}\r\n\r\n` +
    `${parts.join('')}--changeset_${boundary}--\r\n--batch_${boundary}--\r\n`;
  return table('POST', '$batch', { 'Content-Type': `multipart/mixed; boundary=batch_${boundary}` }, body).then((text) => {
    if (/HTTP\/1.1 [45]/.test(text)) throw new Error('somebody else changed the ledger');
  });
}

// ---- target --------------------------------------------------------------------------------------

const JSON_TYPE = { 'Content-Type': 'application/json', Accept: 'application/json', 'OData-Version': '4.0' };

function* chunks(list, size) {
  for (let at = 0; at < list.length; at += size) yield list.slice(at, at + size);
}

function write(rows) {
  const upserts = rows.filter((one) => !one.removed);
  const calls = [...chunks(upserts, CHUNK)].map((chunk) =>
    send(
      'POST',
      `${target}/${SET}/Microsoft.Dynamics.CRM.UpsertMultiple`,
      JSON_TYPE,
      JSON.stringify({ Targets: chunk.map((one) => one.columns) }),
    ),
  );
  for (const one of rows.filter((row) => row.removed)) {
    calls.push(send('DELETE', `${target}/${encodeURI(one.columns['@odata.id'])}`, JSON_TYPE));
  }
  return Promise.all(calls);
}

function poison(event) {
  const url = `${storage.QueueEndpoint}/node-poison/messages`;
  const text = Buffer.from(event).toString('base64');
  return send('POST', url, signed(url), `<QueueMessage><MessageText>${text}</MessageText></QueueMessage>`);
}

// ---- a batch -------------------------------------------------------------------------------------

async function batch(body) {
  const events = JSON.parse(JSON.parse(body).Data.events);
  const newest = new Map();
  const bad = [];
  for (const event of events) {
    try {
      const one = row(JSON.parse(event));
      const other = newest.get(one.id);
      if (!other || other.version < one.version) newest.set(one.id, one);
    } catch {
      bad.push(event);
    }
  }
  const grouped = buckets(newest.values());
  const asked = grouped.flatMap(([name, rows]) => [...chunks(rows, IN_FILTER)].map((some) => ask(name, some)));
  await Promise.all([...asked, ...bad.map(poison)]);
  const isNew = (one) => !one.entry || Number(one.entry.version) < one.version;
  await write([...newest.values()].filter(isNew));
  const kept = grouped.map(([name, rows]) => [name, rows.filter(isNew)]).filter(([, rows]) => rows.length > 0);
  await Promise.all(kept.flatMap(([name, rows]) => [...chunks(rows, 100)].map((some) => remember(name, some))));
}

http
  .createServer((request, response) => {
    const answer = (status, body) => {
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      if (request.method === 'GET') return answer(200, {});
      return batch(Buffer.concat(parts).toString()).then(
        () => answer(200, { Outputs: {}, Logs: [], ReturnValue: null }),
        (error) => {
          console.error(error.message);
          answer(500, { error: error.message });
        },
      );
    });
  })
  .listen(port, '127.0.0.1');
