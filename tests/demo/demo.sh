#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The plugin daemon at work, from start to clean end. Needs what `make` built, and socat; with
# valgrind the daemon runs under it, and what it says at the end counts. (spawn is not shown: the
# valgrind of Debian 12 knows no pidfd_open.)
set -u

top=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=${TALEV_BUILD:-${BUILD:-$top/build}}
export LD_LIBRARY_PATH="$build${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
dir=$(mktemp -d "${TMPDIR:-/tmp}/talev-demo.XXXXXX") || exit 1
daemon=
clients=
number=0

step() {
	number=$((number + 1))
	printf '\n%d. %s\n' "$number" "$*"
}

show() {
	sed 's/^/     /'
}

fail() {
	trap - EXIT
	printf '\nThe demo failed in step %d: %s\n' "$number" "$*" >&2
	for log in "$dir/log" "$dir/valgrind"; do
		[ -s "$log" ] && tail -n 40 "$log" | sed "s|^|     ${log##*/}: |" >&2
	done
	clean
	exit 1
}

# shellcheck disable=SC2086 # a list of numbers
clean() {
	kill $clients $daemon 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}

# Waits until the condition holds: at most 20 seconds.
await() {
	what=$1
	shift
	tries=200
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "$what did not happen within 20 seconds"
		kill -0 "$daemon" 2>/dev/null || fail "talevd ended before $what"
		sleep 0.1
	done
}

ctl() {
	"$build/talevctl" -s "$dir/control" "$@" || fail "talevctl $* ended with $?"
}

# Where echo listens: the last time it said so counts.
find_port() {
	port=$(sed -n 's/^talevd: echo: listening on 127\.0\.0\.1://p' "$dir/log" | tail -n 1)
	[ -n "$port" ] || fail "echo did not say where it listens"
}

# Sends the data, ends its own side, and takes what comes back.
echo_data() {
	rm -f "$dir/back"
	socat -t 20 - "$1" <"$dir/data" >"$dir/back" || fail "socat $1 ended with $?"
	cmp "$dir/data" "$dir/back" || fail "what came back through $1 is not what was sent"
	echo "$(wc -c <"$dir/back") bytes to $1 and back: the same"
}

no_threads() {
	ctl jobs sums | grep -q ' 0 threads'
}

more_than() {
	[ "$(wc -c <"$1")" -gt "$2" ]
}

trap 'clean' EXIT
trap 'exit 130' INT TERM

for tool in "$build/talevd" "$build/talevctl"; do
	[ -x "$tool" ] || fail "$tool is not there: run make first"
done
command -v socat >/dev/null || fail "socat is not installed: run buildtools/bootstrap"

step "talevd starts with this configuration, on a port that the system chooses."
cat >"$dir/talevd.conf" <<END
[talevd]
control = control
pidfile = pid
plugins = $build/plugins

[echo]
listen = 127.0.0.1:0 unix:$dir/echo

[ticker]
period = 250ms

[hup]
signals = USR1

[jobs sums]
concurrency = 1
idle = 250ms

[primes]
file = worker.so
threads = 2
jobs = sums
upto = 20000
unit = 1000
pause = 100
END
show <"$dir/talevd.conf"
if command -v valgrind >/dev/null; then
	valgrind --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all \
		--suppressions="$top/tests/demo/valgrind.supp" --error-exitcode=9 \
		--keep-debuginfo=yes --track-fds=yes --log-file="$dir/valgrind" \
		"$build/talevd" -c "$dir/talevd.conf" 2>"$dir/log" &
else
	"$build/talevd" -c "$dir/talevd.conf" 2>"$dir/log" &
fi
daemon=$!
await "its first tick" grep -q 'ticker: tick 1' "$dir/log"
kill -USR1 "$daemon"
await "a signal" grep -q 'hup: SIGUSR1 number 1' "$dir/log"
echo "   It says:"
show <"$dir/log"
find_port

step "The plugins that it has, as talevctl list shows them."
ctl list | show

step "A real client, socat, sends the sources of this project to echo and compares the answer."
cat "$top"/lib/*/*.c >"$dir/data"
echo_data "TCP:127.0.0.1:$port" | show
[ -s "$dir/back" ] || fail "no data came back"
echo_data "UNIX-CONNECT:$dir/echo" | show

step "Another client stays connected: its watcher is among the events of the daemon."
mkfifo "$dir/idle"
socat - "TCP:127.0.0.1:$port" <"$dir/idle" >"$dir/idle.back" &
clients=$!
exec 3>"$dir/idle"
echo "hello" >&3
await "an echo" more_than "$dir/idle.back" 5
ctl events | show
ctl events --json >"$dir/json"
[ -s "$dir/json" ] || fail "there is no JSON"
echo "   (and $(wc -c <"$dir/json") bytes of the same as JSON)"

step "The same client in the talloc tree of the plugin: what it owns, with sizes in bytes."
ctl tree echo | show

step "A client sends without end; in the middle of that echo is unloaded."
(while cat "$dir/data"; do :; done) 2>/dev/null |
	socat -t 0.1 - "TCP:127.0.0.1:$port" >"$dir/stream.back" 2>"$dir/stream.error" &
clients="$clients $!"
await "a megabyte of echo" more_than "$dir/stream.back" 1000000
ctl unload echo
# shellcheck disable=SC2086 # a list of numbers
wait $clients
exec 3>&-
clients=
{
	echo "the client had $(wc -c <"$dir/stream.back") bytes back when its connection ended"
	grep 'echo: unloaded' "$dir/log"
	ctl list
} | show
[ ! -e "$dir/echo" ] || fail "the unix socket of echo is still there"
ticks=$(grep -c 'ticker: tick' "$dir/log")
await "another tick" sh -c "[ \$(grep -c 'ticker: tick' '$dir/log') -gt $ticks ]"
echo "   The ticker never noticed: $(grep 'ticker: tick' "$dir/log" | tail -n 1)"

step "echo is loaded again and works as before."
ctl load echo
find_port
echo_data "TCP:127.0.0.1:$port" | show

step "primes has two loops of its own, each with a thread: this is what talevctl loops shows."
await "a sum" grep -q 'primes: 2262 primes below 20000' "$dir/log"
ctl loops | show
[ "$(ctl loops | grep -c '^primes .* primes$')" = 2 ] || fail "primes is not on two loops"

step "Its jobs run on a queue; how many do so at a time is changed while they run."
ctl jobs | show
ctl jobs sums concurrency=3
sums=$(grep -c 'primes: 2262' "$dir/log")
await "another sum" sh -c "[ \$(grep -c 'primes: 2262' '$dir/log') -gt $((sums + 1)) ]"
echo "   Now:"
ctl jobs sums | show

step "primes is unloaded: its jobs, its loops and their threads end."
ctl unload primes
[ "$(ctl loops | wc -l)" = 2 ] || fail "there are other loops than the daemon's"
await "the end of the threads of the queue" no_threads
{
	grep 'primes: unloaded' "$dir/log"
	ctl loops
} | show

step "A plugin whose handler does not return, on a thread of its own, with a watchdog."
# shellcheck disable=SC2046 # a list of options
${CC:-cc} -shared -fPIC $(pkg-config --cflags talloc) -I"$top/include" \
	-o "$dir/sleeper.so" "$top/tests/demo/sleeper.c" || fail "sleeper.c cannot be compiled"
sed -i 's/^plugins = .*/&\nwatchdog_abort = no/' "$dir/talevd.conf"
tee -a "$dir/talevd.conf" <<END | show

[sleeper]
file = $dir/sleeper.so
until = $dir/wake
threads = 1
watchdog = 1s
END
kill -HUP "$daemon"
await "the watchdog's report" \
	grep -q 'watchdog: plugin sleeper: .* limit 1.000 s' "$dir/log"
echo "   The log names plugin, loop, handler, place and thread, first at half of the limit:"
grep 'watchdog: plugin sleeper: ' "$dir/log" | show
echo "   Everybody else goes on, and can be asked:"
{
	ctl loops
	ctl watchdog
} | show
: >"$dir/wake"
await "the end of that" grep -q 'watchdog: plugin sleeper: .* goes on after' "$dir/log"
grep 'goes on after' "$dir/log" | show

step "talevd stops: plugins first, last loaded first."
ctl stop
wait "$daemon"
status=$?
daemon=
sed -n '/stopping/,$p' "$dir/log" | show
[ $status -ne 9 ] || fail "valgrind found errors or lost memory"
[ $status -eq 0 ] || fail "talevd ended with status $status"
for left in control pid echo; do
	[ ! -e "$dir/$left" ] || fail "$left is still there"
done
grep -q 'talevd: stopped' "$dir/log" || fail "it did not say that it stopped"

if [ -s "$dir/valgrind" ]; then
	step "valgrind watched all of it: its verdict."
	left=$(awk '/Open / { held = $0; next } held { if (!/inherited/) print held; held = "" }' \
		"$dir/valgrind")
	[ -z "$left" ] || fail "descriptors are left open: $left"
	{
		echo "descriptors left open: 0"
		grep -E 'total heap usage|lost:|still reachable:|All heap blocks|ERROR SUMMARY' \
			"$dir/valgrind" | sed 's/^==[0-9]*== *//'
	} | show
else
	echo "   (valgrind is not installed: nobody looked for lost memory)"
fi

printf '\nThe demo succeeded: nothing was lost, nothing is left.\n'
