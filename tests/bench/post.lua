-- SPDX-License-Identifier: MIT
-- A POST of the JSON that follows `--` on wrk's command line.

function init(arguments)
	wrk.method = "POST"
	wrk.headers["Content-Type"] = "application/json"
	wrk.body = arguments[1]
end
