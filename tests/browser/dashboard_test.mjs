// SPDX-License-Identifier: MIT
// The dashboard in headless Chromium, against the real daemon. Run by dashboard_test.py.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const STATIC = fileURLToPath(new URL('../../static/', import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const POLICY = "default-src 'self'; frame-ancestors 'self'";
const PATIENCE_MS = 60_000;
const WORKERS = 2;
const OUTAGE = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|status of 503/;

// Chromium's switches; each browser has a new, empty profile.
const SWITCHES = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync'];

let browser, daemon, address = '127.0.0.1:0';

// --- the daemon, the browser, a load ---

const launch = (...switches) => chromium.launch({ executablePath: process.env.CHROMIUM, args: [...SWITCHES, ...switches] });

async function startDaemon(...options) {
	daemon = spawn(process.env.DAEMON, ['--listen', address, '--workers', String(WORKERS), ...options],
		{ stdio: ['ignore', 'pipe', 'inherit'] });
	let said = '';
	for await (const text of daemon.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
		said += text;
		if (said.includes('\n')) break;
	}
	daemon.stdout.resume();
	address = /listening on https?:\/\/(\S+)/.exec(said)?.[1] ?? assert.fail(`the daemon said ${JSON.stringify(said)}`);
}

async function stopDaemon() {
	const ended = new Promise(resolve => daemon.once('exit', (status, signal) => resolve(status ?? signal)));
	daemon.kill('SIGTERM');
	assert.equal(await ended, 0, 'how the daemon ended');
}

/** Sends requests, eight at a time, until the returned function is called, or 20,000 are sent. */
function startLoad() {
	let left = 20_000, ended = false;
	const client = async () => {
		while (!ended && left-- > 0) {
			const path = left % 10 ? '/hello/get' : '/nothing-here';
			await (await fetch(`http://${address}${path}`)).arrayBuffer();
		}
	};
	const clients = Promise.all(Array.from({ length: 8 }, client));
	return () => { ended = true; return clients; };
}

/**
 * Opens the daemon's own page, with its policy. At the end of the test the console must be empty
 * (except for what `expected` matches), without policy violations or requests to other hosts.
 */
async function open(t, { expected = null, prepare = () => {}, path = '/', ...options } = {}) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
	const complaints = [];
	const page = await context.newPage();
	page.setDefaultTimeout(PATIENCE_MS);
	page.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
	page.on('pageerror', error => complaints.push(error.stack));
	page.on('request', request => {
		if (new URL(request.url()).host !== address) complaints.push(`a request to ${request.url()}`);
	});
	await page.exposeFunction('violated', directive => complaints.push(`${directive} was violated`));
	await page.addInitScript(() => addEventListener('securitypolicyviolation', event => window.violated(event.violatedDirective)));
	await prepare(page);
	t.after(async () => {
		await context.close();
		assert.deepEqual(complaints.filter(text => !expected?.test(text)), []);
	});
	const response = await page.goto(`http://${address}${path}`);
	assert.equal(response.headers()['content-security-policy'], POLICY);
	return page;
}

// --- texts of the page ----

const untilState = (page, state) => page.locator(`#state[data-state=${state}]`).waitFor();
const chart = (page, title) => page.locator('figure', { has: page.getByRole('heading', { name: title }) });
const textOf = locator => locator.first().textContent();
const glance = (page, label) => textOf(page.locator('#glance div', { has: page.getByText(label, { exact: true }) }).locator('dd'));
const lineOf = (page, title) => chart(page, title).locator('.line').first().getAttribute('d');
const highestOf = async (page, title) => /Highest in ten minutes: (.*)/.exec(await textOf(chart(page, title).locator('.hidden')))?.[1];
const cellsOf = (page, table) => page.locator(`#${table} tbody tr`).evaluateAll(rows =>
	Object.fromEntries(rows.map(({ cells: [head, ...others] }) => [head.textContent, others.map(cell => cell.textContent)])));
// 12, 1,234 and 12.3k.
const number = text => parseFloat(text.replaceAll(',', '')) * (/\dk/.test(text) ? 1e3 : 1);

async function until(what, condition) {
	const end = Date.now() + PATIENCE_MS;
	while (!await condition()) {
		assert.ok(Date.now() < end, `${what}: not within ${PATIENCE_MS / 1000} s`);
		await new Promise(resolve => setTimeout(resolve, 100));
	}
}

before(async () => {
	await startDaemon();
	browser = await launch();
});

after(async () => {
	await browser?.close();
	await stopDaemon();
});

// --- tests ---

test('the pages are 40 KiB at most', () => {
	const sizes = readdirSync(STATIC, { recursive: true }).map(name => statSync(STATIC + name)).filter(entry => entry.isFile());
	const total = sizes.reduce((sum, { size }) => sum + size, 0);
	assert.ok(total > 0 && total <= 40 * 1024, `${total} bytes`);
});

test('figures change under load, and the history survives a reload', async t => {
	const page = await open(t);
	await untilState(page, 'live');
	const before = await lineOf(page, 'Requests per second');
	const stop = startLoad();
	try {
		await until('requests are counted', async () => number(await glance(page, 'requests')) > 20);
		await until('latencies are shown', async () => /\d (µs|ms)/.test(await glance(page, 'latency p99')));
		await until('errors are shown by route', async () => number((await cellsOf(page, 'routes')).fallback?.[2] ?? '') > 0);
		await until('requests of a route add up', async () => number((await cellsOf(page, 'routes'))['/hello/get'][0]) > 20);
		await until('status 4xx is drawn', async () => (await chart(page, 'Status codes').locator('.area.warning').getAttribute('d')) !== '');
	} finally {
		await stop();
	}
	assert.notEqual(await lineOf(page, 'Requests per second'), before);
	assert.equal(await page.locator('#workers tbody tr').count(), WORKERS);
	assert.match(await textOf(page.locator('#method')), /^epoll/);
	for (const [worker, [busy, , lag, most, added]] of Object.entries(await cellsOf(page, 'workers')))
		assert.ok(/ %$/.test(busy) && / [µm]?s$/.test(lag) && / [µm]?s$/.test(most) && /^\d+ \/ \d+$/.test(added), worker);

	const highest = number(await highestOf(page, 'Requests per second'));
	assert.ok(highest > 20);
	await page.reload();
	await untilState(page, 'live');
	await until('the load is still in the chart', async () => number(await highestOf(page, 'Requests per second') ?? '') >= highest);
});

test('the page reconnects to the stream after a restart of the daemon', async t => {
	const page = await open(t, { expected: OUTAGE });
	await untilState(page, 'live');
	await until('figures are shown', async () => /\d/.test(await textOf(page.locator('#when'))));
	const stop = startLoad();
	try {
		await until('a load is in the chart', async () => number(await highestOf(page, 'Requests per second') ?? '') > 20);
	} finally {
		await stop();
	}
	await stopDaemon();
	await untilState(page, 'reconnecting');
	await untilState(page, 'gone');
	const stopped = await textOf(page.locator('#when'));
	await startDaemon();
	await untilState(page, 'live');
	await until('figures are new', async () => await textOf(page.locator('#when')) !== stopped);
	await until('the outage is a gap', async () => (await lineOf(page, 'Requests per second')).split('M').length > 2);
	assert.ok(number(await highestOf(page, 'Requests per second')) > 20, 'what was before the outage stays');
});

test('figures are live over https', async t => {
	const folder = mkdtempSync(join(tmpdir(), 'pipit-dashboard-'));
	t.after(() => rmSync(folder, { recursive: true }));
	try {
		execFileSync(process.env.DAEMON, ['--make-test-certificate', folder], { stdio: 'pipe' });
	} catch (error) {
		if (!/no TLS/.test(error.stderr)) throw error;
		t.skip('the daemon is built without TLS');
		return;
	}
	const [certificate, key] = ['certificate.pem', 'key.pem'].map(name => join(folder, name));
	await stopDaemon();
	t.after(async () => {
		await stopDaemon();
		address = '127.0.0.1:0';
		await startDaemon();
	});
	address = 'https://127.0.0.1:0';
	await startDaemon('--tls-certificate', certificate, '--tls-key', key);
	// Accepted is this key, and no other one.
	const spki = new X509Certificate(readFileSync(certificate)).publicKey.export({ type: 'spki', format: 'der' });
	const trusting = await launch(`--ignore-certificate-errors-spki-list=${createHash('sha256').update(spki).digest('base64')}`);
	t.after(() => trusting.close());
	const page = await trusting.newPage();
	const complaints = [];
	page.setDefaultTimeout(PATIENCE_MS);
	page.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
	page.on('pageerror', error => complaints.push(error.stack));
	const response = await page.goto(`https://${address}/`);
	assert.equal((await response.securityDetails()).protocol, 'TLS 1.3');
	await untilState(page, 'live');
	const before = await lineOf(page, 'Requests per second');
	await until('requests are counted', async () => {
		await page.evaluate(() => Promise.all(Array.from({ length: 50 }, () => fetch('/hello/get').then(reply => reply.text()))));
		return number(await glance(page, 'requests')) > 20;
	});
	assert.notEqual(await lineOf(page, 'Requests per second'), before);
	await until('latencies are shown', async () => /\d (µs|ms)/.test(await glance(page, 'latency p99')));
	assert.match(await textOf(page.locator('#curl')), /https:/);
	await page.getByRole('button', { name: 'Send' }).click();
	await page.locator('#answer strong', { hasText: '200 OK' }).waitFor();
	assert.deepEqual(complaints, []);
	const other = await browser.newPage();
	t.after(() => other.close());
	await assert.rejects(other.goto(`https://${address}/`), /ERR_CERT_AUTHORITY_INVALID/);
});

test('links to other pages work', async t => {
	const page = await open(t);
	const links = await page.getByRole('navigation').getByRole('link').evaluateAll(all => all.map(({ href }) => href));
	assert.deepEqual(links.map(href => new URL(href).pathname), ['/metrics', '/healthz', '/readyz', '/openapi.json']);
	for (const href of links) assert.equal((await page.request.get(href)).status(), 200, href);
});

test('the page works in /_pipit/ beside a root', async t => {
	await stopDaemon();
	await startDaemon('--root', fileURLToPath(new URL('.', import.meta.url)));
	const page = await open(t, { path: '/_pipit/' });
	t.after(async () => {
		await stopDaemon();
		await startDaemon();
	});
	await untilState(page, 'live');
	const links = await page.getByRole('navigation').getByRole('link').evaluateAll(all => all.map(({ href }) => href));
	for (const href of links) assert.equal((await page.request.get(href)).status(), 200, href);
	await page.getByRole('button', { name: 'Send' }).click();
	await page.locator('#answer strong.fine').waitFor();
});

test('the page retries a refused stream', async t => {
	let refusals = 0;
	const page = await open(t, { expected: OUTAGE, prepare: page => page.route('**/events', route =>
		refusals++ < 2 ? route.fulfill({ status: 503, body: '' }) : route.continue()) });
	await untilState(page, 'reconnecting');
	await untilState(page, 'live');
	assert.equal(refusals, 3);
});

test('figures that an older server does not send are shown as a dash', async t => {
	const page = await open(t, { prepare: page => page.route('**/events', route => route.fulfill({ contentType: 'text/event-stream',
		body: 'retry: 60000\n\nevent: history\ndata: {"fields":["t","rps"],"rows":[[1764140000,null],[1764140001,3]]}\n\n' +
			'event: figures\ndata: {"t":1764140002,"rps":5,"workers":[{}],"routes":[{"route":"/only"}],"memory":{}}\n\n' })) });
	await until('the figures are there', async () => await glance(page, 'requests') === '5/s');
	assert.equal(await glance(page, 'latency p99'), '–');
	assert.deepEqual(await cellsOf(page, 'routes'), { '/only': ['–', '–', '–', '–', '–'] });
	await until('charts are drawn', async () => await highestOf(page, 'Requests per second') === '5/s');
	const text = await page.locator('body').evaluate(body => body.textContent + body.innerHTML);
	assert.doesNotMatch(text, /NaN|undefined|Infinity|null[^}]/);
});

/** Taps again if the first charts move the button away. Other tests check that requests are sent. */
async function sendUntilAnswered(page) {
	const answer = page.locator('#answer strong');
	for (let i = 0; i < 3 && !await answer.isVisible(); i++) {
		await page.getByRole('button', { name: 'Send' }).click();
		await answer.waitFor({ timeout: 10_000 }).catch(() => {});
	}
	await answer.waitFor();
}

for (const [name, options] of Object.entries({
	light: { colorScheme: 'light' },
	dark: { colorScheme: 'dark' },
	phone: { colorScheme: 'light', viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
	'dark phone': { colorScheme: 'dark', viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
})) {
	test(`axe finds no serious violation: ${name}`, async t => {
		const page = await open(t, options);
		await untilState(page, 'live');
		await sendUntilAnswered(page);
		await page.evaluate(AXE);
		const { violations, passes } = await page.evaluate(() => window.axe.run());
		const found = violations.map(({ id, impact, nodes }) => `${impact}: ${id}: ${nodes.map(node => node.html).join('\n')}`);
		t.diagnostic(`${passes.length} rules pass, ${violations.length} do not`);
		assert.ok(passes.length > 20);
		assert.deepEqual(found.filter(line => /^(serious|critical)/.test(line)), []);
		if (options.isMobile) assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth) <= 360, 'it scrolls sideways');
	});
}

const NAME = `O'Brien & "Söhne" $HOME \\ 100% +=;`;

for (const { title, choices, field, value, expected } of [
	{ title: 'GET /hello/get', choices: ['GET /hello/get'], field: 'name', value: NAME, expected: `Hello, ${NAME}!` },
	{ title: 'GET /hello/get without a name', choices: ['GET /hello/get'], field: 'name', value: '', expected: 'Hello, World!' },
	{ title: 'POST /hello/post, JSON', choices: ['POST /hello/post', 'JSON'], field: 'name', value: NAME, expected: `Hello, ${NAME}!` },
	{ title: 'POST /hello/post, form', choices: ['POST /hello/post', 'form'], field: 'name', value: NAME, expected: `Hello, ${NAME}!` },
	{ title: 'POST /hello/post, text', choices: ['POST /hello/post', 'text'], field: 'name', value: NAME, expected: `Hello, ${NAME}!` },
	{ title: 'POST /hello/post, text like the name of a file', choices: ['POST /hello/post', 'text'], field: 'name',
		value: '@/etc/hostname', expected: 'Hello, @/etc/hostname!' },
	{ title: 'POST /json/echo', choices: ['POST /json/echo'], field: 'JSON', value: '{"it\'s":\n\t["$(date)", 1.5, null]}',
		expected: { "it's": ['$(date)', 1.5, null] } },
]) {
	test(`a request and its curl command get the same response: ${title}`, async t => {
		const page = await open(t);
		for (const choice of choices) await page.getByRole('radio', { name: choice, exact: true }).check();
		await page.getByRole('textbox', { name: field }).fill(value);
		const command = await textOf(page.locator('#curl'));
		await page.getByRole('button', { name: 'Send' }).click();
		await page.locator('#answer strong', { hasText: '200 OK' }).waitFor();
		assert.match(await textOf(page.locator('#answer')), /in [\d.]+ (µs|ms|s)$/);
		assert.match(await textOf(page.locator('#fields')), /content-type *application\/json/);
		const body = await textOf(page.locator('#content'));
		assert.deepEqual(typeof expected === 'string' ? JSON.parse(body).message : JSON.parse(body), expected);
		assert.equal(execFileSync('sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }), body);
	});
}

test('a refused request shows its error, and the command is copied', async t => {
	const page = await open(t, { expected: /status of 400/, permissions: ['clipboard-read', 'clipboard-write'] });
	await page.getByRole('radio', { name: 'POST /json/echo' }).check();
	await page.getByRole('textbox', { name: 'JSON' }).fill('[1,');
	await page.getByRole('button', { name: 'Send' }).click();
	await page.locator('#answer strong', { hasText: '400 Bad Request' }).waitFor();
	assert.match(JSON.parse(await textOf(page.locator('#content'))).detail, /line 1, column 4/);
	await page.getByRole('button', { name: 'Copy' }).click();
	await page.getByText('copied', { exact: true }).waitFor();
	assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await textOf(page.locator('#curl')));
});

test('charts and tables can be used by keyboard alone', async t => {
	const page = await open(t);
	await untilState(page, 'live');
	const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent);
	const tabTo = async wanted => {
		for (let presses = 0; presses < 60; presses++) {
			await page.keyboard.press('Tab');
			if (wanted.test(await focused())) return;
		}
		assert.fail(`Tab does not lead to ${wanted}`);
	};
	const when = chart(page, 'Requests per second').locator('.when');
	const plot = chart(page, 'Requests per second').getByRole('slider');

	await tabTo(/^Requests per second/);
	assert.notEqual(await plot.evaluate(node => getComputedStyle(node).outlineStyle), 'none', 'focus is visible');
	await page.keyboard.press('ArrowLeft');
	await until('the time is shown', async () => /^\d\d:\d\d:\d\d$/.test(await when.textContent()));
	const first = await when.textContent();
	assert.match(await plot.getAttribute('aria-valuetext'), new RegExp(`^${first}: requests (–|[\\d.,k]+/s)$`));
	await page.keyboard.press('PageDown');
	await until('it is another moment', async () => await when.textContent() !== first);
	assert.ok(Number(await plot.getAttribute('aria-valuenow')) <= -60);
	await page.keyboard.press('Escape');
	await until('the cursor is gone', async () => await when.textContent() === '');

	for (const path of ['/hello/get', '/nothing-here']) await (await fetch(`http://${address}${path}`)).arrayBuffer();
	const routes = async () => Object.keys(await cellsOf(page, 'routes'));
	await until('two routes are there', async () => (await routes()).length > 1);
	await tabTo(/^route$/);
	await page.keyboard.press('Enter');
	assert.equal(await page.locator('#routes th[data-key=route]').getAttribute('aria-sort'), 'ascending');
	assert.deepEqual(await routes(), (await routes()).sort((a, b) => a.localeCompare(b)));
	await page.keyboard.press('Enter');
	assert.deepEqual(await routes(), (await routes()).sort((a, b) => b.localeCompare(a)));
	await tabTo(/^Send$/);
	await page.keyboard.press('Enter');
	await page.locator('#answer strong', { hasText: '200 OK' }).waitFor();
});
