// SPDX-License-Identifier: MIT
// tls_client.mjs URL CERTIFICATE COUNT: node's https, each request on a connection of its own. Prints status and body of each.
import { readFileSync } from 'node:fs';
import https from 'node:https';

const [url, certificate, count] = process.argv.slice(2);
const agent = new https.Agent({ keepAlive: false, ca: readFileSync(certificate) });

const get = () => new Promise((resolve, reject) => {
  https.get(url, { agent }, (response) => {
    let body = '';
    response.on('data', (piece) => { body += piece; });
    response.on('end', () => resolve(`${response.statusCode} ${body}`));
  }).on('error', reject);
});

for (let i = 0; i < Number(count); i++) console.log(await get());
