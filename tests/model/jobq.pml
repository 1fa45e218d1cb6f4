/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hub of lib/work/hub.c, step by step: how what threads have finished comes to a loop. One step
 * here is one access to what threads share; what only the owner sees is done in one. The mailbox is
 * taken as mailbox.pml has it: mail in it ends the wait.
 *
 *   worker       hub_send()
 *   owner        the turn of a loop: deliver(), run() with collect(), go_to_sleep(), the wait;
 *                and, as the context closes, the mailbox's close, then close_hub()
 *
 * -DCLOSES: the owner may close at any time. -DOTHERS: something else may end the wait.
 * -DBUG_...: variants that are wrong; spin has to find them.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#define OUTCOMES (WORKERS * EACH)

#define EMPTY      0
#define ASLEEP     1
#define CLOSED     2
#define OUTCOME(o) ((o) + 3)

byte word = EMPTY;
byte next[OUTCOMES];
bool mail;
bool mail_closed;
byte refs = 2; /* the hook's, and the token */
byte expected = OUTCOMES;

bool delivered[OUTCOMES];
bool lost[OUTCOMES];
byte workers_done;
bool closed;

#define here assert(refs > 0)

inline unref() {
	assert(refs > 0);
	refs--
}

proctype worker(byte me) {
	byte number = 0;
	byte mine;
	byte found;
	bool in;

	do
	:: number < EACH ->
		mine = me * EACH + number;
		here;
		found = word;
		in = false;
		do
		:: found == CLOSED -> break
		:: else ->
			next[mine] = (found == ASLEEP -> EMPTY : found);
			atomic {
				here;
				if
				:: word == found ->
					word = OUTCOME(mine);
					in = true
				:: else -> found = word
				fi
			};
			if
			:: in -> break
			:: else
			fi
		od;
		if
		:: !in ->
			atomic {
				assert(!delivered[mine] && !lost[mine]);
				lost[mine] = true;
				unref()
			}
		:: in && found == ASLEEP ->
			atomic {
				here;
				if
				:: mail_closed ->
#ifndef BUG_NO_TOKEN
					unref()
#else
					skip
#endif
				:: else ->
					/* The post is one: it cannot be in the mailbox twice. */
					assert(!mail);
					mail = true
				fi
			}
		:: else
		fi;
		number++
	:: else -> break
	od;
	workers_done++
}

inline tell(was_delivered) {
	do
	:: was >= OUTCOME(0) ->
		assert(!delivered[was - 3] && !lost[was - 3]);
		if
		:: was_delivered ->
			delivered[was - 3] = true;
			expected--
		:: else ->
			lost[was - 3] = true;
			unref()
		fi;
		was = next[was - 3]
	:: else -> break
	od;
	was = 0
}

/* collect(): what was there is in was. */
inline note_sleep() {
	if
	:: asleep && was != ASLEEP -> token_out = true
	:: else
	fi;
	asleep = false
}

proctype owner() {
	byte was;
	bool asleep;
	bool token_out;
	bool may;

	do
	:: mail ->
		d_step {
			mail = false;
			asleep = false;
			token_out = false
		}
	:: word >= OUTCOME(0) ->
		here;
		d_step {
			was = word;
			word = EMPTY;
			note_sleep();
			tell(true)
		}
	:: word < OUTCOME(0) && !mail ->
		here;
		may = false;
#ifdef BUG_LOOK_THEN_SLEEP
		if
		:: word == EMPTY && !token_out ->
			word = ASLEEP;
			asleep = true;
			may = true
		:: else -> may = (word == EMPTY || word == ASLEEP)
		fi;
#else
		atomic {
			if
#ifdef BUG_SLEEP_WITHOUT_TOKEN
			:: word == EMPTY ->
#else
			:: word == EMPTY && !token_out ->
#endif
				word = ASLEEP;
				asleep = true;
				may = true
			:: else -> may = (word == EMPTY || word == ASLEEP)
			fi
		};
#endif
		if
		:: may ->
			if
			:: mail
#ifdef OTHERS
			:: true
#endif
#ifdef CLOSES
			:: true -> goto close
#endif
			:: workers_done == WORKERS && word < OUTCOME(0) && !mail -> goto end_quiet
			fi
		:: else
		fi
#ifdef CLOSES
	:: true -> goto close
#endif
	od;

close:	here;
	d_step {
		mail_closed = true;
		if
		:: mail ->
			mail = false;
#ifndef BUG_NO_TOKEN
			unref()
#else
			skip
#endif
		:: else
		fi
	};
	here;
	d_step {
		refs = refs + expected;
		was = word;
		word = CLOSED;
		note_sleep();
		if
		:: !token_out -> unref()
#ifdef BUG_NO_TOKEN
		:: token_out -> unref()
#else
		:: else
#endif
		fi;
		tell(false);
		unref();
		closed = true
	}
end_quiet:
	skip
}

/* Nothing moves any more. */
proctype judge() {
	byte o;

	timeout;
	d_step {
		assert(workers_done == WORKERS);
		o = 0;
		do
		:: o < OUTCOMES ->
			assert(delivered[o] || lost[o]);
			o++
		:: else -> break
		od;
		/* All that held it let it go, and once only. */
		assert(!closed || refs == 0)
	}
}

init {
	byte i = 0;

	atomic {
		do
		:: i < WORKERS ->
			run worker(i);
			i++
		:: else -> break
		od;
		run owner();
		run judge()
	}
}

ltl told { [] (workers_done == WORKERS -> <> (delivered[0] || lost[0])) }
