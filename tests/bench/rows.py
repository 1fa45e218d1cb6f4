# SPDX-License-Identifier: BSD-2-Clause
"""What is measured: the programs, the rows, and what talev has to reach in each.

A row has columns: talev, its peers, and the floor. A column is one program in one variant or several,
of which the best counts. A goal compares the median of talev with a number, a column, 'peer': the
best of the peers, or 'level': the best of those that are not told edges.
"""

import os

HEADERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../include/talev')
PEERS = ['tevent', 'libevent', 'libev', 'libuv', 'ivykis', 'glib']
COLUMNS = ['talev'] + PEERS + ['floor']

# program: packages of pkg-config, or the linker's flags where there is no .pc file
PROGRAMS = {
	'talev': ['talloc'],
	'bench_loops': ['talloc'],
	'jobs': ['talloc'],
	'tevent': ['tevent', 'talloc'],
	'libevent': ['libevent_core', 'libevent_pthreads'],
	'libev': '-lev',
	'libuv': ['libuv'],
	'ivykis': ['ivykis'],
	'glib': ['glib-2.0'],
	'raw': [],
	'raw_timers': [],
	'raw_uring': ['liburing'],
	'calls': [],
}

# The program tevent with our libtevent.so.0 in place of the system's, and smbtorture with either.
DROPIN = ['dropin', 'smbtorture', 'smbtorture_dropin']


BESTS = {'peer': 'the best peer', 'level': 'the best peer told levels'}


class Goal:
	def __init__(self, limit, of=None, more=False):
		self.limit = limit
		self.of = of
		self.more = more

	def __str__(self):
		return '%s %g%s' % ('>=' if self.more else '<=', self.limit,
			'' if self.of is None else ' of ' + BESTS.get(self.of, self.of))


def most(limit, of=None):
	return Goal(limit, of)


def least(limit, of=None):
	return Goal(limit, of, True)


class Row:
	"""args: of the program; quick: the same for a pass that only looks whether all works. value: the
	name of the figure that counts; also: others that are told in the JSON. pair: two threads or
	processes at work, which need both cores. instructions: args for a run under callgrind. args_for:
	those of contestants that would take too long for the rest of us. again: the row whose runs have
	this figure too, if that is measured before."""

	def __init__(self, id, title, run, args, quick, columns, goals=(), value='ns', unit='ns',
			more=False, pair=False, also=(), group='', instructions=None,
			args_for=None, again=None):
		self.id = id
		self.title = title
		self.run = run
		self.args = args
		self.quick = quick
		self.columns = columns
		self.goals = list(goals)
		self.value = value
		self.unit = unit
		self.more = more
		self.pair = pair
		self.also = list(also)
		self.group = group
		self.instructions = instructions
		self.args_for = args_for or {}
		self.again = again


def columns(talev='talev:epoll', floor=(), without=(), **other):
	"""Every library in its one variant, but for what is told here."""
	made = {'talev': talev, 'tevent': 'tevent:epoll', 'libevent': 'libevent:level',
		'libev': 'libev:epoll', 'libuv': 'libuv:poll', 'ivykis': 'ivykis:default', 'floor': floor}
	made.update(other)
	return {name: [one] if isinstance(one, str) else list(one)
		for name, one in made.items() if one and name not in without}


LEVEL = columns(floor='raw:epoll')
# Edge-triggered or by completions, where a library has that; level-triggered where it has not.
EDGE = columns(talev=['talev:epoll+edge', 'talev:uring+edge'], libevent=['libevent:edge'],
	floor=['raw:edge', 'raw_uring:uring'])
DATA = columns(floor=['raw_timers:wheel', 'raw_timers:heap'])
# It would need minutes: its timers are in a sorted list.
NO_TEVENT = columns(floor=DATA['floor'], without=['tevent'])

# With threaded immediates, and with calls from loop to loop.
MESSAGES = columns(talev=['talev:epoll', 'bench_loops:epoll'], floor='raw:epoll')
# With one thread beside the loop, and with two.
JOBS = {'talev': ['jobs:one', 'jobs:two'], 'libuv': ['libuv:one', 'libuv:two', 'libuv:poll'],
	'ivykis': ['ivykis:one', 'ivykis:two'], 'glib': ['glib:one', 'glib:two']}

def ways_of_messages():
	"""How long a message is on its way to a loop that has little to do, by the number of senders."""
	rows = []
	for senders, letters, count in (('one sender', 'abd', 1), ('two senders', 'fgh', 2),
			('eight senders', 'ijk', 8)):
		for letter, value, title in zip(letters, ('p50', 'p99', 'p999'),
				('median', '99th percentile', '99.9th percentile')):
			rows.append(Row('P11' + letter, 'a message on its way, %s, %s' % (senders, title),
				'messages', '%d %d 100000' % (10000 * count, count), '80 %d 1000' % count,
				MESSAGES, value=value, pair=True, group='ways',
				again='P11' + letters[0] if letter != letters[0] else None))
	return rows


def costs_of_loops():
	"""What a loop's context costs above one of its own, without hearts and with."""
	rows = []
	for id, run, title, args, quick in (
			('Qi', 'compare_immediates', 'an immediate', '400000', '1000'),
			('Qf', 'compare_fds', 'a descriptor', '100000', '200')):
		for letter, contestant, more in (('', 'epoll', ''), ('h', 'heart', ', with a heart')):
			if letter and not os.path.exists(os.path.join(HEADERS, 'watchdog.h')):
				continue
			rows.append(Row(id + letter, 'a loop manager adds to %s%s' % (title, more), run, args,
				quick, {'talev': ['bench_loops:' + contestant]}, [most(5)],
				also=['plain', 'door', 'loop'], group='loops'))
	return rows


PIPES = [
	('P1', 'pipes 100, 1 active, 100 writes', '100 1 100 2500', '100 1 100 5'),
	('P2', 'pipes 1000, 100 active, 1000 writes', '1000 100 1000 200', '1000 100 1000 2'),
	('P3', 'pipes 9900, 100 active, 9900 writes', '9900 100 9900 20', '9900 100 9900 1'),
	('P4', 'one hot pipe', '1 1 1 120000', '1 1 1 500'),
]

ROWS = []
for id, title, args, quick in PIPES:
	ROWS.append(Row(id, title, 'pipes', args, quick, LEVEL,
		[most(1.0, 'peer'), most(1.04, 'floor')], group='descriptors'))
	ROWS.append(Row(id + 'e', title + ', edge or ring', 'pipes', args, quick, EDGE,
		[most(0.92, 'peer')], group='descriptors'))
ROWS += [
	Row('P4t', 'one hot pipe, a timer far away', 'pipes_timer', '1 1 1 120000', '1 1 1 500',
		columns(), [most(1.0, 'peer')], group='descriptors'),
	Row('P2p', 'P2 on the backend poll', 'pipes', '1000 100 1000 12', '1000 100 1000 1',
		{'talev': ['talev:poll'], 'tevent': ['tevent:poll'], 'floor': ['raw:poll']},
		[most(1.2, 'floor')], group='descriptors'),
	Row('P5a', '10,000 timers: make and free', 'timers', '10000 20', '1000 1', DATA,
		also=['add', 'cancel'], group='timers', instructions='10000 2',
		args_for={'tevent:epoll': '10000 1'}),
	Row('P5b', '100,000 timers: make and free', 'timers', '100000 3', '5000 1', NO_TEVENT,
		[most(0.6, 'libev')], also=['add', 'cancel'], group='timers',
		instructions='100000 1'),
	Row('P5c', '1,000,000 timers: make and free', 'timers', '1000000 1', '5000 1', NO_TEVENT,
		[most(0.6, 'libev')], also=['add', 'cancel'], group='timers'),
	Row('P5d', '100,000 timers, embedded by the peers', 'embedded_timers', '100000 3', '5000 1',
		NO_TEVENT, also=['add', 'cancel'], group='timers', instructions='100000 1'),
	Row('P5e', '1,000,000 timers, embedded by the peers', 'embedded_timers', '1000000 1', '5000 1',
		NO_TEVENT, also=['add', 'cancel'], group='timers'),
	Row('P6', '100,000 due timers, set in order: each', 'due', '100000 0', '1000 0', DATA,
		[most(60)], group='timers', instructions='100000 0'),
	Row('P6r', '100,000 due timers, set in any order: each', 'due', '100000 1', '1000 1',
		NO_TEVENT, group='timers',
		instructions='100000 1'),
	Row('P7a', 're-arm one of 1,000 timers', 'rearm', '1000 2000000', '1000 1000', DATA,
		[most(1.0, 'libev'), most(0.5, 'libev')], group='timers', instructions='1000 100000'),
	Row('P7b', 're-arm one of 100,000 timers', 'rearm', '100000 1000000', '5000 1000',
		NO_TEVENT,
		[most(1.0, 'libev'), most(0.5, 'libev')], group='timers',
		instructions='100000 100000'),
	Row('P8', 'immediate: schedule and run', 'immediate', '1000000', '1000',
		columns(floor='raw_timers:wheel'), [most(6)], group='timers', instructions='100000'),
	Row('P9', 'WRITE interest on and off', 'toggle', '500000', '1000',
		columns(floor='raw:epoll'), [most(8)], group='timers', instructions='100000'),
	Row('P10', 'add and free 5,000 descriptors: each', 'watchers', '5000 10', '100 1',
		columns(floor='raw:epoll'), [most(1.1, 'floor')], also=['add', 'drop'],
		group='descriptors'),
	Row('P11', 'messages from a thread', 'messages', '2000000 1', '2000 1',
		MESSAGES, [least(55e6)], args_for={'tevent:epoll': '400000 1'}, value='rate',
		unit='messages/s', more=True, pair=True, group='threads'),
	Row('P11m', 'messages from eight threads', 'messages', '2000000 8', '8000 8',
		MESSAGES, args_for={'tevent:epoll': '400000 8'}, value='rate', unit='messages/s', more=True,
		pair=True, group='threads'),
	Row('P11c', 'system calls for a message', 'messages', '1000000 1', '2000 1',
		{'talev': ['talev:epoll'], 'tevent': ['tevent:epoll']}, [most(0.1)],
		args_for={'tevent:epoll': '400000 1'}, value='calls', unit='calls', pair=True,
		group='threads'),
	Row('P11s', 'the same, the loop looks about before it sleeps', 'messages', '2000000 1',
		'2000 1', {'talev': ['talev:epoll+spin']}, value='rate', unit='messages/s', more=True,
		pair=True, group='threads'),
	*ways_of_messages(),
	Row('P12', 'messages with talloc data from a thread', 'loads', '500000 1', '2000 1',
		{'talev': ['talev:epoll', 'bench_loops:epoll'], 'tevent': ['tevent:epoll']},
		[least(12e6), least(5, 'tevent')],
		value='rate', unit='messages/s', more=True, pair=True, group='threads'),
	Row('P12m', 'messages with talloc data from eight threads', 'loads', '800000 8', '8000 8',
		{'talev': ['talev:epoll', 'bench_loops:epoll'], 'tevent': ['tevent:epoll']},
		[least(3, 'tevent')], value='rate', unit='messages/s', more=True, pair=True,
		group='threads'),
	Row('P12c', 'system calls for a message with data', 'loads', '500000 1', '2000 1',
		{'talev': ['talev:epoll'], 'tevent': ['tevent:epoll']}, [most(0.1)], value='calls',
		unit='calls', pair=True, group='threads'),
	Row('P13', 'ping-pong of two loops, round trip', 'pingpong', '15000', '100',
		columns(floor='raw:epoll'), [most(1.02, 'peer')], pair=True, group='threads'),
	Row('P13s', 'the same with the spin that one opts in to', 'pingpong', '15000', '100',
		{'talev': ['talev:epoll+spin']}, [most(1500)], pair=True, group='threads'),
	Row('P13d', 'the same with talloc data', 'pingpong_data', '15000', '100',
		{'talev': ['talev:epoll'], 'tevent': ['tevent:epoll']}, [most(1.0, 'tevent')], pair=True,
		group='threads'),
	Row('P14a', 'jobs, 1,000 in flight: each', 'jobs', '300000 1000', '2000 100', JOBS,
		[most(0.5, 'peer')], pair=True, also=['loop'], group='jobs'),
	Row('P14b', 'jobs, one in flight: there and back', 'jobs', '100000 1', '500 1', JOBS,
		[most(0.5, 'peer')], pair=True, also=['loop', 'p50', 'p99', 'p999'], group='jobs'),
	Row('P14m', 'the same, the median', 'jobs', '100000 1', '500 1', JOBS, value='p50', pair=True,
		again='P14b', group='jobs'),
	Row('P14t', 'the same, the 99th percentile', 'jobs', '100000 1', '500 1', JOBS, value='p99',
		pair=True, again='P14b', group='jobs'),
	Row('P14r', 'jobs as requests, 1,000 in flight: each', 'job_requests', '300000 1000', '2000 100',
		{'talev': JOBS['talev']}, pair=True, also=['loop'], group='jobs'),
	Row('L64', 'start and stop of 64 loops', 'start', '64 20', '8 2',
		{'talev': ['bench_loops:epoll'], 'libuv': ['libuv:poll']}, value='us', unit='us', pair=True,
		group='loops'),
	*costs_of_loops(),
	Row('P15a', 'request: create, done, callback, free', 'request', '1500000', '1000',
		{'talev': ['talev:epoll'], 'tevent': ['tevent:epoll']}, [most(28)], group='requests',
		instructions='100000'),
	Row('P15b', 'the same with post', 'request_post', '1000000', '1000',
		{'talev': ['talev:epoll'], 'tevent': ['tevent:epoll']}, [most(50)], group='requests',
		instructions='100000'),
	Row('P15c', 'bytes for a request', 'request_bytes', '10000', '1000',
		{'talev': ['talev:epoll'], 'tevent': ['tevent:epoll']}, [most(300)], value='bytes',
		unit='bytes', group='memory'),
	Row('P16f', 'bytes for a descriptor', 'bytes', '10000', '1000', columns(), [most(224)],
		value='fd', unit='bytes', group='memory'),
	Row('P16t', 'bytes for a timer', 'bytes', '10000', '1000', columns(), [most(208)],
		value='timer', unit='bytes', group='memory'),
]
for id, run, n, title, goals, edge_goals in (
		('P17', 'echo_unix', 150000, 'echo, 500 unix connections', [least(1.1, 'peer')],
			[least(1.1, 'level'), least(1.0, 'libevent')]),
		('P18', 'echo_tcp', 80000, 'echo, 500 TCP connections', [least(1.0, 'peer')],
			[least(1.03, 'peer')])):
	ROWS.append(Row(id, title, run, '500 %d' % n, '50 2000',
		columns(floor='raw:epoll', libuv=['libuv:poll', 'libuv:stream']),
		[least(1.0, 'peer')], value='rate', unit='requests/s', more=True, pair=True,
		also=['server_ns'], group='echo'))
	ROWS.append(Row(id + 'e', title + ', edge or ring', run, '500 %d' % n, '50 2000',
		dict(EDGE, libuv=['libuv:poll', 'libuv:stream']), edge_goals, value='rate',
		unit='requests/s', more=True, pair=True, also=['server_ns'], group='echo'))

def against_tevent(backend='epoll'):
	return {'talev': ['dropin:' + backend], 'tevent': ['tevent:' + backend]}


for id, backend, limit in (('P20a', 'epoll', 1.1), ('P20b', 'poll', 1.3)):
	ROWS.append(Row(id, 'drop-in: smbtorture, pipe events, ' + backend, '', '', '',
		{'talev': ['smbtorture_dropin:' + backend], 'tevent': ['smbtorture:' + backend]},
		[least(limit, 'tevent')], value='rate', unit='events/s', more=True, group='drop-in'))
for id, title, run, args, quick, backend in (
		('P20c', 'P2', 'pipes', '1000 100 1000 200', '1000 100 1000 2', 'epoll'),
		('P20d', 'P2 on the backend poll', 'pipes', '1000 100 1000 12', '1000 100 1000 1', 'poll'),
		('P20e', 'P5a', 'timers', '10000 1', '1000 1', 'epoll'),
		('P20f', 'P8', 'immediate', '1000000', '1000', 'epoll'),
		('P20g', 'P9', 'toggle', '500000', '1000', 'epoll'),
		('P20h', 'P15a', 'request', '1000000', '1000', 'epoll'),
		('P20i', 'P15b', 'request_post', '1000000', '1000', 'epoll')):
	ROWS.append(Row(id, 'drop-in: ' + title, run, args, quick, against_tevent(backend),
		[most(1.0, 'tevent')], group='drop-in'))


class Curve:
	"""One row for each x."""

	def __init__(self, id, title, x_label, y_label, run, columns, points, **more):
		self.id = id
		self.run = run
		self.title = title
		self.x_label = x_label
		self.y_label = y_label
		self.rows = [(x, Row('%s@%d' % (id, x), '%s: %d' % (title, x), run, args, quick, columns,
			group='curve', **more)) for x, args, quick in points]


CURVES = [
	Curve('Cd', 'descriptors, 10 of them active', 'descriptors', 'ns per event', 'pipes', LEVEL,
		[(n, '%d 10 10000 10' % n, '%d 10 10 1' % n) for n in (10, 100, 1000, 3000, 9900)]),
	Curve('Ct', 'timers, made and freed', 'timers', 'ns to make and to free one', 'timers', NO_TEVENT,
		[(n, '%d %d' % (n, max(1, 200000 // n)), '%d 1' % min(n, 1000))
			for n in (10, 100, 1000, 10000, 100000, 1000000)]),
	Curve('Cs', 'messages from threads', 'sending threads', 'messages/s', 'messages', MESSAGES,
		[(n, '500000 %d' % n, '2000 %d' % n) for n in (1, 2, 4, 8)],
		value='rate', unit='messages/s', more=True, pair=True),
]
