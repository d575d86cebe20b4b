-- SPDX-License-Identifier: MIT
-- Merge patches. Each changes the document: it sets a member to a new number.

local threads, count = 0, 0

function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
end

function request()
	count = count + 1
	local body = string.format('{"c%d_%d":%d}', number, count % 64, count)
	return wrk.format("PATCH", nil, { ["Content-Type"] = "application/merge-patch+json" }, body)
end
