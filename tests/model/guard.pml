/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard of lib/life/guard.c and what lib/thread/ref.c does with it. One step here is one access
 * to what threads share.
 *
 *   owner      the loop of the source: life_enter() with guard_enter(), the handler and loops nested
 *              in it, life_leave() with guard_leave(), deliver_cancel(), deliver_finalize(),
 *              source_close() and life_run(), which runs what no frame pins
 *   waiter     talev_ref_cancel_wait(): life_guard_cancel(), send_cancel(), life_guard_wait()
 *   canceller  talev_ref_cancel()
 *   finalizer  talev_ref_finalize()
 *
 * The mailbox is one flag for each post here: what it promises is in mailbox.pml.
 *
 * -DBUG_...: variants that are wrong; spin has to find them.
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef FINALIZERS
#define FINALIZERS 2
#endif
#ifndef FIRES
#define FIRES 3 /* how often the source becomes ready */
#endif
#define DEPTH 2 /* of nested loops */

#define CANCELLED 1
#define WAITED    2
#define ONE       4

byte word;
bool asleep[WAITERS];

bool cancel_sent;
bool finalize_sent;
bool cancel_post;   /* in the mailbox */
bool finalize_post;

byte depth;         /* of handlers of the source on the owner's stack */
bool live = true;
bool memory = true;
bool source_due;    /* the source's own finalizer, and the one given to talev_ref_finalize() */
bool function_due;
byte source_runs;
byte function_runs;
byte function_asked;

bool cancelled;     /* a call of cancel has returned, or gone so far that it could have */
byte done;

#define THREADS (WAITERS + 1 + FINALIZERS)

inline cancel(before) {
	atomic {
		before = word;
		word = word | CANCELLED;
		cancelled = true
	};
	if
	:: (before & CANCELLED) == 0 ->
		/* send_cancel() */
		atomic {
			if
			:: !cancel_sent ->
				cancel_sent = true;
				cancel_post = true
			:: else
			fi
		}
	:: else
	fi
}

proctype waiter(byte me) {
	byte w;
	bool set;

	cancel(w);
	w = word;
	do
	:: w >= ONE ->
		set = (w & WAITED) != 0;
		if
		:: !set ->
#ifdef BUG_MARK_LATE
			/* Marks the word after it has decided to sleep. */
			set = true;
#else
			atomic {
				if
				:: word == w ->
					word = w | WAITED;
					set = true
				:: else -> w = word
				fi
			}
#endif
		:: else
		fi;
		if
		:: set ->
			/* FUTEX_WAIT: sleeps only if the word is still that. */
			atomic {
				if
#ifdef BUG_SLEEP_BLINDLY
				:: true -> asleep[me] = true
#else
				:: word == (w | WAITED) -> asleep[me] = true
				:: else
#endif
				fi
			};
			!asleep[me];
			w = word
		:: else
		fi
	:: else -> break
	od;
	assert(depth == 0);
	done++
}

proctype canceller() {
	byte w;

	cancel(w);
	/* "Will not run again, and is not running." */
	assert(w >= ONE || depth == 0);
	done++
}

proctype finalizer() {
	byte w;
	bool first;

	atomic {
		first = !finalize_sent;
		finalize_sent = true
	};
#ifdef BUG_EVERY_FINALIZE
	first = true;
#endif
	if
	:: first ->
		function_asked = 1;
		(!finalize_post);
		finalize_post = true;
		/* life_guard_cancel() */
		atomic {
			w = word;
			word = word | CANCELLED;
			cancelled = true
		}
	:: else
	fi;
	done++
}

/* source_close(): inert, and its finalizer due. */
inline close_source() {
	if
	:: live ->
		live = false;
		word = word | CANCELLED;
		source_due = true
	:: else
	fi
}

proctype owner() {
	byte fires = 0;
	byte w;
	bool in;

	do
	:: fires < FIRES && depth < DEPTH && live ->
		fires++;
		/* guard_enter() */
		w = word;
		in = false;
#ifdef BUG_LOOK_THEN_ENTER
		if
		:: (w & CANCELLED) == 0 ->
			atomic {
				word = word + ONE;
				depth++;
				in = true;
				assert(!cancelled)
			}
		:: else
		fi;
#else
		do
		:: (w & CANCELLED) != 0 -> break
		:: else ->
			atomic {
				if
				:: word == w ->
					word = w + ONE;
					depth++;
					in = true;
					/* The handler starts. */
					assert(!cancelled && memory)
				:: else -> w = word
				fi
			};
			if
			:: in -> break
			:: else
			fi
		od;
#endif
		if
		:: !in -> atomic { close_source() }
		:: else
		fi
	:: depth > 0 ->
		/* The handler returns; guard_leave(). */
		assert(memory);
#ifdef BUG_LEAVE_EARLY
		atomic { word = word - ONE; w = word };
		depth--;
#else
		atomic {
			depth--;
			word = word - ONE;
			w = word
		};
#endif
#ifndef BUG_NO_WAKE
		if
		:: w < ONE && (w & WAITED) != 0 ->
			atomic {
				w = 0;
				do
				:: w < WAITERS -> asleep[w] = false; w++
				:: else -> break
				od
			}
		:: else
		fi
#endif
	:: atomic { cancel_post -> cancel_post = false; close_source() }
	:: atomic {
		finalize_post -> finalize_post = false;
		close_source();
		function_due = true
	}
	:: atomic { depth == 0 && live && fires < FIRES ->
		/* The owner frees or finalizes it by itself. */
		close_source() }
#ifdef BUG_NO_PIN
	:: atomic { source_due || function_due ->
#else
	:: atomic { depth == 0 && (source_due || function_due) ->
#endif
		/* life_run(), children first */
		assert(depth == 0);
		if
		:: source_due -> source_due = false; source_runs++
		:: else -> function_due = false; function_runs++; memory = false
		fi }
	:: done == THREADS && depth == 0 && !cancel_post && !finalize_post && !source_due &&
		!function_due -> break
	od
}

/* Nothing moves any more. */
proctype judge() {
	timeout;
	assert(done == THREADS);
	assert(!live && source_runs == 1);
	assert(function_runs == function_asked && function_runs <= 1);
	assert(!memory || function_asked == 0)
}

init {
	byte i = 0;

	atomic {
		do
		:: i < WAITERS ->
			run waiter(i);
			i++
		:: else -> break
		od;
		run canceller();
		i = 0;
		do
		:: i < FINALIZERS ->
			run finalizer();
			i++
		:: else -> break
		od;
		run owner();
		run judge()
	}
}

/* Whoever sleeps is woken. */
ltl woken { [] (asleep[0] -> <> !asleep[0]) }
