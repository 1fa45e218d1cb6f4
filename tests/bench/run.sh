#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs the benchmarks one after the other; those with a peer are bench.py's, the drop-in's are
# bench_tevent.py's.
set -eu

for program in "$BUILD"/tests/bench/bench_*; do
	case $program in
	*.o | */bench_thread) ;;
	*) "$program" ;;
	esac
done
"$(dirname "$0")/bench.py"
[ ! -e "$BUILD/talev/libtevent.so.0" ] || "$(dirname "$0")/bench_tevent.py" --build "$BUILD"
