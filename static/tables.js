// SPDX-License-Identifier: MIT
// The summary at the top, and the tables. Rows are updated in place, so that focus and selection survive.
import { BYTES, COUNT, DASH, duration, known, SECONDS, setText, SHARE, show, sum, whole } from './format.js';

const byId = id => document.getElementById(id);
const perSecond = value => show(value, COUNT, '/s');
const seconds = value => show(value, SECONDS);

// --- at a glance ---

const failed = ({ codes, rps }) => codes && (rps > 0 ? Math.min(1, codes['5xx'] / rps) : 0);

// Label, text, and condition of an alarm. `row`: as the rows of the history.
const GLANCE = [
	['requests', figures => perSecond(figures.rps)],
	['latency p99', figures => seconds(figures.p99)],
	['errors 5xx', figures => show(failed(figures), SHARE), figures => failed(figures) > 0],
	['connections', (figures, row) => whole(row.connections)],
	['busy', (figures, row) => show(row.busy, SHARE), (figures, row) => row.busy > 0.9],
	['loop lag', (figures, row) => seconds(row.lag), (figures, row) => row.lag > 0.1],
	['memory', (figures, row) => show(row.resident, BYTES)],
	['rejected', figures => show(sum(figures.rejected))],
	['timed out', figures => show(sum(figures.timeouts))],
	['uptime', figures => duration(figures.uptime)],
];
byId('glance').innerHTML = GLANCE.map(([label]) => `<div><dt>${label}</dt><dd></dd></div>`).join('');
const glanced = byId('glance').querySelectorAll('dd');

function showGlance(figures, row) {
	GLANCE.forEach(([, text, alarm], index) => {
		setText(glanced[index], text(figures, row));
		glanced[index].classList.toggle('alarm', Boolean(alarm?.(figures, row)));
	});
	setText(byId('version'), figures.version ?? '');
}

// --- tables ---

// Attributes: the page's policy forbids inline styles.
const BAR = '<svg aria-hidden="true"><rect height="100%"/></svg>';
const setShare = (cell, share) =>
	cell.querySelector('rect').setAttribute('width', `${known(share) ? (Math.min(1, share) * 100).toFixed(1) : 0}%`);

/** Fills a table with [[heading, value, …], …], with unique headings. `columns`: a class for each; `share` is a bar. */
function filler(id, ...columns) {
	const body = byId(id).tBodies[0];
	const kept = new Map();
	const make = heading => {
		const line = document.createElement('tr');
		line.innerHTML = columns.map((column, index) => index ? `<td class="${column}">${column === 'share' ? BAR : ''}</td>` :
			`<th scope="row" class="${column}"></th>`).join('');
		kept.set(heading, line);
		return line;
	};
	return items => {
		for (const [heading, line] of kept) if (!items.some(([name]) => name === heading)) line.remove(), kept.delete(heading);
		items.forEach((values, index) => {
			const line = kept.get(values[0]) ?? make(values[0]);
			columns.forEach((column, at) => (column === 'share' ? setShare : setText)(line.cells[at], values[at]));
			if (body.rows[index] !== line) body.insertBefore(line, body.rows[index] ?? null);
		});
	};
}

const fillWorkers = filler('workers', '', 'number', 'share', 'number', 'number', 'number', 'number', 'number');
const fillConnections = filler('connections', '', 'share', 'number');
const fillTurnover = filler('turnover', '', 'number');
const fillLimits = filler('limits', '', 'share', 'number', 'number');
const fillRejected = filler('rejected', '', 'number');
const fillTimeouts = filler('timeouts', '', 'number');

function showWorkers(workers = []) {
	// the same for all workers
	setText(byId('method'), `${workers[0]?.method ?? DASH}; events: now / max`);
	fillWorkers(workers.map(({ busy, lag, lag_max: most, events, events_max: peaks }, index) => [
		String(index), show(busy, SHARE), busy, seconds(lag), seconds(most),
		...['added', 'active', 'virtual'].map(kind => `${whole(events?.[kind])} / ${whole(peaks?.[kind])}`),
	]));
}

function showConnections({ connections, accepted, evicted, aborted }, all) {
	fillConnections(['idle', 'reading', 'handling', 'writing', 'streaming', 'closing']
		.map(state => [state, connections?.[state] / all, whole(connections?.[state])]));
	fillTurnover([['accepted', perSecond(accepted)], ['evicted', perSecond(evicted)],
		['closed before the reply', perSecond(aborted)]]);
}

function showLimits({ max_connections: mostConnections, memory, descriptors }, connections) {
	const limit = (name, used, most, shown) =>
		[name, most ? used / most : 0, shown(used), most === 0 ? 'no limit' : known(most) ? `of ${shown(most)}` : DASH];
	fillLimits([
		limit('connections', connections, mostConnections, whole),
		limit('descriptors', descriptors?.open, descriptors?.limit, whole),
		limit('buffered', memory?.buffered, memory?.limit, value => show(value, BYTES)),
	]);
}

function showCounts(fill, counts) {
	const items = Object.entries(counts ?? {}).sort(([, a], [, b]) => b - a);
	fill(items.length ? items.map(([name, count]) => [name.replaceAll('_', ' '), whole(count)]) : [[counts ? 'none' : DASH, '']]);
}

// --- routes, in the order that was clicked ---

const fillRoutes = filler('routes', 'path', 'number', 'number', 'number', 'number', 'number');
const heads = byId('routes').tHead.rows[0];
heads.innerHTML = ['route', 'requests', 'rate', 'errors', 'p50', 'p99']
	.map(key => `<th scope="col" data-key="${key}"><button type="button">${key}</button></th>`).join('');
let order = { key: 'requests', down: true };
let routes = [];

// Missing values are last in both orders.
function compare(one, other) {
	const [a, b] = [one[order.key] ?? null, other[order.key] ?? null];
	if (a === null || b === null) return (a === null) - (b === null);
	const rising = typeof a === 'string' ? a.localeCompare(b) : a - b;
	return (order.down ? -rising : rising) || one.route.localeCompare(other.route);
}

function showRoutes() {
	const lines = [...routes].sort(compare).map(({ route, requests, rate, errors, p50, p99 }) =>
		[route, show(requests), perSecond(rate), perSecond(errors), seconds(p50), seconds(p99)]);
	fillRoutes(lines.length ? lines : [['none yet', '', '', '', '', '']]);
	for (const head of heads.children)
		head.setAttribute('aria-sort', head.dataset.key !== order.key ? 'none' : order.down ? 'descending' : 'ascending');
}

heads.addEventListener('click', event => {
	const { key } = event.target.closest('th').dataset;
	order = { key, down: order.key === key ? !order.down : key !== 'route' };
	showRoutes();
});

// --- names of tables, and scrolling by key ---

document.querySelectorAll('h2 + table, h2 + .scroll').forEach((node, index) => {
	const heading = node.previousElementSibling;
	heading.id = `title-${index}`;
	(node.tBodies ? node : node.firstChild).setAttribute('aria-labelledby', heading.id);
});

// Tables are Tab stops only if they scroll.
const watch = new ResizeObserver(entries => {
	for (const { target: { parentElement: region } } of entries) {
		if (region.scrollHeight > region.clientHeight || region.scrollWidth > region.clientWidth) region.tabIndex = 0;
		else region.removeAttribute('tabindex');
	}
});
for (const table of document.querySelectorAll('.scroll table')) watch.observe(table);

export function showTables(figures, row) {
	showGlance(figures, row);
	showWorkers(figures.workers);
	showConnections(figures, row.connections);
	showLimits(figures, row.connections);
	showCounts(fillRejected, figures.rejected);
	showCounts(fillTimeouts, figures.timeouts);
	routes = figures.routes ?? [];
	showRoutes();
}
