/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mailbox of lib/thread/mailbox.c, step by step. One step here is one access to what threads
 * share; what only the owner sees is done in one.
 *
 *   sender       mailbox_send(), which begins with a guess and looks only when that was wrong
 *   owner        the turn of a loop: ready(), run() with collect(), go_to_sleep(), the wait and
 *                wake_fire(), close_box()
 *
 * A sender has a handle, which holds a reference, and which whoever learns of its last post may
 * free: then it has none of its own while it is still in mailbox_send().
 *
 * -DCLOSES: the owner may close at any time. -DOTHERS: something else may end the wait.
 * -DBUG_...: variants that are wrong; spin has to find them.
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#define POSTS (SENDERS * EACH)

#define EMPTY   0
#define ASLEEP  1
#define CLOSED  2
#define POST(p) ((p) + 3)

#define NOBODY 255

byte word = EMPTY;
byte next[POSTS];
bool wake; /* the eventfd has been written and not reported */
byte refs = 1 + SENDERS;

bool accepted[POSTS];
bool delivered[POSTS];
bool dropped[POSTS];
byte last[SENDERS]; /* number of the last post told of, counted from 1 */
byte refused;
byte senders_done;
bool closed;

#define here assert(refs > 0)

inline unref() {
	assert(refs > 0);
	refs--
}

proctype sender(byte me) {
	byte number = 0;
	byte post;
	byte found;
	bool in;

	do
	:: number < EACH ->
		post = me * EACH + number;
		/* It guesses: the last one that it has sent, which others may have taken since. */
		found = (number > 0 -> POST(post - 1) : EMPTY);
		in = false;
		do
		:: found == CLOSED -> break
		:: else ->
			next[post] = (found == ASLEEP -> EMPTY : found);
			atomic {
				here;
				if
				:: word == found ->
					word = POST(post);
					in = true;
					accepted[post] = true
				:: else -> found = word
				fi
			};
			if
			:: in -> break
			:: else
			fi
		od;
		if
		:: in && found == ASLEEP ->
#ifndef BUG_NO_WAKE
			here;
			wake = true;
#endif
#ifndef BUG_NO_REFERENCE
			atomic { unref() };
#endif
		:: else
		fi;
		if
		:: in -> number++
		:: else -> break
		fi
	:: else -> break
	od;
	atomic {
		if
		:: number < EACH ->
			/* ESHUTDOWN: its handle is its own to free. */
			refused = refused + EACH - number;
			unref()
		:: else
		fi;
		senders_done++
	}
}

/* The handler of a message, or the function that is told of its loss. */
inline tell(post, was_delivered) {
	assert(accepted[post] && !delivered[post] && !dropped[post]);
	assert(last[post / EACH] == post % EACH);
	last[post / EACH] = post % EACH + 1;
	if
	:: was_delivered -> delivered[post] = true
	:: else -> dropped[post] = true
	fi;
	if
	:: post % EACH == EACH - 1 -> unref()
	:: else
	fi
}

/* collect() and what follows: word was taken, this is what was in it. */
inline take_all(was, was_delivered) {
	oldest = EMPTY;
	do
	:: was >= POST(0) ->
#ifdef BUG_NOT_TURNED
		post = was - 3;
		was = next[post];
		tell(post, was_delivered)
#else
		before = next[was - 3];
		next[was - 3] = oldest;
		oldest = was;
		was = before
#endif
	:: else -> break
	od;
	do
	:: oldest >= POST(0) ->
		post = oldest - 3;
		oldest = next[post];
		tell(post, was_delivered)
	:: else -> break
	od;
	was = 0;
	oldest = 0;
	before = 0;
	post = 0
}

proctype owner() {
	byte was;
	byte oldest;
	byte before;
	byte post;
	bool slept;

	do
	:: word >= POST(0) ->
		/* ready(), then run() */
		here;
		d_step {
			was = word;
			word = EMPTY;
			take_all(was, true)
		}
	:: word < POST(0) ->
		/* go_to_sleep() */
		here;
		slept = false;
#ifdef BUG_LOOK_THEN_SLEEP
		if
		:: word == EMPTY ->
			atomic { word = ASLEEP; refs++ };
			slept = true
		:: else -> slept = (word == ASLEEP)
		fi;
#else
		atomic {
			if
			:: word == EMPTY ->
				word = ASLEEP;
#ifndef BUG_NO_REFERENCE
				refs++;
#endif
				slept = true
			:: else -> slept = (word == ASLEEP)
			fi
		};
#endif
#ifdef BUG_DRAIN_AFTER_SLEEP
		wake = false;
#endif
		if
		:: slept ->
asleep:			if
			:: atomic { wake -> wake = false }
#ifdef OTHERS
			:: true
#endif
#ifdef CLOSES
			:: true -> goto close
#endif
			:: senders_done == SENDERS && refused == 0 && word < POST(0) && !wake ->
				goto end_quiet
			fi
		:: else
		fi
#ifdef CLOSES
	:: true -> goto close
#endif
	od;

close:	here;
#ifdef BUG_LOOK_THEN_CLOSE
	was = word;
	word = CLOSED;
	d_step {
#else
	d_step {
		was = word;
		word = CLOSED;
#endif
		closed = true;
		if
#ifndef BUG_NO_REFERENCE
		:: was == ASLEEP -> unref()
#endif
		:: else
		fi;
		take_all(was, false);
		unref()
	}
end_quiet:
	skip
}

/* Nothing moves any more. */
proctype judge() {
	byte p;

	timeout;
	d_step {
		assert(senders_done == SENDERS);
		p = 0;
		do
		:: p < POSTS ->
			assert(accepted[p] == (delivered[p] || dropped[p]));
			p++
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
		:: i < SENDERS ->
			run sender(i);
			i++
		:: else -> break
		od;
		run owner();
		run judge()
	}
}

ltl told { [] (accepted[0] -> <> (delivered[0] || dropped[0])) }
ltl woken { [] ((accepted[POSTS - 1] && senders_done == SENDERS) ->
	<> (delivered[POSTS - 1] || dropped[POSTS - 1])) }
