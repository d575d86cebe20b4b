// SPDX-License-Identifier: MIT
// Numbers as text. A value that is missing is a dash: an older server does not send it, or there is no measurement.

export const DASH = '–';

// [size, suffix, smallest value if not the size], largest first.
export const SECONDS = [[1, ' s'], [1e-3, ' ms'], [1e-6, ' µs']];
export const BYTES = [[2 ** 40, ' TiB'], [2 ** 30, ' GiB'], [2 ** 20, ' MiB'], [2 ** 10, ' KiB'], [1, ' B']];
export const COUNT = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k', 1e4], [1, '']];
export const SHARE = [[0.01, ' %']];

// English, as the page. Creating one is slow: one per number of decimals.
const decimals = [0, 1, 2].map(count => new Intl.NumberFormat('en', { maximumFractionDigits: count }));
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

export const known = value => typeof value === 'number' && isFinite(value);

export const sum = counts => counts && Object.values(counts).reduce((total, count) => total + count, 0);

export const unitFor = (value, units) => units.find(([size, , least = size]) => value >= least) ?? units.at(-1);

const plain = value => decimals[value >= 10 ? 0 : value >= 1 ? 1 : 2].format(value);

export function show(value, units = COUNT, suffix = '') {
	if (!known(value)) return DASH;
	// the unit after rounding: 999.7 µs are 1 ms
	const [size, name] = unitFor(value * 1.0005, units);
	return plain(value / size) + name + suffix;
}

export const whole = value => known(value) ? decimals[0].format(value) : DASH;

export const timeOfDay = seconds => known(seconds) ? clock.format(seconds * 1000) : DASH;

// The two largest units: 3 d 4 h.
export function duration(seconds) {
	if (!known(seconds)) return DASH;
	const parts = [];
	for (const [size, name] of [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]) {
		const count = Math.floor(seconds / size);
		if (count || parts.length || size === 1) parts.push(`${count} ${name}`);
		seconds %= size;
	}
	return parts.slice(0, 2).join(' ');
}

// Unchanged text causes no layout.
export const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
