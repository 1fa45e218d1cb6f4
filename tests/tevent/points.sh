#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 600, PRINTS_TAP
# usage: tests/tevent/points.sh [system|ours|all] [word of a test's name...]
#
# Builds the programs of this folder and runs them three times: with the system's header and
# library, which shows that the tests tell the truth; the same programs with our library; built
# with our header, with our library. Each on the backends of BACKENDS (default: all that the library
# lists, but for poll_mt, which a few tests ask for themselves). Prints which point has which
# tests and what became of them, as TAP with TAP=1.
#
#   VALGRIND=1       under memcheck (ours only)
#   SANITIZE=folder  with the library of that build, which was made with AddressSanitizer
#
# Fails if a point of the list has no test, and if a test fails.
set -u
cd "$(dirname "$0")/../.."
top=$PWD
points=75
what=${1:-all}
[ $# -eq 0 ] || shift
CC=${CC:-gcc}
here=$top/tests/tevent
build=${SANITIZE:-${TALEV_BUILD:-$top/build}}
include=${TEVENT_INCLUDE:-$top/include/tevent}
# A driver's own setting must not turn the system's turn into ours.
unset LD_LIBRARY_PATH

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

flags="-std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
	-Wno-deprecated-declarations -pthread -rdynamic"

library=
for one in "$build" "$build/tevent" "$build/lib/tevent" "$build/talev"; do
	[ ! -e "$one/libtevent.so.0" ] || library=$one
done
system=$(pkg-config --variable=libdir tevent 2>/dev/null)

# build folder flags: all programs into that folder
build() {
	folder=$work/$1
	mkdir -p "$folder"
	shift
	for source in "$here"/test_*.c; do
		$CC $flags -o "$folder/$(basename "$source" .c)" "$source" "$here/points.c" "$@" \
			-ltalloc -lcmocka || return 1
	done
}

failed=0
complain() {
	echo "points: $*" >&2
	failed=1
}

# run name folder libraries whose [arguments]: every program on every backend
run() {
	name=$1 folder=$work/$2 libraries=$3 whose=$4
	shift 4
	listed=$(LD_LIBRARY_PATH=$libraries "$folder/test_misc" --backends)
	for backend in ${BACKENDS:-$listed}; do
		for program in "$folder"/test_*; do
			log=$work/log
			env LD_LIBRARY_PATH="$libraries" POINTS_AGAINST="$whose" \
				POINTS_BACKEND="$backend" MALLOC_PERTURB_=165 \
				CMOCKA_MESSAGE_OUTPUT=STDOUT $runner "$program" "$@" >"$log" 2>&1
			status=$?
			sed -n 's/^\[ *\(OK\|FAILED\|SKIPPED\) *\] \(p[0-9]*_[a-z0-9_]*\)$/\1 \2/p' "$log" |
				sort -u | sed "s/^/$name $backend /" >>"$work/results"
			if [ "$status" -ne 0 ]; then
				echo "--- $name, $backend, $(basename "$program"):"
				grep -v '^\[ RUN\|^\[ *OK\|^\[=' "$log" | head -200
			fi
		done
	done
}

runner=
: >"$work/results"
have_system=
if [ -n "$system" ] && [ -e "$system/libtevent.so.0" ] && [ -e /usr/include/tevent.h ]; then
	have_system=1
fi
if [ -n "$have_system" ]; then
	build system -ltevent || exit 1
	case $what in
	system | all)
		[ -n "${SANITIZE:-}" ] || run system system '' system "$@"
		# What is mended here: does the fault show there?
		[ -n "${SANITIZE:-}" ] || BACKENDS=standard run faults system '' system --faults "$@"
		;;
	esac
else
	echo "points: libtevent-dev is not installed: nothing is compared with the system's library"
	[ "$what" != system ] || exit 77
fi

if [ "$what" != system ] && [ -z "$library" ]; then
	if [ -d "$top/lib/tevent" ]; then
		complain "no libtevent.so.0 below $build"
	else
		echo "there is no lib/tevent yet"
		[ "$what" != ours ] || exit 77
	fi
elif [ "$what" != system ]; then
	# The library is found by its soname alone; what it needs lies beside it or in the build.
	path=$library:$build
	if [ -n "${SANITIZE:-}" ]; then
		# With a sanitizer gcc sees less of what lengths there can be.
		flags="$flags -fsanitize=address,undefined -Wno-format-truncation"
		ASAN_OPTIONS=detect_leaks=0:halt_on_error=1
		export ASAN_OPTIONS
	fi
	if [ -n "${VALGRIND:-}" ]; then
		runner="valgrind -q --error-exitcode=99 --fair-sched=try --leak-check=full
			--show-leak-kinds=definite --errors-for-leak-kinds=definite"
	fi
	[ -z "$have_system" ] || [ -n "${SANITIZE:-}${VALGRIND:-}" ] || run unchanged system "$path" ours "$@"
	if [ -e "$include/tevent.h" ] && build ours -I"$include" -L"$library" -Wl,-rpath-link,"$build" -ltevent; then
		run ours ours "$path" ours "$@"
	else
		complain 'the programs do not compile with our header'
	fi
	program=$(echo "$work"/ours/test_misc)
	[ ! -x "$program" ] || LD_LIBRARY_PATH=$path ldd "$program" |
		grep -q "libtevent.so.0 => $library/" || complain "ldd does not find our library"
fi

list=$work/list
for program in "$work"/system/test_* "$work"/ours/test_*; do
	[ ! -x "$program" ] || LD_LIBRARY_PATH=${path:-} "$program" --list 2>/dev/null
done | sort -u | sort -k1,1n -k2 >"$list"

python3 - "$list" "$work/results" "$points" "${TAP:-}" <<'END' || failed=1
import collections, sys

listed, results, points, tap = sys.argv[1:]
tests = [line.split() for line in open(listed)]
seen = collections.defaultdict(lambda: collections.defaultdict(set))
for line in open(results):
    run, backend, word, name = line.split()
    seen[name][run].add((word, backend))
runs = [r for r in ('system', 'unchanged', 'ours') if any(r in s for s in seen.values())]
bad = 0


def cell(name, run):
    words = seen[name].get(run)
    if not words:
        return '-'
    failed = sorted(b for w, b in words if w == 'FAILED')
    if failed:
        return 'FAIL(%s)' % ','.join(failed)
    return 'ok'


print('%-5s %-70s %-8s' % ('point', 'test', 'holds') + ''.join('%-12s' % r for r in runs))
for number, name, kind in tests:
    cells = [cell(name, r) for r in runs]
    if 'faults' in seen[name] and 'system' in runs:
        shown = any(w == 'OK' for w, _ in seen[name]['faults'])
        cells[runs.index('system')] = 'fault seen' if shown else 'fault hides'
    bad += any(c.startswith('FAIL') for c in cells)
    print('%-5s %-70s %-8s' % (number, name, kind) + ''.join('%-12s' % c for c in cells))
have = {int(number) for number, _, _ in tests}
missing = [n for n in range(1, int(points) + 1) if n not in have]
for number in missing:
    print('point %d has no test' % number)
for run in runs:
    one = [cell(name, run) for _, name, _ in tests]
    print('%s: %d passed, %d failed' % (run, one.count('ok'), sum(c.startswith('FAIL') for c in one)))
if tap:
    cases = [(run, name) for run in runs for _, name, _ in tests if cell(name, run) != '-']
    print('1..%d' % (len(cases) + 1))
    print('%s 1 - each of the %s points has a test' % ('not ok' if missing else 'ok', points))
    for i, (run, name) in enumerate(cases, 2):
        print('%s %d - %s: %s' % ('ok' if cell(name, run) == 'ok' else 'not ok', i, run, name))
sys.exit(1 if bad or missing else 0)
END
exit $failed
