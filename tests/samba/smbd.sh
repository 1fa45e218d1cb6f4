#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 180
# usage: tests/samba/smbd.sh    (TEVENT=system: with the system's library)
# smbd serves a share: 64 MiB there and back, 100 clients at once, SIGHUP, SIGTERM.
need="smbd smbclient smbcontrol"
. "$(dirname "$0")/setup"

with setsid smbd -F --no-process-group -s "$conf" -l "$work/log" >"$work/log/smbd.out" 2>&1 &
smbd=$!
wait_for 20 client -c ls || fail "smbd does not answer"
# When it ends it signals its process group, hence one of its own. $! may be the shell before it.
smbd=$(cat "$work/pid/smbd.pid")
check_maps "$smbd" smbd

# A session that stays, to look at the process that serves it.
mkfifo "$work/commands"
client <"$work/commands" >"$work/log/session" 2>&1 &
session=$!
exec 3>"$work/commands"
# What it prints stays in its buffer, so it is asked for files.
echo early >"$work/word"
echo "put $work/word early" >&3
wait_for 20 test -s "$work/share/early" || fail "no answer to the session"
child=$(pgrep -P "$smbd" | while read -r one; do
	ls -l "/proc/$one/cwd" 2>/dev/null | grep -q "$work/share" && echo "$one"
done)
check_maps "${child:-$smbd}" "the child of smbd${child:+ that serves it}"

dd if=/dev/urandom of="$work/big" bs=1M count=64 status=none
client -c "put $work/big big" >"$work/log/put" 2>&1 || fail "put of 64 MiB"
cmp "$work/big" "$work/share/big" || fail "what came is not what was sent"
client -c "get big $work/back" >"$work/log/get" 2>&1 || fail "get of 64 MiB"
cmp "$work/big" "$work/back" || fail "what came back is not what was sent"
say "64 MiB put and got"

head -c 300000 "$work/big" >"$work/small"
clients=
for i in $(seq 100); do
	client -c "put $work/small s$i; get s$i $work/back$i; del s$i" >"$work/c$i" 2>&1 &
	clients="$clients $!"
done
bad=0
for one in $clients; do
	wait "$one" || bad=$((bad + 1))
done
for i in $(seq 100); do
	cmp -s "$work/small" "$work/back$i" || { bad=$((bad + 1)); cat "$work/c$i"; }
done
[ $bad = 0 ] || fail "$bad of 100 clients"
say "100 clients at once"

with smbcontrol -s "$conf" smbd ping >"$work/log/ping" 2>&1
grep -q "PONG from pid $smbd" "$work/log/ping" || fail "smbd does not answer a ping"
say "a message answered"

mkdir "$work/second"
chmod 777 "$work/second"
printf '[second]\npath = %s\nguest ok = yes\nread only = no\n' "$work/second" >"$work/more.conf"
kill -HUP "$smbd"
share=second wait_for 20 client -c ls || fail "SIGHUP did not bring the second share"
share=
say "SIGHUP"

# The session of before lives through all that.
echo "put $work/word late" >&3
wait_for 20 test -s "$work/share/late" || fail "the old session is dead"
exec 3>&-
wait "$session" || fail "the old session ended badly"

kill -TERM "$smbd"
wait_for 20 gone "$smbd" || fail "smbd does not end on SIGTERM"
wait_for 20 sh -c '! pgrep -x smbd' || fail "children of smbd are left: $(pgrep -ax smbd)"
! grep -ri 'panic\|internal error\|smb_abort' "$work/log" || fail "there was a panic"
say "SIGTERM"
