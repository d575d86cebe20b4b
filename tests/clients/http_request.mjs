// SPDX-License-Identifier: MIT
// http_request.mjs URL METHOD BYTES length|chunked COUNT [NAME=VALUE]...: node's http.request().
import http from 'node:http';

const [url, method, bytes, framing, count, ...fields] = process.argv.slice(2);
const content = Buffer.alloc(Number(bytes));
const headers = Object.fromEntries(fields.map((field) => field.split(/=(.*)/s).slice(0, 2)));

function upload() {
  return new Promise((resolve) => {
    const framed = framing === 'chunked' ? headers : { ...headers, 'Content-Length': content.length };
    const request = http.request(url, { method, headers: framed, agent: false, timeout: 60000 }, (response) => {
      response.on('error', (error) => resolve(error.message));
      response.on('end', () => resolve(response.statusCode));
      response.resume();
    });
    request.on('error', (error) => resolve(error.message));
    request.end(content);
  });
}

for (let i = 0; i < Number(count); i++) console.log(await upload());
