// SPDX-License-Identifier: MIT
// The daemon's OpenAPI description against a validator, and against the daemon: every operation in it is called with its own
// examples. It names no route but that of the description. Run by openapi_test.py.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv/dist/2020.js';

const PATIENCE_MS = 60_000;
const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'];
// Methods that pipit does not answer by itself.
const WRONG_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
// Of OpenAPI's own dialect (§4.8.24.1); ajv refuses every other word that it does not know.
const OWN_KEYWORDS = ['discriminator', 'xml', 'externalDocs', 'example'];

let daemon, address, description, operations;
const ajv = new Ajv({ strict: true, strictTypes: false, strictRequired: false, validateFormats: false, allErrors: true });
ajv.addVocabulary(OWN_KEYWORDS);

// --- the daemon ---

async function startDaemon() {
	daemon = spawn(process.env.DAEMON, ['--listen', '127.0.0.1:0', '--workers', '1', '--settings', process.env.SETTINGS], { stdio: ['ignore', 'pipe', 'inherit'] });
	let said = '';
	for await (const text of daemon.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
		said += text;
		if (said.includes('\n')) break;
	}
	daemon.stdout.resume();
	address = /listening on (http:\/\/\S+)/.exec(said)?.[1] ?? assert.fail(`the daemon said ${JSON.stringify(said)}`);
}

async function stopDaemon() {
	const ended = new Promise(done => daemon.once('exit', (status, signal) => done(status ?? signal)));
	daemon.kill('SIGTERM');
	assert.equal(await ended, 0, 'how the daemon ended');
}

/** The first event with data of a stream; otherwise the whole body. */
async function readContent(response) {
	if (mediaTypeOf(response.headers.get('content-type')) !== 'text/event-stream') return response.text();
	let text = '';
	for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
		text += piece;
		if (/^data:.*\n\n/m.test(text)) return text;
	}
	assert.fail(`the stream ended before an event: ${text}`);
}

async function ask(target, options = {}) {
	const signal = AbortSignal.timeout(PATIENCE_MS);
	const response = await fetch(address + target, { redirect: 'manual', signal, ...options });
	return { status: response.status, type: response.headers.get('content-type'), headers: response.headers,
		content: await readContent(response) };
}

// --- the description ---

const mediaTypeOf = text => (text ?? '').split(';')[0].trim().toLowerCase();
const isJson = type => type === 'application/json' || type.endsWith('+json');

/** The document with every internal reference resolved. */
function resolve(item) {
	if (Array.isArray(item)) return item.map(resolve);
	if (!item || typeof item !== 'object') return item;
	if (typeof item.$ref === 'string') {
		assert.match(item.$ref, /^#\//, 'a reference to another document');
		const names = item.$ref.slice(2).split('/').map(name => name.replaceAll('~1', '/').replaceAll('~0', '~'));
		return resolve(names.reduce((parent, name) => parent?.[name], description) ?? assert.fail(`${item.$ref} leads nowhere`));
	}
	return Object.fromEntries(Object.entries(item).map(([name, value]) => [name, resolve(value)]));
}

/** In the order of the document, because an operation may need what an earlier one created. */
const listOperations = () => Object.entries(description.paths).flatMap(([path, item]) => METHODS.filter(method => item[method])
	.sort((one, other) => Object.keys(item).indexOf(one) - Object.keys(item).indexOf(other))
	.map(method => ({ path, method, ...resolve(item[method]) })));

const nameOf = ({ method, path }) => `${method.toUpperCase()} ${path}`;
const parametersOf = (operation, place) => (operation.parameters ?? []).filter(parameter => parameter.in === place);
/** The status of the reply, if it is described as a success. */
const successOf = (operation, { status, content }) => Object.keys(operation.responses).find(one => /^2\d\d$/.test(one) && one === String(status))
	?? assert.fail(`${nameOf(operation)}: ${status} is not described as a success; content: ${content.slice(0, 500)}`);

// --- examples ---

function exampleOfObject(schema) {
	const names = Object.keys(schema.properties ?? {});
	return Object.fromEntries(names.map(name => [name, exampleOf(schema.properties[name])]));
}

function exampleOf(schema) {
	if (schema === true || schema === undefined) return {};
	if (schema.examples) return schema.examples[0];
	for (const name of ['example', 'const', 'default']) if (name in schema) return schema[name];
	if (schema.enum) return schema.enum[0];
	const choice = schema.oneOf ?? schema.anyOf;
	if (choice) return exampleOf(choice[0]);
	switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
	case 'string': return 'text'.padEnd(schema.minLength ?? 0, 'x');
	case 'integer': case 'number': return schema.minimum ?? 1;
	case 'boolean': return true;
	case 'null': return null;
	case 'array': return Array.from({ length: schema.minItems ?? 1 }, () => exampleOf(schema.items));
	default: return exampleOfObject(schema);
	}
}

/** The example of a Parameter Object or a Media Type Object. */
function exampleIn(holder) {
	if ('example' in holder) return holder.example;
	const [first] = Object.values(holder.examples ?? {});
	return first ? first.value : exampleOf(holder.schema);
}

/** An explicit example: an optional parameter is sent with no other. */
const hasExample = ({ example, examples, schema }) => [example, examples, schema?.example, schema?.examples].some(one => one !== undefined);

function writeContent(type, example) {
	if (isJson(type)) return JSON.stringify(example);
	if (type === 'application/x-www-form-urlencoded') return new URLSearchParams(example).toString();
	return String(example);
}

/** type: one of the operation's media types; null: without a body. */
function makeRequest(operation, type, wantsOptional) {
	const wanted = place => parametersOf(operation, place)
		.filter(parameter => parameter.required || (wantsOptional && hasExample(parameter)))
		.map(parameter => [parameter.name, String(exampleIn(parameter))]);
	const names = Object.fromEntries(wanted('path'));
	// {name...} may contain slashes.
	const path = operation.path.replace(/\{(\w+)\}/g, (_, name) => names[name].split('/').map(encodeURIComponent).join('/'));
	const query = new URLSearchParams(wanted('query')).toString();
	const headers = Object.fromEntries(wanted('header'));
	if (type) headers['Content-Type'] = type;
	return { target: path + (query && `?${query}`), options: { method: operation.method.toUpperCase(), headers,
		body: type ? writeContent(mediaTypeOf(type), exampleIn(operation.requestBody.content[type])) : undefined } };
}

/** One for each media type, with the optional parameters; for safe methods with such parameters also without them. */
function requestsOf(operation) {
	const types = operation.requestBody ? Object.keys(operation.requestBody.content) : [null];
	const requests = types.map(type => makeRequest(operation, type, true));
	if (['get', 'head'].includes(operation.method)) requests.push(makeRequest(operation, null, false));
	return requests.filter((one, index) => requests.findIndex(other => JSON.stringify(other) === JSON.stringify(one)) === index);
}

// --- replies ---

function checkContent(content, schema) {
	const validate = ajv.compile(schema ?? true);
	assert.ok(validate(content), `${ajv.errorsText(validate.errors)} in ${JSON.stringify(content).slice(0, 500)}`);
}

/** Checks that status and media type are described, and that the body agrees with the schema. */
function checkReply(operation, status, reply) {
	assert.equal(String(reply.status), status, `the status; content: ${reply.content.slice(0, 500)}`);
	const described = Object.entries((operation.responses[status] ?? operation.responses.default).content ?? {});
	if (described.length === 0 || operation.method === 'head') {
		assert.equal(reply.content, '');
		return;
	}
	const type = mediaTypeOf(reply.type);
	const [, media] = described.find(([name]) => mediaTypeOf(name) === type) ?? assert.fail(`no reply is described as ${reply.type}`);
	checkContent(isJson(type) ? JSON.parse(reply.content) : reply.content, media.schema);
}

before(async () => {
	await startDaemon();
	description = JSON.parse((await ask('/openapi.json')).content);
	operations = listOperations();
});

after(stopDaemon);

// --- tests ---

const isValid = async document => (await new Validator().validate(structuredClone(document))).valid;

test('a validator of OpenAPI 3.1 accepts the description', async () => {
	const validator = new Validator();
	const { valid, errors } = await validator.validate(structuredClone(description));
	assert.ok(valid, JSON.stringify(errors, null, '\t'));
	assert.equal(validator.version, '3.1');
});

test('the validator refuses an invalid description', async () => {
	const path = Object.keys(description.paths)[0];
	const breaks = {
		'no title': document => delete document.info.title,
		'a version from the future': document => { document.openapi = '9.9.9'; },
		'a path without its slash': document => { document.paths[path.slice(1)] = document.paths[path]; },
		'a method that there is not': document => { document.paths[path].fetch = { responses: {} }; },
		'a parameter at no place': document => { document.paths[path].parameters = [{ name: 'a', in: 'body', schema: true }]; },
		'a reply without words': document => { document.components.responses.Problem = {}; },
	};
	for (const [name, makeWrong] of Object.entries(breaks)) {
		const broken = structuredClone(description);
		makeWrong(broken);
		assert.equal(await isValid(broken), false, name);
	}
	assert.equal(await isValid(description), true);
});

test('every operation has a unique id and a summary', () => {
	const ids = operations.map(({ operationId }) => operationId);
	assert.ok(ids.length > 0);
	assert.equal(new Set(ids).size, ids.length, ids.join(' '));
	for (const operation of operations) assert.ok(operation.summary, nameOf(operation));
});

test('names in braces in a path are its parameters', () => {
	for (const operation of operations) {
		const inPath = parametersOf(operation, 'path');
		assert.deepEqual(inPath.map(({ name }) => name), [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
		assert.ok(inPath.every(({ required }) => required), nameOf(operation));
	}
});

test('every schema is valid for draft 2020-12, without unknown keywords', () => {
	const contents = ({ parameters, requestBody, responses }) => [requestBody, ...Object.values(responses)]
		.flatMap(holder => Object.values(holder?.content ?? {})).concat(parameters ?? []);
	const schemas = operations.flatMap(contents).concat(Object.values(resolve(description.components.schemas)).map(schema => ({ schema })))
		.map(({ schema }) => schema).filter(schema => schema !== undefined);
	assert.ok(schemas.length > operations.length);
	for (const schema of schemas) ajv.compile(schema);
	assert.throws(() => ajv.compile({ type: 'record' }), /schema is invalid/);
	assert.throws(() => ajv.compile({ typ: 'object' }), /unknown keyword/);
});

test('every example agrees with its schema', () => {
	const checkHolder = holder => checkContent(exampleIn(holder), holder.schema);
	for (const operation of operations) {
		for (const parameter of operation.parameters ?? []) checkHolder(parameter);
		for (const media of Object.values(operation.requestBody?.content ?? {})) checkHolder(media);
	}
});

test('every operation replies as described', async t => {
	for (const operation of operations) {
		for (const { target, options } of requestsOf(operation)) {
			await t.test(`${options.method} ${target} ${options.headers['Content-Type'] ?? ''}`.trim(), async () => {
				const reply = await ask(target, options);
				checkReply(operation, successOf(operation, reply), reply);
			});
		}
	}
});

test('a wrong reply is detected', async () => {
	const operation = operations.find(({ method, responses }) => method === 'get' && responses[200]?.content?.['application/json']);
	const { target, options } = makeRequest(operation, null, true);
	const reply = await ask(target, options);
	const check = changed => checkReply(operation, '200', { ...reply, ...changed });
	check({});
	assert.throws(() => check({ status: 201 }), /the status/);
	assert.throws(() => check({ type: 'text/plain' }), /no reply is described/);
	assert.throws(() => check({ content: '[' }), SyntaxError);
	assert.throws(() => check({ content: '7' }), /must be object/);
});

test('a method that is not described gets 405 with the described ones', async () => {
	let refused = 0;
	for (const [path, item] of Object.entries(description.paths)) {
		const described = METHODS.filter(method => item[method]).map(method => method.toUpperCase());
		const answered = new Set([...described, 'OPTIONS', ...(described.includes('GET') ? ['HEAD'] : [])]);
		const operation = operations.find(other => other.path === path);
		const { target } = makeRequest(operation, null, false);
		const wrong = WRONG_METHODS.filter(method => !described.includes(method));
		for (const method of wrong) {
			const reply = await ask(target, { method });
			assert.equal(reply.status, 405, `${method} ${target}`);
			assert.deepEqual(new Set(reply.headers.get('allow').split(', ')), answered, `${method} ${target}`);
			checkReply(operation, '405', reply);
			refused++;
		}
	}
	assert.ok(refused > 0);
});

test('the routes with requests are exactly the described ones', async () => {
	for (const { target, options } of operations.flatMap(requestsOf)) await ask(target, options);
	// Without parameter names: two patterns may be one path. Literals are not encoded in labels.
	const anonymous = pattern => pattern.replace(/\{[^}]*\}/g, '{}');
	const described = new Set(Object.keys(description.paths).map(path => anonymous(decodeURI(path))));
	const answered = async () => new Set([...(await ask('/metrics')).content.matchAll(/^http_requests_total\{.*route="([^"]*)"/gm)]
		.map(([, label]) => anonymous(label)).filter(label => !['fallback', 'none'].includes(label)));
	// A stream is counted when the daemon sees that its client has left.
	const end = Date.now() + PATIENCE_MS;
	while ((await answered()).size < described.size && Date.now() < end) await new Promise(done => setTimeout(done, 50));
	assert.deepEqual([...await answered()].sort(), [...described].sort());
});

test('it is sent again only after a change', async () => {
	const first = await ask('/openapi.json');
	const etag = first.headers.get('etag');
	assert.equal(mediaTypeOf(first.type), 'application/json');
	assert.equal(first.headers.get('cache-control'), 'no-cache');
	assert.match(etag, /^"[0-9a-f]{16}"$/);
	const again = await ask('/openapi.json', { headers: { 'If-None-Match': etag } });
	assert.deepEqual([again.status, again.content], [304, '']);
	assert.equal((await ask('/openapi.json', { headers: { 'If-None-Match': '"another"' } })).status, 200);
	const head = await ask('/openapi.json', { method: 'HEAD' });
	assert.deepEqual([head.status, head.content, head.headers.get('etag')], [200, '', etag]);
});
