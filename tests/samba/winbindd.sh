#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 120
# usage: tests/samba/winbindd.sh    (TEVENT=system: with the system's library)
# winbindd as a daemon answers, hears SIGHUP, ends on SIGTERM; so do the processes it starts.
need="winbindd wbinfo smbcontrol"
. "$(dirname "$0")/setup"

ask() {
	with wbinfo "$@" >"$work/log/wbinfo" 2>&1
}

cat >>"$conf" <<END
[global]
winbindd socket directory = /run/samba/winbindd
idmap config * : backend = tdb
idmap config * : range = 10000-20000
END
with setsid winbindd -D -s "$conf" -l "$work/log" >"$work/log/winbindd.out" 2>&1 ||
	fail "winbindd -D does not start"
wait_for 20 ask -p || fail "winbindd does not answer"
winbindd=$(cat "$work/pid/winbindd.pid")
check_maps "$winbindd" winbindd
say "a ping answered"

ask --own-domain && grep -q TALEV "$work/log/wbinfo" || fail "own domain"
ask -n 'BUILTIN\Administrators' && grep -q 'S-1-5-32-544' "$work/log/wbinfo" || fail "name to SID"
ask -s S-1-5-32-545 && grep -q 'BUILTIN.Users' "$work/log/wbinfo" || fail "SID to name"
ask -m --verbose && grep -q '^BUILTIN' "$work/log/wbinfo" || fail "domains"
ask --domain-info=BUILTIN && grep -q 'S-1-5-32' "$work/log/wbinfo" || fail "domain info"
for child in $(pgrep -P "$winbindd"); do
	check_maps "$child" "a child of winbindd"
	break
done
say "names and SIDs"

bad=0
askers=
for i in $(seq 50); do
	with wbinfo -s S-1-5-32-545 >"$work/w$i" 2>&1 &
	askers="$askers $!"
done
for one in $askers; do
	wait "$one" || bad=$((bad + 1))
done
[ $bad = 0 ] || fail "$bad of 50 at once"
say "50 at once"

kill -HUP "$winbindd"
ask -p || fail "no answer after SIGHUP"
with smbcontrol -s "$conf" winbindd ping >"$work/log/ping" 2>&1
grep -q "PONG from pid $winbindd" "$work/log/ping" || fail "winbindd does not answer a message"
say "SIGHUP"

kill -TERM "$winbindd"
wait_for 20 gone "$winbindd" || fail "winbindd does not end on SIGTERM"
wait_for 20 sh -c '! pgrep -x winbindd' || fail "children are left: $(pgrep -ax winbindd)"
! grep -ri 'panic\|internal error\|smb_abort' "$work/log" || fail "there was a panic"
say "SIGTERM"
