// SPDX-License-Identifier: MIT
// fetch.mjs URL METHOD BYTES length|chunked COUNT [NAME=VALUE]...: node's fetch().
const [url, method, bytes, framing, count, ...fields] = process.argv.slice(2);
const content = Buffer.alloc(Number(bytes));
const headers = Object.fromEntries(fields.map((field) => field.split(/=(.*)/s).slice(0, 2)));

async function upload() {
  const body = framing === 'chunked' ? new Blob([content]).stream() : content;
  try {
    const response = await fetch(url, { method, headers, body, duplex: 'half' });
    await response.arrayBuffer();
    return response.status;
  } catch (error) {
    return `${error.message}: ${error.cause?.message}`;
  }
}

for (let i = 0; i < Number(count); i++) console.log(await upload());
