#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs the benchmarks one after the other; those with a peer are bench.py's.
set -eu

for program in "$BUILD"/tests/bench/bench_*; do
	case $program in
	*.o | */bench_thread) ;;
	*) "$program" ;;
	esac
done
"$(dirname "$0")/bench.py"
