// SPDX-License-Identifier: MIT
// Beside --root, the page is in /_pipit/, and what it links and requests is in the directory above.
if (/\/_pipit\/[^/]*$/.test(location.pathname)) {
	const icon = document.querySelector('link[rel=icon]');
	icon.href = icon.href; // absolute: browsers request it again when the base changes
	document.head.append(Object.assign(document.createElement('base'), { href: '../' }));
}
