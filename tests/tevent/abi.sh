#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: tests/tevent/abi.sh
# Our libtevent.so.0 as the linker sees it: the name, the version nodes (empty ones included), each
# function of tevent 0.17.2 in the node of the release that brought it and nothing else; the same
# where Debian's library has it; and our header as the compiler sees it.
set -u
cd "$(dirname "$0")/../.."
top=$PWD
build=${TALEV_BUILD:-$top/build}
include=${TEVENT_INCLUDE:-$top/include/tevent}
CC=${CC:-gcc}
library=
for one in "$build" "$build/tevent" "$build/lib/tevent" "$build/talev"; do
	[ ! -e "$one/libtevent.so.0" ] || library=$one
done
if [ -z "$library" ]; then
	[ -d lib/tevent ] || { echo "there is no lib/tevent yet"; exit 77; }
	echo "no libtevent.so.0 below $build"
	exit 1
fi
[ -e "$include/tevent.h" ] || { echo "there is no $include/tevent.h"; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
system=$(ldconfig -p | sed -n 's/.*libtevent\.so\.0 .*=> //p' | head -1)

python3 tests/tevent/abi.py "$library/libtevent.so.0" ${system:+"$system"} || exit 1

# Every function that a header declares has an address, in the library that goes with it; the types
# are those of the installed header where there is one.
compile() {
	what=$1
	shift
	python3 tests/tevent/abi.py --program >"$work/$what.c" || exit 1
	$CC -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-deprecated-declarations "$@" \
		-o "$work/$what" "$work/$what.c" -L"$library" -Wl,-rpath-link,"$build" -ltevent \
		-ltalloc || { echo "does not compile with $what"; exit 1; }
	LD_LIBRARY_PATH=$library:$build "$work/$what" || { echo "$what: wrong layout"; exit 1; }
}
compile our-header -I"$include" -DOURS
$CC -std=c11 -fsyntax-only -I"$include" -include tevent.h -x c /dev/null &&
	g++ -std=c++17 -fsyntax-only -I"$include" -include tevent.h -x c++ /dev/null ||
	{ echo "our tevent.h does not stand alone"; exit 1; }
if [ -e /usr/include/tevent.h ]; then
	compile installed-header
	# The same declarations: a file that sees both, one after the other, is told of each difference.
	python3 tests/tevent/abi.py --same "$include/tevent.h" /usr/include/tevent.h "$CC" ||
		exit 1
fi
echo "the binary interface is tevent's"
