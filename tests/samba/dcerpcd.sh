#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 120
# usage: tests/samba/dcerpcd.sh    (TEVENT=system: with the system's library)
# samba-dcerpcd, started by smbd when it is needed and by itself, answers through its workers.
need="smbd smbclient rpcclient samba-dcerpcd"
. "$(dirname "$0")/setup"

with setsid smbd -F --no-process-group -s "$conf" -l "$work/log" >"$work/log/smbd.out" 2>&1 &
wait_for 20 client -c ls || fail "smbd does not answer"
smbd=$(cat "$work/pid/smbd.pid")
rpc() {
	with rpcclient -s "$conf" -p $port -U% "$@" >"$work/log/rpcclient" 2>&1
}
rpc 127.0.0.1 -c netshareenumall || fail "no list of shares: $(cat "$work/log/rpcclient")"
grep -q 'netname: share' "$work/log/rpcclient" || fail "the list lacks the share"
rpc 127.0.0.1 -c srvinfo || fail "srvinfo"
rpc 127.0.0.1 -c 'lookupsids S-1-5-32-544' || fail "lookupsids"
with smbclient -s "$conf" -p $port -U% -L 127.0.0.1 >"$work/log/list" 2>&1 || fail "smbclient -L"
grep -q '^[[:space:]]*share  *Disk' "$work/log/list" || fail "the list lacks the share"
for name in samba-dcerpcd rpcd_classic; do
	pid=$(pgrep -o "^$name") || fail "$name does not run"
	check_maps "$pid" "$name"
done
say "shares listed by way of smbd"
kill -TERM "$smbd"
wait_for 20 gone "$smbd" || fail "smbd does not end on SIGTERM"
pkill -TERM -x samba-dcerpcd
wait_for 20 sh -c '! pgrep -x samba-dcerpcd && ! pgrep ^rpcd_' ||
	fail "left: $(pgrep -a samba-dcerpcd; pgrep -a ^rpcd_)"
say "all have ended"

cat >"$work/more.conf" <<END
rpc start on demand helpers = no
END
with setsid samba-dcerpcd --libexec-rpcds -D -s "$conf" -l "$work/log" \
	>"$work/log/dcerpcd.out" 2>&1 || fail "samba-dcerpcd -D does not start"
wait_for 20 rpc ncalrpc: -c epmlookup || fail "no answer to a local call"
dcerpcd=$(pgrep -o -x samba-dcerpcd) || fail "samba-dcerpcd does not run"
check_maps "$dcerpcd" "samba-dcerpcd by itself"
rpc ncalrpc: -c srvinfo || fail "srvinfo by a local call"
grep -q 'Samba' "$work/log/rpcclient" || fail "srvinfo tells something else"
say "a local call answered"
kill -TERM "$dcerpcd"
wait_for 20 gone "$dcerpcd" || fail "samba-dcerpcd does not end on SIGTERM"
wait_for 20 sh -c '! pgrep ^rpcd_' || fail "workers are left: $(pgrep -a ^rpcd_)"
! grep -ri 'panic\|internal error\|smb_abort' "$work/log" || fail "there was a panic"
say "SIGTERM"
