-- SPDX-License-Identifier: MIT
-- Sixteen requests with one write: wrk counts the requests in what request() returns, and waits for as many responses
-- before it writes again.

local burst

function init()
	burst = string.rep(wrk.format(), 16)
end

function request()
	return burst
end
