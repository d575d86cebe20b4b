// SPDX-License-Identifier: MIT
// The panel that sends a request, and shows its curl command.
import { SECONDS, show } from './format.js';

const byId = id => document.getElementById(id);
const form = byId('try');
// Headers of every response, or of the connection.
const HIDDEN_HEADERS = ['connection', 'content-security-policy', 'date', 'keep-alive', 'referrer-policy', 'x-content-type-options'];
const SHOWN_CHARACTERS = 65536;

// --- a request, and its curl command ---

const JSON_TYPE = 'application/json';

function contentOf(kind, name) {
	if (kind === 'form') return { type: 'application/x-www-form-urlencoded', body: String(new URLSearchParams({ name })) };
	return kind === 'text' ? { type: 'text/plain', body: name } : { type: JSON_TYPE, body: JSON.stringify({ name }) };
}

function composed() {
	const { request, kind, name, json } = Object.fromEntries(new FormData(form));
	const url = path => new URL(path, document.baseURI);
	if (request === 'echo') return { method: 'POST', url: url('json/echo'), type: JSON_TYPE, body: json.replaceAll('\r\n', '\n') };
	if (request === 'post') return { method: 'POST', url: url('hello/post'), ...contentOf(kind, name) };
	const target = url('hello/get');
	if (name) target.search = new URLSearchParams({ name });
	return { method: 'GET', url: target };
}

// In single quotes a shell changes no character, but a quote ends them.
const quoted = word => /^[\w@%+:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

function curlCommand({ url, type, body }) {
	const words = ['curl'];
	if (type && type !== 'application/x-www-form-urlencoded') words.push('-H', `Content-Type: ${type}`);
	// -d @NAME would send a file
	if (body !== undefined) words.push(body.startsWith('@') ? '--data-raw' : '-d', body);
	return [...words, url.href].map(quoted).join(' ');
}

// --- the reply ---

function showAnswer(words, tone, fields = [], body = '') {
	const status = Object.assign(document.createElement('strong'), { className: tone, textContent: words.shift() });
	byId('answer').className = '';
	byId('answer').replaceChildren(status, words.join(''));
	byId('fields').replaceChildren(...fields.flatMap(pair => pair.map((text, index) =>
		Object.assign(document.createElement(index ? 'dd' : 'dt'), { textContent: text }))));
	byId('content').textContent = body.length > SHOWN_CHARACTERS ? `${body.slice(0, SHOWN_CHARACTERS)}\n…` : body;
}

async function send({ method, url, type, body }) {
	const start = performance.now();
	const response = await fetch(url, { method, body, headers: type ? { 'Content-Type': type } : {}, cache: 'no-store',
		signal: AbortSignal.timeout(15_000) });
	const text = await response.text();
	const seconds = (performance.now() - start) / 1000;
	showAnswer([`${response.status} ${response.statusText}`, ` in ${show(seconds, SECONDS)}`],
		response.ok ? 'fine' : 'bad', [...response.headers].filter(([name]) => !HIDDEN_HEADERS.includes(name)), text);
}

form.addEventListener('submit', async event => {
	event.preventDefault();
	byId('send').disabled = true;
	try {
		await send(composed());
	} catch (error) {
		showAnswer(['No answer', `: ${error.message}`], 'bad');
	}
	byId('send').disabled = false;
	byId('send').focus();
});

// --- the form ---

function refresh() {
	const request = form.elements.request.value;
	for (const node of form.querySelectorAll('[data-for]')) node.hidden = !node.dataset.for.split(' ').includes(request);
	byId('curl').textContent = curlCommand(composed());
	byId('copied').textContent = '';
}

form.addEventListener('input', refresh);

// The clipboard API needs a secure context, and appliances often have plain http.
async function copy(node) {
	if (navigator.clipboard) return navigator.clipboard.writeText(node.textContent);
	getSelection().selectAllChildren(node);
	if (!document.execCommand('copy')) throw new Error('not allowed');
}

byId('copy').addEventListener('click', async () => {
	try {
		await copy(byId('curl'));
		byId('copied').textContent = 'copied';
	} catch {
		getSelection().selectAllChildren(byId('curl'));
		byId('copied').textContent = 'selected: press Ctrl+C';
	}
});

refresh();
