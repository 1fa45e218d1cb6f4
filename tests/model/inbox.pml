/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way into a queue of lib/work/inbox.c, step by step: whoever sends needs no lock, and yet no
 * job is left where nobody looks. One step here is one access to what threads share without the
 * lock; what is done with it held, and touches nothing else, is one step too.
 *
 *   sender       job_push() by the inbox
 *   worker       work() with take(), spin(), sleep_until_called()
 *   other        takes the lock for something else, and so empties the inbox: get()
 *
 * -DCHANGES: concurrency is 0 at first, and is then set: changed().
 * -DSTARTS: threads are made when they are wanted, if they can be, and end when they like: else
 * not_started() and workers_give_up().
 * -DBUG_...: variants that are wrong; spin has to find them.
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#define JOBS (SENDERS * EACH)

byte inbox;   /* how many are in it */
byte waiting; /* in their class */
byte ran;
bool lock;

byte concurrency = WORKERS;
byte running;
byte coming;
bool spinning;
bool short_handed = true;

bool asleep[WORKERS];
bool called[WORKERS];
bool there[WORKERS];
byte threads; /* there, or being made */
byte given_up;

#define take_lock    atomic { !lock -> lock = true }
#define lacking      (!spinning && running + coming < concurrency)
#define startable    (waiting > 0 && running < concurrency)

inline admit() {
	d_step {
		waiting = waiting + inbox;
		inbox = 0
	}
}

inline count_hands() {
	short_handed = lacking
}

inline unlock() {
	count_hands();
	lock = false
}

inline call_idle() {
	d_step {
		i = 0;
		do
		:: i < WORKERS && coming < waiting && coming < concurrency - running ->
			if
			:: asleep[i] && !called[i] ->
				called[i] = true;
				coming++
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}

/* workers_call(). Without STARTS all threads are there already, and asleep at first. */
inline call() {
	call_idle();
#ifdef STARTS
	d_step {
		do
		:: coming < waiting && coming < concurrency - running && threads < concurrency ->
			threads++;
			coming++;
			starting++
		:: else -> break
		od
	}
#endif
}

inline look_once_more() {
	count_hands();
	if
	:: short_handed && inbox > 0 -> admit()
	:: else
	fi
}

/* workers_start(), and what comes when it fails. */
inline start() {
	do
	:: starting > 0 ->
		d_step {
			do
			:: i < WORKERS && there[i] -> i++
			:: else -> break
			od;
			there[i] = true;
			i = 0;
			starting--
		}
	:: starting > 0 ->
		take_lock;
		admit();
		d_step {
			threads = threads - starting;
			coming = coming - starting;
			starting = 0;
			nobody = (threads == 0)
		};
#ifndef BUG_FAIL_QUIETLY
		look_once_more();
		call_idle();
#endif
		unlock();
		if
		:: nobody ->
			take_lock;
			admit();
			look_once_more();
#ifndef BUG_NOT_GIVEN_UP
			d_step {
				if
				:: threads == 0 && concurrency > 0 ->
					given_up = given_up + waiting;
					waiting = 0
				:: else
				fi
			};
#endif
			unlock()
		:: else
		fi
	:: starting == 0 -> break
	od
}

proctype sender() {
	byte number = 0;
	byte i = 0;
	byte starting = 0;
	bool nobody;
	bool look;

	do
	:: number < EACH ->
#ifdef BUG_LOOK_THEN_PUT
		look = short_handed;
		inbox++;
#else
		inbox++;
		look = short_handed;
#endif
		if
		:: look ->
			take_lock;
			admit();
			call();
			unlock();
			start()
		:: else
		fi;
		number++
	:: else -> break
	od
}

proctype other() {
	take_lock;
	admit();
	unlock()
}

#ifdef CHANGES
proctype setter() {
	byte i = 0;
	byte starting = 0;
	bool nobody;

	take_lock;
	admit();
	concurrency = WORKERS;
#ifndef BUG_CHANGE_WITHOUT_LOOK
	count_hands();
	admit();
#endif
	call();
	unlock();
	start()
}
#endif

proctype worker(byte me) {
	byte i = 0;
	byte starting = 0;
	bool nobody;

#ifdef STARTS
unborn:
end_unborn:
	there[me];
	take_lock;
	coming--;
	goto next;
#else
	/* As one that has slept from the beginning. */
	goto sleep;
#endif
next:
	/* take(), with the lock held */
	if
	:: running < concurrency && waiting == 0 -> admit()
	:: else
	fi;
	if
	:: startable ->
		d_step {
			waiting--;
			running++
		};
		call();
		unlock();
		start();
		/* the job */
		take_lock;
		d_step {
			ran++;
			running--
		};
		goto next
	:: else
	fi;
	/* idle() */
	if
	:: !spinning && running < concurrency ->
		d_step {
			spinning = true;
			coming++
		};
		unlock();
		/* as long as it likes */
		take_lock;
		admit();
		d_step {
			coming--;
			spinning = false
		}
	:: true
	fi;
	if
	:: startable -> goto next
	:: else
	fi;
#ifndef BUG_SLEEP_BLINDLY
	count_hands();
	if
	:: short_handed && inbox > 0 ->
		admit();
		goto next
	:: else
	fi;
#endif
	asleep[me] = true;
#ifdef BUG_SLEEP_BLINDLY
	count_hands();
#endif
	lock = false;
sleep:
end_asleep:
#ifdef STARTS
	/* Its time may be over. */
	take_lock;
	if
	:: called[me]
	:: !called[me] ->
		d_step {
			asleep[me] = false;
			there[me] = false;
			threads--
		};
		unlock();
		goto unborn
	fi;
#else
	called[me];
	take_lock;
#endif
	d_step {
		asleep[me] = false;
		called[me] = false;
		coming--
	};
	admit();
	goto next
}

/* Nothing moves any more: nobody is called, nobody holds the lock. */
proctype judge() {
	timeout;
	assert(ran + given_up == JOBS && inbox == 0 && waiting == 0)
}

init {
	byte i = 0;

	atomic {
#ifdef CHANGES
		concurrency = 0;
		short_handed = false;
		run setter();
#endif
		do
		:: i < WORKERS ->
#ifndef STARTS
			asleep[i] = true;
			there[i] = true;
			threads++;
#endif
			run worker(i);
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < SENDERS ->
			run sender();
			i++
		:: else -> break
		od;
		run other();
		run judge()
	}
}

