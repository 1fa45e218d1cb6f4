#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs the benchmarks one after the other.
set -eu

for program in "$BUILD"/tests/bench/bench_*; do
	case $program in
	*.o) ;;
	*) "$program" ;;
	esac
done
