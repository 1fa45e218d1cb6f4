#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: tests/tevent/tutorial.sh
# Programs as tevent's tutorial shows them: built with the system's header and run with either
# library, built with our header and run with ours. Each must print what stands at its end. Some tell
# of A FAULT OF TEVENT that the tutorial runs into, and are for our library alone.
set -u
cd "$(dirname "$0")/../.."
top=$PWD
build=${TALEV_BUILD:-$top/build}
CC=${CC:-gcc}
unset LD_LIBRARY_PATH
library=$build/talev
if [ ! -e "$library/libtevent.so.0" ]; then
	echo "there is no libtevent.so.0 in $library"
	exit 1
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

compile() {
	$CC -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -pthread -o "$work/program" "$source" "$@" \
		-ltalloc || failed=1
}

check() {
	timeout 30 env LD_LIBRARY_PATH="$1" "$work/program" >"$work/said" 2>&1
	status=$?
	if [ $status != 0 ] || ! cmp -s "$work/said" "$work/wanted"; then
		echo "$source, $2: exit status $status, and this:"
		cat "$work/said"
		failed=1
	else
		echo "ok: $(basename "$source"), $2"
	fi
}

for source in tests/tevent/tutorial/*.c; do
	sed -n '/^\/\* prints:/,$s/^ \* //p' "$source" >"$work/wanted"
	if [ -e /usr/include/tevent.h ]; then
		compile -ltevent
		grep -q 'A FAULT OF TEVENT' "$source" ||
			check '' "the system's header and library"
		check "$library:$build" "the system's header, our library"
	fi
	compile -I"$top/include/tevent" -L"$library" -Wl,-rpath-link,"$build" -ltevent
	check "$library:$build" "our header and library"
done
exit $failed
