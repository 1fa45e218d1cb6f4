#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 240
# usage: tests/samba/valgrind.sh    (TEVENT=system: with the system's library)
# smbd under memcheck serves a short session and ends: no error has a frame in our libraries.
need="smbd smbclient valgrind"
. "$(dirname "$0")/setup"

# A daemon forks for everything: each process has a log of its own.
with setsid valgrind --log-file="$work/log/valgrind.%p" --num-callers=40 --leak-check=full \
	--show-leak-kinds=definite --track-fds=no --child-silent-after-fork=no \
	smbd -F --no-process-group -s "$conf" -l "$work/log" >"$work/log/smbd.out" 2>&1 &
wait_for 90 client -t 60 -c ls || fail "smbd does not answer"
smbd=$(cat "$work/pid/smbd.pid")
check_maps "$smbd" "smbd under valgrind"
head -c 3000000 /dev/urandom >"$work/some"
client -t 60 -c "put $work/some some; get some $work/back; del some; ls" >"$work/log/client" 2>&1 ||
	fail "put and get"
cmp "$work/some" "$work/back" || fail "what came back is not what was sent"
kill -HUP "$smbd"
client -t 60 -c ls >"$work/log/client" 2>&1 || fail "no answer after SIGHUP"
kill -TERM "$smbd"
wait_for 60 gone "$smbd" || fail "smbd does not end on SIGTERM"
wait_for 30 sh -c '! pgrep -f "^[^ ]*valgrind.* smbd"' || :

python3 - "$work"/log/valgrind.* <<'END' || fail "valgrind has found something"
import re, sys

TEVENT = re.compile(r'lib(?:tevent|talev)[^/ ]*\.so|\b_?_?t(?:event|alev)_\w+ \(')
bad = blocks = 0
for path in sys.argv[1:]:
    text = re.sub(r'(?m)^==\d+== ?', '', open(path, errors='replace').read())
    for block in re.split(r'\n\s*\n', text):
        if not re.search(r'(?m)^ *(?:at|by) 0x', block):
            continue
        # A child that SIGTERM ends where it waits is no error.
        if re.search(r'default action of signal 15\b', block):
            continue
        blocks += 1
        # Samba's own leaks pass through the loop: of those only the innermost frames count.
        frames = re.findall(r'(?m)^ *(?:at|by) 0x\w+: (.*)$', block)
        near = [f for f in frames if 'talloc' not in f and 'vg_replace' not in f]
        if 'definitely lost' in block:
            near = near[:1]
        if any(TEVENT.search(f) for f in near[:1 if 'lost' in block else 3]):
            bad += 1
            print(block)
print('%d processes, %d reports, %d of them of tevent' % (len(sys.argv) - 1, blocks, bad))
sys.exit(1 if bad else 0)
END
say "nothing of tevent in what valgrind says"
