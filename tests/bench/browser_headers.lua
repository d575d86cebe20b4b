-- SPDX-License-Identifier: MIT
-- The headers of a browser that requests a page: 11, of which wrk adds one (Host).

wrk.headers = {
	["User-Agent"] = "Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) Version/17.4 Safari/537.36",
	["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
	["Accept-Language"] = "de-CH,de;q=0.9,en;q=0.8",
	["Accept-Encoding"] = "gzip, deflate, br",
	["Connection"] = "keep-alive",
	["Referer"] = "http://gateway.example/status/index.html",
	["Cookie"] = "session=2d711642b726b04401627ca9fbac32f5; columns=4",
	["Sec-Fetch-Dest"] = "document",
	["Sec-Fetch-Mode"] = "navigate",
	["Sec-Fetch-Site"] = "same-origin",
}
