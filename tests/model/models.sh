#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks the models with spin. Each model has variants that are wrong, and spin must find them: a
# model that accepts everything says nothing. One line for each, in the form of TAP.
# TIMEOUT: 300
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1

if ! command -v spin >/dev/null; then
	echo "spin is not installed"
	exit 77
fi

number=0
failed=0

# say ok|'not ok' name
say() {
	number=$((number + 1))
	echo "$1 $number - $2"
}

# check model claim depth 'definitions': builds the verifier and leaves what it says in $work/out.
# A claim of - is the assertions and the end states.
verify() {
	model=$1 claim=$2 depth=$3 defines=$4
	if [ "$claim" = - ]; then
		safety=-DSAFETY\ -DNOCLAIM arguments=
	else
		safety=-DNFAIR=4 arguments="-a -f -N $claim"
	fi
	rm -f pan* ./*.trail
	# shellcheck disable=SC2086
	spin -a $defines "$here/$model.pml" >out 2>&1 || return 2
	# shellcheck disable=SC2086
	${CC:-cc} -O1 -w $safety -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=1500 -o pan pan.c >>out 2>&1 ||
		return 2
	# shellcheck disable=SC2086
	./pan -m$depth $arguments >out 2>&1
	grep -q 'max search depth too small\|memory usage.*exceed\|search was not completed' out && return 2
	grep -q '^State-vector' out || return 2
	grep -q 'errors: 0$' out
}

complain() {
	failed=$((failed + 1))
	sed 's/^/# /' out
}

# holds 'what is promised' model claim depth 'definitions'
holds() {
	if verify "$2" "$3" "$4" "$5"; then
		say ok "$1 ($(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out) states)"
	else
		say 'not ok' "$1"
		complain
	fi
}

# finds 'what is wrong' model claim depth 'definitions'
finds() {
	verify "$2" "$3" "$4" "$5"
	if [ $? -eq 1 ]; then
		say ok "found: $1 ($(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' out | tr -s ' ' | cut -c1-60))"
	else
		say 'not ok' "not found: $1"
		complain
	fi
}

echo "1..$(grep -c '^\(holds\|finds\) ' "$here/models.sh")"

holds 'mailbox: delivered once, in order, never asleep with a post there' mailbox - 100000 '-DSENDERS=3 -DEACH=1'
holds 'mailbox: the same when other things end the wait' mailbox - 100000 '-DOTHERS'
holds 'mailbox: delivered, dropped or refused once when it closes' mailbox - 100000 '-DCLOSES -DOTHERS'
holds 'mailbox: three senders while it closes' mailbox - 100000 '-DCLOSES -DOTHERS -DSENDERS=3 -DEACH=1'
holds 'mailbox: every post is told of at last' mailbox told 200000 '-DOTHERS'
holds 'mailbox: the last post is told of with nothing else to wake the loop' mailbox woken 200000 ''
finds 'mailbox: a sender that wakes nobody' mailbox - 100000 '-DBUG_NO_WAKE'
finds 'mailbox: a loop that looks, then says that it sleeps' mailbox - 100000 '-DBUG_LOOK_THEN_SLEEP'
finds 'mailbox: a loop that drains its eventfd after saying that it sleeps' mailbox - 100000 '-DBUG_DRAIN_AFTER_SLEEP'
finds 'mailbox: a loop that looks, then closes' mailbox - 100000 '-DBUG_LOOK_THEN_CLOSE -DCLOSES'
finds 'mailbox: a list that is not turned round' mailbox - 100000 '-DBUG_NOT_TURNED'
finds 'mailbox: a sleep that holds no reference' mailbox - 100000 '-DBUG_NO_REFERENCE -DCLOSES -DOTHERS'
holds 'jobq: told once, one post at a time, never asleep with an outcome there' jobq - 100000 '-DWORKERS=3 -DEACH=1'
holds 'jobq: the same when other things end the wait' jobq - 100000 '-DOTHERS'
holds 'jobq: told or lost once when it closes' jobq - 100000 '-DCLOSES -DOTHERS'
holds 'jobq: every outcome is told at last, with nothing else to wake the loop' jobq told 200000 ''
finds 'jobq: a loop that sleeps while the token is out' jobq - 100000 '-DBUG_SLEEP_WITHOUT_TOKEN -DOTHERS'
finds 'jobq: a loop that looks, then says that it sleeps' jobq - 100000 '-DBUG_LOOK_THEN_SLEEP'
finds 'jobq: a post that holds no reference' jobq - 100000 '-DBUG_NO_TOKEN -DCLOSES -DOTHERS'
holds 'inbox: no job is left where nobody looks' inbox - 200000 ''
holds 'inbox: the same with three senders and one thread' inbox - 200000 '-DSENDERS=3 -DEACH=1 -DWORKERS=1'
holds 'inbox: the same when jobs may run only later' inbox - 200000 '-DCHANGES'
holds 'inbox: the same when threads end, and some cannot be started' inbox - 400000 '-DSTARTS -DSENDERS=3 -DEACH=1'
finds 'inbox: a thread that cannot be started, and nobody else is called' inbox - 400000 '-DSTARTS -DBUG_FAIL_QUIETLY'
finds 'inbox: a thread that cannot be started, and others relied on it' inbox - 400000 '-DSTARTS -DBUG_NOT_GIVEN_UP -DEACH=1'
finds 'inbox: a sender that looks for threads, then sends' inbox - 200000 '-DBUG_LOOK_THEN_PUT'
finds 'inbox: a thread that sleeps without looking' inbox - 200000 '-DBUG_SLEEP_BLINDLY'
finds 'inbox: a setting that is changed without looking' inbox - 200000 '-DBUG_CHANGE_WITHOUT_LOOK -DCHANGES -DEACH=1'
holds 'guard: no start after cancel, no finalizer while running, each once, no waiter left' guard - 100000 '-DWAITERS=1 -DFIRES=2'
holds 'guard: the same with two that wait' guard - 100000 '-DFIRES=1 -DFINALIZERS=1'
holds 'guard: whoever waits is woken' guard woken 200000 '-DWAITERS=1 -DFIRES=2 -DFINALIZERS=1'
finds 'guard: a handler that looks, then starts' guard - 100000 '-DBUG_LOOK_THEN_ENTER'
finds 'guard: a handler that wakes nobody' guard - 100000 '-DBUG_NO_WAKE'
finds 'guard: a waiter that sleeps without looking' guard - 100000 '-DBUG_SLEEP_BLINDLY'
finds 'guard: a finalizer that no frame pins' guard - 100000 '-DBUG_NO_PIN'
finds 'guard: a handler that counts itself out while it runs' guard - 100000 '-DBUG_LEAVE_EARLY'
finds 'guard: a second finalize that is not refused' guard - 100000 '-DBUG_EVERY_FINALIZE'
holds 'home: every block freed once, whoever lets go last' home - 100000 ''
holds 'home: the same with three senders' home - 100000 '-DSENDERS=3 -DEACH=1'
finds 'home: a sender that looks, then takes' home - 100000 '-DBUG_LOOK_THEN_TAKE'
finds 'home: a sender that looks, then gives back' home - 100000 '-DBUG_LOOK_THEN_GIVE -DEACH=3'
finds 'home: messages without a reference' home - 100000 '-DBUG_NO_REFERENCE'

[ "$failed" -eq 0 ]
