// SPDX-License-Identifier: MIT
// The web interface of a transmission-daemon in headless Chromium: it uploads a torrent file. Run by tests/guard/real_programs_test.py.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const PATIENCE_MS = 60_000;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
	'--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });

try {
	const page = await browser.newPage();
	const wrong = [];
	page.setDefaultTimeout(PATIENCE_MS);
	page.on('pageerror', error => wrong.push(error.stack));
	page.on('requestfailed', request => wrong.push(`${request.url()}: ${request.failure().errorText}`));
	// 409 is how the daemon tells the session to use.
	page.on('response', response => { if (![200, 301, 302, 304, 409].includes(response.status())) wrong.push(`${response.url()}: ${response.status()}`); });
	await page.goto(process.env.URL);
	await page.waitForURL('**/transmission/web/');
	await page.locator('#toolbar-open').click();
	await page.locator('#torrent_upload_file').setInputFiles(process.env.TORRENT);
	await page.locator('#upload_confirm_button').click();
	await page.locator('#torrent_list .torrent_name', { hasText: 'payload' }).waitFor();
	assert.deepEqual(wrong, []);
} finally {
	await browser.close();
}
