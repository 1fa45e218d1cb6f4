#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The rows that are compared with another library: both are run in turn, so that what else the
machine does hits both, and the medians are printed with their ratio.

Usage: bench.py [--rounds N] [--scale F] [ROW...]     rows: proxy threaded pingpong calls
BUILD is the folder with the built library and tests/bench/bench_thread. The peer is compiled here
with $CC (cc). A ratio above 1 means that talev is that many times faster, or needs that many times
fewer calls.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get('BUILD', os.path.join(TOP, 'build'))
OUT = os.path.join(BUILD, 'tests/bench')

# name, arguments of the programs, messages, unit, more is better
ROWS = [
	('proxy', 'proxy, 1 sender', ['proxy', '1'], 1000000, 'messages/s', True),
	('proxy', 'proxy, 8 senders', ['proxy', '8'], 1000000, 'messages/s', True),
	('threaded', 'threaded immediate, 1 sender', ['threaded', '1'], 2000000, 'messages/s', True),
	('threaded', 'threaded immediate, 8 senders', ['threaded', '8'], 2000000, 'messages/s', True),
	('pingpong', 'ping-pong, round trip', ['pingpong', '1'], 20000, 'ns', False),
	('calls', 'proxy, 1 sender: system calls', ['proxy', '1'], 500000, 'per message', False),
	('calls', 'proxy, 8 senders: system calls', ['proxy', '8'], 500000, 'per message', False),
	('calls', 'threaded, 8 senders: system calls', ['threaded', '8'], 500000, 'per message', False),
]


def compile_peers():
	def flags(*args):
		return subprocess.check_output(['pkg-config', *args], text=True).split()

	cc = [os.environ.get('CC', 'cc'), '-std=gnu11', '-O2', '-Wall', '-pthread',
		'-I' + os.path.join(TOP, 'tests')]
	peers = os.path.join(HERE, 'peers')
	os.makedirs(OUT, exist_ok=True)
	subprocess.check_call(cc + [os.path.join(peers, 'thread_tevent.c'), '-o',
		os.path.join(OUT, 'peer_thread_tevent')] + flags('--cflags', '--libs', 'tevent', 'talloc'))
	subprocess.check_call(cc + ['-D_GNU_SOURCE', '-fPIC', '-shared',
		os.path.join(peers, 'count_calls.c'), '-o', os.path.join(OUT, 'count_calls.so'), '-ldl'])


def run(program, arguments, count, preload=None):
	env = dict(os.environ)
	env['LD_LIBRARY_PATH'] = ':'.join(filter(None, [BUILD, env.get('LD_LIBRARY_PATH')]))
	if preload:
		env['LD_PRELOAD'] = preload
	done = subprocess.run([os.path.join(OUT, program), *arguments, str(count)], env=env,
		stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
	if done.returncode:
		sys.exit('%s %s: exit status %d\n%s' % (program, ' '.join(arguments), done.returncode,
			done.stderr))
	if preload:
		return int(re.search(r'calls (\d+)', done.stderr).group(1)) / count
	return float(done.stdout)


def measure(row, rounds, scale):
	group, _, arguments, count, _, _ = row
	count = max(1000, int(count * scale))
	preload = os.path.join(OUT, 'count_calls.so') if group == 'calls' else None
	ours, theirs = [], []
	for _ in range(rounds):
		ours.append(run('bench_thread', arguments, count, preload))
		theirs.append(run('peer_thread_tevent', arguments, count, preload))
	return statistics.median(ours), statistics.median(theirs)


def number(value):
	return '{:,.0f}'.format(value) if value >= 100 else '%.4f' % value


def main():
	parser = argparse.ArgumentParser(description=__doc__,
		formatter_class=argparse.RawDescriptionHelpFormatter)
	parser.add_argument('--rounds', type=int, default=5)
	parser.add_argument('--scale', type=float, default=1.0, help='of the numbers of messages')
	parser.add_argument('rows', nargs='*', metavar='ROW')
	args = parser.parse_args()
	if not shutil.which('pkg-config') or subprocess.call(['pkg-config', '--exists', 'tevent']):
		sys.exit('bench.py: tevent is not installed; on Debian it is in libtevent-dev')
	compile_peers()
	print('median of %d, run in turn; load of the machine %.1f' % (args.rounds, os.getloadavg()[0]))
	print('%-36s %14s %14s %8s  %s' % ('', 'talev', 'tevent', 'ratio', ''))
	for row in ROWS:
		if args.rows and row[0] not in args.rows:
			continue
		ours, theirs = measure(row, args.rounds, args.scale)
		ratio = ours / theirs if row[5] else theirs / max(ours, 1e-9)
		print('%-36s %14s %14s %8.2f  %s' % (row[1], number(ours), number(theirs), ratio, row[4]))
		sys.stdout.flush()


if __name__ == '__main__':
	main()
