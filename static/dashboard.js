// SPDX-License-Identifier: MIT
// The dashboard: shows the events of /events. Charts are in chart.js, tables in tables.js.
import './base.js';
import { addChart, redraw, WINDOW_SECONDS } from './chart.js';
import { BYTES, SECONDS, setText, SHARE, sum, timeOfDay } from './format.js';
import { showTables } from './tables.js';
import './try.js';

// --- ten minutes of rows ---

let rows = [];

// Replaces rows of this second and later ones: the clock of the server may be set back.
function append(row) {
	while (rows.length && rows.at(-1).t >= row.t) rows.pop();
	rows.push(row);
	while (rows[0].t < row.t - WINDOW_SECONDS) rows.shift();
}

// Rows older than the history of a restarted server stay.
function takeHistory({ fields, rows: cells }) {
	for (const values of cells) append(Object.fromEntries(fields.map((name, index) => [name, values[index]])));
}

const worst = values => values?.length ? Math.max(...values) : null;
const mean = values => values?.length ? sum(values) / values.length : null;

// As the rows of the history.
function rowOf({ t, rps, p50, p90, p99, codes, connections, workers, memory, received, sent }) {
	return {
		t, rps, p50, p90, p99, ...codes, received, sent,
		connections: sum(connections),
		lag: worst(workers?.map(worker => worker.lag)),
		busy: mean(workers?.map(worker => worker.busy)),
		resident: memory?.resident,
	};
}

function takeFigures(figures) {
	const row = rowOf(figures);
	append(row);
	showTables(figures, row);
	setText(document.getElementById('when'), timeOfDay(figures.t));
}

// --- the stream ---

// Without events for this time the connection is dead, even without a FIN (power loss, unplugged cable).
const SILENCE_MS = 10_000;
const GONE_MS = 20_000;
const LONGEST_WAIT_MS = 10_000;
// A browser has six connections per server for all tabs: a hidden tab closes its own.
const HIDDEN_MS = 60_000;

let source = null, waitMs = 1000, retryTimer = 0, hiddenTimer = 0;
let heardAt = performance.now(), triedAt = heardAt;

function setState(state, words = state) {
	const node = document.getElementById('state');
	node.dataset.state = state;
	setText(node, words);
}

const setLost = () => {
	if (performance.now() - heardAt > GONE_MS) setState('gone', 'not reachable, reconnecting');
	else setState('reconnecting');
};

function heard(take) {
	return event => {
		heardAt = performance.now();
		waitMs = 1000;
		setState('live');
		take(JSON.parse(event.data));
		redraw(rows);
	};
}

function disconnect() {
	clearTimeout(retryTimer);
	source?.close();
	source = null;
}

function connect() {
	disconnect();
	triedAt = performance.now();
	source = new EventSource('events');
	source.addEventListener('history', heard(takeHistory));
	source.addEventListener('figures', heard(takeFigures));
	source.addEventListener('error', () => {
		setLost();
		// EventSource reconnects by itself, except after an error such as 503 (draining, max-streams).
		if (source?.readyState === EventSource.CLOSED) connectLater();
	});
}

function connectLater() {
	disconnect();
	retryTimer = setTimeout(connect, waitMs);
	waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
}

setInterval(() => {
	const now = performance.now();
	if (document.hidden || now - heardAt < SILENCE_MS) return;
	setLost();
	if (source && now - triedAt > SILENCE_MS) connectLater();
}, 1000);

document.addEventListener('visibilitychange', () => {
	clearTimeout(hiddenTimer);
	if (document.hidden) hiddenTimer = setTimeout(disconnect, HIDDEN_MS);
	else if (!source) {
		heardAt = performance.now();
		connect();
	}
});

// --- the charts ---

// The only series of a chart.
const one = (key, label) => ({ filled: true, series: [[key, label, 'one']] });

for (const spec of [
	{ title: 'Requests per second', suffix: '/s', ...one('rps', 'requests') },
	{ title: 'Latency (log scale)', units: SECONDS, log: true,
		series: [['p50', 'p50', 'one'], ['p90', 'p90', 'two'], ['p99', 'p99', 'three']] },
	{ title: 'Status codes per second', suffix: '/s', stacked: true,
		series: [['2xx', '2xx', 'fine'], ['3xx', '3xx', 'one'], ['4xx', '4xx', 'warning'], ['5xx', '5xx', 'bad']] },
	{ title: 'Connections', least: 3, ...one('connections', 'open') },
	{ title: 'Busy share of the workers', units: SHARE, top: 1, ...one('busy', 'mean') },
	{ title: 'Event-loop lag', units: SECONDS, least: 1e-3, ...one('lag', 'worst worker') },
	{ title: 'Memory', units: BYTES, least: 2 ** 20, ...one('resident', 'resident') },
	{ title: 'Network per second', units: BYTES, suffix: '/s', least: 3 * 2 ** 10,
		series: [['received', 'received', 'one'], ['sent', 'sent', 'three']] },
]) addChart(document.getElementById('charts'), spec);

showTables({}, {});
connect();
