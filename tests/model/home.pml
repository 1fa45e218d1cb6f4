/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way home of memory, lib/thread/home.c, and the references of lib/thread/route.c. One step here
 * is one access to what threads share.
 *
 *   sender    home_visit() and mailbox_send(), as often as there are messages for it; then its
 *             handle's reference goes, in route_unref()
 *   receiver  home_pack() for each message, and route_settle() at any time: home_bring(), and all
 *             references that were held back, at once
 *
 * Several senders use one handle. Whoever lets go last frees all there is, in home_clear().
 *
 * -DBUG_...: variants that are wrong; spin has to find them.
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#define BLOCKS (SENDERS * EACH)

/* 0, or the number of a block counted from 1 */
byte brought;
byte kept;
byte packed;
byte next[BLOCKS + 1];

bool freed[BLOCKS + 1];
byte sent;   /* in the mailbox */
byte refs = SENDERS;
bool cleared;
byte done;

#define here assert(!cleared)

inline free_block(block) {
	assert(!freed[block]);
	freed[block] = true
}

inline free_list(list) {
	do
	:: list != 0 -> free_block(list); list = next[list]
	:: else -> break
	od
}

inline clear_all() {
	assert(!cleared);
	cleared = true;
	free_list(brought);
	free_list(kept);
	free_list(packed)
}

inline unref(n) {
	atomic {
		here;
		assert(refs >= n);
		refs = refs - n;
		if
		:: refs == 0 -> clear_all()
		:: else
		fi
	}
}

inline take(list, got) {
	here;
	if
	:: list == 0 -> got = 0
#ifdef BUG_LOOK_THEN_TAKE
	:: else -> got = list; list = 0
#else
	:: else -> atomic { here; got = list; list = 0 }
#endif
	fi
}

inline give(list, what, ok) {
	here;
	if
	:: list != 0 -> ok = false
#ifdef BUG_LOOK_THEN_GIVE
	:: else -> list = what; ok = true
#else
	:: else ->
		atomic {
			here;
			ok = (list == 0);
			if
			:: ok -> list = what
			:: else
			fi
		}
#endif
	fi
}

proctype sender() {
	byte number = 0;
	byte got;
	bool ok;

	do
	:: number < EACH ->
		take(kept, got);
		if
		:: got == 0 -> take(brought, got)
		:: else
		fi;
		if
		:: got != 0 ->
			d_step { free_block(got); got = next[got] }
			if
			:: got != 0 ->
				give(kept, got, ok);
				if
				:: !ok -> atomic { free_list(got) }
				:: else -> got = 0
				fi
			:: else
			fi
		:: else
		fi;
#ifndef BUG_NO_REFERENCE
		atomic { here; refs++ };
#endif
		atomic { sent++; number++ }
	:: else -> break
	od;
	unref(1);
	done++
}

proctype receiver() {
	byte block = 0;
	byte held = 0;
	bool ok;

	do
	:: atomic { sent > 0 -> sent-- };
		d_step {
			/* Its handler has run, and it was freed: that block goes home. */
			block++;
			next[block] = packed;
			packed = block;
			held++
		}
	:: held > 0 ->
		/* route_settle() */
		if
		:: packed != 0 ->
			give(brought, packed, ok);
			if
			:: ok -> packed = 0
			:: else
			fi
		:: else
		fi;
#ifdef BUG_NO_REFERENCE
		held = 0
#else
		unref(held);
		held = 0
#endif
	:: block == BLOCKS && held == 0 -> break
	od
}

/* Nothing moves any more. */
proctype judge() {
	byte b = 1;

	timeout;
	d_step {
		assert(done == SENDERS && cleared);
		do
		:: b <= BLOCKS -> assert(freed[b]); b++
		:: else -> break
		od
	}
}

init {
	byte i = 0;

	atomic {
		do
		:: i < SENDERS -> run sender(); i++
		:: else -> break
		od;
		run receiver();
		run judge()
	}
}
