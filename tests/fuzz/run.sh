#!/bin/bash
# SPDX-License-Identifier: MIT
# tests/fuzz/run.sh SECONDS [TARGET...]: builds the targets with libFuzzer and runs each for that time, as many at once as there are
# processors. The corpus stays in build-fuzz/corpus. An input that fails a check is minimized and put into regression/TARGET, which
# the tests replay; the exit status is then 1.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET...]}
shift
all=(guard router config json form date files negotiation patch users networks connection tls)
targets=("$@")
[ $# -gt 0 ] || targets=("${all[@]}")
build=${BUILD:-build-fuzz}
here=tests/fuzz
jobs=${JOBS:-$(nproc)}
export UBSAN_OPTIONS=print_stacktrace=1

for target in "${targets[@]}"; do
	[ -f "$here/fuzz_$target.c" ] || { echo "run.sh: no target '$target'; there are: ${all[*]}" >&2; exit 2; }
done

mkdir -p "$build"
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER="${CC:-clang}" -DPIPIT_FUZZ=ON >"$build/log" 2>&1 &&
	cmake --build "$build" -j "$jobs" --target fuzz >"$build/log" 2>&1 || { cat "$build/log"; exit 1; }
programs=$build/tests/fuzz

# Longer inputs find the same defects, only later.
max_len() {
	case $1 in
	json | config) echo 4096 ;;
	date) echo 128 ;;
	patch) echo 512 ;;
	router | form | files | negotiation | users | networks) echo 1024 ;;
	*) echo 2048 ;;
	esac
}

# Folders of known inputs that exist.
known() {
	local folder
	for folder in "$here/seeds/$1" "$here/regression/$1"; do
		[ -d "$folder" ] && echo "$folder"
	done
	case $1 in guard | connection)
		for folder in tests/vectors/guard/accept tests/vectors/guard/reject; do
			[ -d "$folder" ] && echo "$folder"
		done ;;
	esac
}

# Runs one target for the whole time. Writes a line about it to TARGET.result.
run() {
	local target=$1 corpus=$build/corpus/$1 found=$build/found/$1 log=$build/$1.log dictionary=()
	mkdir -p "$corpus"
	rm -rf "$found"
	mkdir -p "$found"
	[ -f "$here/$target.dict" ] && dictionary=("-dict=$here/$target.dict")
	mapfile -t folders < <(known "$target")
	"$programs/fuzz_$target" -max_total_time="$seconds" -max_len="$(max_len "$target")" -timeout=10 -rss_limit_mb=1024 \
		-print_final_stats=1 -artifact_prefix="$found/" "${dictionary[@]}" "$corpus" "${folders[@]}" >"$log" 2>&1
	local status=$? findings=0 input smaller
	for input in "$found"/*; do
		[ -f "$input" ] || continue
		findings=$((findings + 1))
		smaller=$found/smaller
		"$programs/fuzz_$target" -minimize_crash=1 -max_total_time=20 -timeout=10 -exact_artifact_path="$smaller" \
			"$input" >"$build/$target.minimize.log" 2>&1
		[ -s "$smaller" ] || cp "$input" "$smaller"
		mkdir -p "$here/regression/$target"
		cp "$smaller" "$here/regression/$target/$(basename "$input")"
		rm -f "$smaller"
	done
	# A target that ended without an input, for example by the memory limit, is a finding too.
	[ $status -ne 0 ] && [ $findings -eq 0 ] && findings=1
	stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
	printf '%-11s %10s executions, %7s/s, corpus %5d, findings %d\n' "$target" "$(stat number_of_executed_units)" \
		"$(stat average_exec_per_sec)" "$(find "$corpus" -type f | wc -l)" "$findings" >"$build/$target.result"
	[ "$findings" -gt 0 ] && sed -n '/broken promise\|runtime error\|^SUMMARY\|ERROR: /p' "$log" | head -3 >>"$build/$target.result"
	cat "$build/$target.result"
	return "$findings"
}

# Shows the progress at intervals.
watch_progress() {
	# The sleep would outlive the run.
	trap 'kill $!; exit' TERM
	while sleep 15 & wait $!; do
		for target in "${targets[@]}"; do
			[ -f "$build/$target.log" ] && [ ! -f "$build/$target.result" ] &&
				printf '  … %-11s %s\n' "$target" "$(grep '^#' "$build/$target.log" | tail -1)"
		done
	done
}

for target in "${targets[@]}"; do
	rm -f "$build/$target.result" "$build/$target.log"
done
echo "fuzzing ${#targets[@]} targets for $seconds s each, $jobs at a time"
watch_progress &
watcher=$!
trap 'kill $watcher $(jobs -p) 2>/dev/null' EXIT
running=0 pids=()
for target in "${targets[@]}"; do
	if [ $running -ge "$jobs" ]; then
		wait -n
		running=$((running - 1))
	fi
	run "$target" &
	pids+=($!)
	running=$((running + 1))
done
for pid in "${pids[@]}"; do
	wait "$pid"
done
failed=()
for target in "${targets[@]}"; do
	grep -q 'findings 0$' "$build/$target.result" 2>/dev/null || failed+=("$target")
done
[ ${#failed[@]} -eq 0 ] && exit 0
echo "findings in: ${failed[*]}; see $here/regression and $build/TARGET.log" >&2
exit 1
