// SPDX-License-Identifier: MIT
// Writes docs/dashboard.png: the dashboard while a load runs. Needs chromium and `npm ci` in this folder; takes ten minutes:
//
//     node tests/browser/picture.mjs
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const PICTURE = fileURLToPath(new URL('../../docs/dashboard.png', import.meta.url));
const DAEMON = process.env.DAEMON ?? fileURLToPath(new URL('../../build/pipit', import.meta.url));
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const SAMPLES = 600; // one a second: as many as the charts show
const PICTURE_BYTES_MAX = 200 * 1024;

const daemon = spawn(DAEMON, ['--listen', '127.0.0.1:0', '--workers', '4', '--head-timeout', '5s'], { stdio: ['ignore', 'pipe', 'inherit'] });
const [line] = await once(createInterface({ input: daemon.stdout }), 'line');
const [, host, port] = /http:\/\/(.*):(\d+)$/.exec(line);
const agent = new http.Agent({ keepAlive: true, maxSockets: 24 });

const REQUESTS = [
	...Array(12).fill({ path: '/hello/get?name=Ada' }), ...Array(9).fill({ path: '/json/hello' }),
	...Array(4).fill({ path: '/json/echo', method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"list":[1,2.5,"three"]}' }),
	...Array(3).fill({ path: '/style.css' }), { path: '/style.css', headers: { 'if-none-match': '*' } },
	{ path: '/nothing-here' }, { path: '/json/echo', method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"list":[1,2,}' },
];

function request({ path, method, headers, body }) {
	return new Promise(resolve => http.request({ host, port, agent, path, method, headers }, response => {
		response.resume().on('end', resolve);
	}).on('error', resolve).end(body));
}

// A head that stops, which gets 408; and one that RFC 9112 forbids, which gets 400.
function misbehave(head) {
	net.connect(port, host, function () { this.write(head); }).on('error', () => {}).resume();
}

let ended = false;

/** Requests per tick: a wave with a few steps. */
async function load() {
	for (let tick = 0; !ended; tick++) {
		const count = 40 + Math.round(25 * Math.sin(tick / 90)) + (tick % 400 > 300 ? 45 : 0);
		const next = new Promise(resolve => setTimeout(resolve, 50));
		await Promise.all(Array.from({ length: count }, (_, i) => request(REQUESTS[(tick * 7 + i) % REQUESTS.length])));
		if (tick % 100 === 0)
			misbehave('GET / HTTP/1.1\r\nHost: slow\r\n');
		if (tick % 60 === 0)
			misbehave('GET / HTTP/1.1\r\nHost : gap\r\n\r\n');
		await next;
	}
}

const loading = load();
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
try {
	const page = await browser.newPage({ viewport: { width: 1200, height: 860 }, colorScheme: 'light' });
	await page.goto(`http://${host}:${port}/`);
	await page.locator('#state[data-state=live]').waitFor();
	await page.waitForFunction(samples => document.querySelectorAll('.line').length && performance.now() > samples * 1000, SAMPLES,
		{ timeout: (SAMPLES + 60) * 1000, polling: 500 });
	await page.screenshot({ path: PICTURE });
} finally {
	ended = true;
	await Promise.all([loading, browser.close()]);
	agent.destroy();
	daemon.kill('SIGTERM');
}
const { size } = statSync(PICTURE);
console.log(`${PICTURE}: ${size} bytes`);
process.exitCode = size <= PICTURE_BYTES_MAX ? 0 : 1;
