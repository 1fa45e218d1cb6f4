#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 180
# usage: tests/samba/smbtorture.sh    (TEVENT=system: with the system's library)
# Samba's own tests of tevent, on every backend that the library lists.
need="smbtorture"
. "$(dirname "$0")/setup"

with smbtorture -s "$conf" ncalrpc:localhost local.event >"$work/log/torture" 2>&1 &
torture=$!
loaded() {
	pid=$(pgrep -o -x smbtorture) && grep -q libtevent.so "/proc/$pid/maps"
}
wait_for 20 loaded || fail "smbtorture does not start"
check_maps "$pid" smbtorture
wait "$torture"
status=$?
grep '^Got .* events/sec\|^backend .*test_event_context' "$work/log/torture"
passed=$(grep -c '^success: ' "$work/log/torture")
for word in failure error skip; do
	! grep "^$word: " "$work/log/torture" || bad=1
done
[ -z "${bad:-}" ] || fail "smbtorture local.event"
[ $status = 0 ] || fail "smbtorture ended with $status"
# Five for each backend, and five of threads, traces and the like.
[ "$passed" -ge 25 ] || fail "only $passed tests passed"
say "$passed tests passed"
