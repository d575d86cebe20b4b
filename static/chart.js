// SPDX-License-Identifier: MIT
// Charts of the last ten minutes as SVG, redrawn once a second, with a common cursor.
import { COUNT, known, setText, show, timeOfDay, unitFor } from './format.js';

export const WINDOW_SECONDS = 600;
// A single missing second is not a gap: the sampling timer is not exact.
const GAP_SECONDS = 2;
const LEFT = 62, RIGHT = 8, TOP = 6, BOTTOM = 18;

const charts = [];
let rows = [];
const newest = () => rows.at(-1)?.t ?? 0;
const round = number => Math.round(number * 10) / 10;

// --- scales: ticks, and the position of a value from 0 to 1 ---

// Ticks are 1, 2 or 5 times a power of ten of a unit, so that bytes have ticks at KiB.
function linearScale(highest, { units, least, top = Math.max(highest, least) }) {
	const [size] = unitFor(top, units);
	const power = 10 ** Math.floor(Math.log10(top / size / 3));
	const step = [1, 2, 5, 10].map(factor => factor * power * size).find(candidate => candidate > top / 3.001);
	const ticks = Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, index) => index * step);
	return { ticks, part: value => value / ticks.at(-1) };
}

// Latencies span decades: on a linear axis the median would be flat beside the 99th percentile.
function logScale(lowest, highest) {
	const low = Math.floor(Math.log10(Math.max(lowest, 1e-6)) + 1e-9);
	const high = Math.max(low + 1, Math.ceil(Math.log10(highest) - 1e-9));
	const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
	return { ticks, part: value => Math.max(0, (Math.log10(Math.max(value, 1e-9)) - low) / (high - low)) };
}

function scaleFor({ series, stacked, log, ...spec }) {
	let low = Infinity, high = 0;
	for (const row of rows) {
		const values = series.map(([key]) => row[key]).filter(known);
		low = Math.min(low, ...values);
		high = Math.max(high, stacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values));
	}
	const scale = log ? high ? logScale(low, high) : logScale(1e-4, 1e-2) : linearScale(high, spec);
	return { ...scale, high };
}

// --- lines and areas ---

// Points between gaps: [[[x, top, bottom], …], …]. A stack omits zeros.
function runsOf(key, below, { x, y }) {
	const runs = [];
	let last = -Infinity;
	rows.forEach((row, index) => {
		const value = row[key], floor = below?.[index] ?? 0;
		if (!known(value) || (below && !value)) return;
		if (row.t - last > GAP_SECONDS) runs.push([]);
		last = row.t;
		runs.at(-1).push([round(x(row.t)), round(y(floor + value)), round(y(floor))]);
	});
	return runs;
}

// A second between two gaps is a short dash.
const lineOf = run => run.length > 1 ? `M${run.map(([x, top]) => `${x} ${top}`).join('L')}` : `M${run[0][0] - 1} ${run[0][1]}h2`;
const areaOf = run => `${lineOf(run)}L${run.map(([x, , bottom]) => `${x} ${bottom}`).reverse().join('L')}Z`;

function drawSeries({ spec, find }, place) {
	const below = spec.stacked && rows.map(() => 0);
	for (const [key] of spec.series) {
		const runs = runsOf(key, below, place);
		find(`.area.k${key}`)?.setAttribute('d', runs.map(areaOf).join(''));
		find(`.line.k${key}`)?.setAttribute('d', runs.map(lineOf).join(''));
		if (below) rows.forEach((row, index) => { below[index] += row[key] || 0; });
	}
}

function drawAxes(chart, { x, y, width, height }, ticks) {
	const axes = [width, height, ...ticks].join();
	if (axes === chart.axes) return;
	chart.axes = axes;
	const text = (left, top, anchor, words) => `<text x="${left}" y="${top}" text-anchor="${anchor}">${words}</text>`;
	chart.find('.axes').innerHTML = ticks.map(tick => {
		const at = Math.round(y(tick)) + 0.5;
		return `<path d="M${LEFT} ${at}H${width - RIGHT}"/>${text(LEFT - 6, at + 3.5, 'end', show(tick, chart.spec.units))}`;
	}).join('') + text(LEFT, height - 4, 'start', '−10 min') +
		text(x(newest() - WINDOW_SECONDS / 2), height - 4, 'middle', '−5 min') + text(x(newest()), height - 4, 'end', 'now');
}

// --- the cursor: one second for all charts ---

// `back`: seconds before the newest data, under a resting pointer. `at`: a fixed second, chosen by key.
let cursor = null;
const cursorSecond = () => cursor && Math.max(cursor.at ?? newest() - cursor.back, newest() - WINDOW_SECONDS);
const rowAt = second => rows.findLast(row => row.t <= second && row.t > second - GAP_SECONDS);

function setCursor(next) {
	cursor = next;
	redraw();
}

// The cursor stays when a finger is lifted, until something else is touched.
document.addEventListener('pointerdown', event => { if (!event.target.closest('.plot')) setCursor(null); });

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -60, PageUp: 60, Home: -Infinity, End: Infinity };

function moveByKey(event) {
	const step = STEPS[event.key] * (event.shiftKey ? 10 : 1);
	if (event.ctrlKey || event.altKey || event.metaKey) return;
	if (step) setCursor({ at: Math.min(newest(), (cursorSecond() ?? newest()) + step) });
	else if (event.key === 'Escape') setCursor(null);
	else return;
	event.preventDefault();
}

const words = ({ spec }, row) =>
	spec.series.map(([key, label]) => `${label} ${show(row?.[key], spec.units, spec.suffix)}`).join(', ');

// Only after a move of the cursor: a screen reader would read a changing text every second.
function tell(chart) {
	const second = cursorSecond() ?? newest();
	chart.plot.setAttribute('aria-valuenow', second - newest());
	chart.plot.setAttribute('aria-valuetext', `${timeOfDay(second)}: ${words(chart, rowAt(second))}`);
}

function drawCursor({ spec, find, values }, { x, y, height }) {
	const second = cursorSecond();
	const row = second === null ? rows.at(-1) : rowAt(second);
	let floor = 0;
	spec.series.forEach(([key], index) => {
		const value = row?.[key];
		setText(values[index], show(value, spec.units, spec.suffix));
		const shown = second !== null && known(value) && (value || !spec.stacked);
		find(`.dot.k${key}`).setAttribute('d', shown ? `M${round(x(row.t))} ${round(y(floor + value))}h0` : '');
		if (spec.stacked) floor += value || 0;
	});
	setText(find('.when'), second === null ? '' : timeOfDay(second));
	find('.mark').setAttribute('d', second === null ? '' : `M${round(x(second))} ${TOP}V${height - BOTTOM}`);
}

// --- a chart ---

function listen(chart) {
	const { plot } = chart;
	const follow = event => {
		const { left, width } = plot.getBoundingClientRect();
		const part = (event.clientX - left - LEFT) / (width - LEFT - RIGHT);
		setCursor({ back: Math.round((1 - Math.min(1, Math.max(0, part))) * WINDOW_SECONDS) });
	};
	plot.addEventListener('pointermove', follow);
	plot.addEventListener('pointerdown', follow);
	plot.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') setCursor(null); });
	plot.addEventListener('keydown', event => { moveByKey(event); tell(chart); });
	plot.addEventListener('focus', () => tell(chart));
	plot.addEventListener('blur', () => setCursor(null));
	// Reading the size while drawing would cause a layout for each chart.
	new ResizeObserver(([{ contentRect }]) => { chart.size = contentRect; redraw(); }).observe(plot);
}

/**
 * title; series: [[key of a row, label, class of style.css], …]; units and suffix of values; least: minimum for the top of the axis,
 * or top: a fixed one; log; stacked; filled: with an area under the line. Constants only: they are not escaped.
 *
 * For screen readers a chart is a slider over time: arrow keys read the values of a second.
 */
export function addChart(parent, options) {
	const spec = { units: COUNT, suffix: '', least: 10, ...options };
	const paths = (kind, wanted) => wanted ? spec.series.map(([key, , tone]) => `<path class="${kind} ${tone} k${key}"/>`).join('') : '';
	const id = `chart-${charts.length}`;
	const figure = document.createElement('figure');
	figure.className = `panel ${spec.stacked ? 'stacked' : ''}`;
	figure.innerHTML = `<figcaption><h2>${spec.title}</h2><span class="quiet when"></span></figcaption>
<dl>${spec.series.map(([, label, tone]) => `<div><dt class="${tone}">${label}</dt><dd></dd></div>`).join('')}</dl>
<div class="plot" tabindex="0" role="slider" aria-label="${spec.title}, moment shown" aria-describedby="${id}"
aria-valuemin="${-WINDOW_SECONDS}" aria-valuemax="0" aria-valuenow="0" aria-valuetext="now"><svg aria-hidden="true"><g class="axes"></g>
${paths('area', spec.stacked || spec.filled)}${paths('line', !spec.stacked)}<path class="mark"/>${paths('dot', true)}</svg></div>
<p class="hidden" id="${id}"></p>`;
	parent.append(figure);
	const found = new Map();
	const find = selector => found.get(selector) ?? found.set(selector, figure.querySelector(selector)).get(selector);
	const chart = { spec, find, plot: find('.plot'), values: figure.querySelectorAll('dd'), size: { width: 0, height: 0 } };
	charts.push(chart);
	listen(chart);
}

function draw(chart) {
	const { width, height } = chart.size;
	const { ticks, part, high } = scaleFor(chart.spec);
	const place = {
		width, height,
		x: second => width - RIGHT - (newest() - second) / WINDOW_SECONDS * (width - LEFT - RIGHT),
		y: value => height - BOTTOM - part(value) * (height - TOP - BOTTOM),
	};
	drawAxes(chart, place, ticks);
	drawSeries(chart, place);
	drawCursor(chart, place);
	setText(chart.find('.hidden'), `Now: ${words(chart, rows.at(-1))}. Highest in ten minutes: ` +
		show(rows.length ? high : null, chart.spec.units, chart.spec.suffix));
}

let frame = 0;

// At most once per frame; a hidden tab has no frames.
export function redraw(next = rows) {
	rows = next;
	frame ||= requestAnimationFrame(() => {
		frame = 0;
		charts.forEach(draw);
	});
}
