#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A session with every handler under valgrind: no leak, no invalid access, no descriptor leak.
set -euo pipefail
folder=$(dirname "$(readlink -f "$0")")
exec "$folder/curl_test.sh" --under valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=all \
	--errors-for-leak-kinds=all --child-silent-after-fork=yes
