#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The drop-in libtevent.so.0 against the tevent of the system: one table.

Needs Debian's libtevent-dev, and for the first rows its samba-testsuite. The same programs are run
with either library in turn, so that what disturbs the machine disturbs both; told is the median.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# row of bench_tevent.c: how many, what the table says, whether less is better
ROWS = [
	('requests', 1500000, 'requests created, finished, freed', '/s'),
	('posted', 800000, 'the same by way of tevent_req_post()', '/s'),
	('timed', 1000000, 'the same with an end time', '/s'),
	('immediates', 3000000, 'immediates', '/s'),
	('pipes', 300000, 'bytes through two pipes', '/s'),
	('idle', 300000, 'the same among 400 silent descriptors', '/s'),
	('signals', 200000, 'two signals with each byte', '/s'),
	('flips', 300000, 'interest taken back and shown again', '/s'),
	('watchers', 500000, 'descriptors watched and let go', '/s'),
	('ascending', 40000, '40,000 timers, one after the other', 's'),
	('timers', 40000, '40,000 timers at random times', 's'),
]


def library_below(build):
	for folder in (build, build + '/tevent', build + '/lib/tevent', build + '/talev'):
		if os.path.exists(os.path.join(folder, 'libtevent.so.0')):
			return folder + ':' + build
	return None


def environment(libraries):
	env = dict(os.environ)
	env.pop('LD_LIBRARY_PATH', None)
	if libraries:
		env['LD_LIBRARY_PATH'] = libraries
	return env


def run(argv, libraries, limit):
	return subprocess.run(argv, env=environment(libraries), check=True, stdout=subprocess.PIPE,
		stderr=subprocess.STDOUT, text=True, timeout=limit).stdout


def smbtorture(libraries):
	"""Backend -> pipe events a second, as Samba's own test of tevent counts them."""
	with tempfile.TemporaryDirectory() as work:
		text = run(['smbtorture', '-s', '/dev/null', '--option=lock directory=' + work,
			'--option=private dir=' + work, '--option=state directory=' + work,
			'--option=cache directory=' + work, '--option=ncalrpc dir=' + work,
			'ncalrpc:localhost', 'local.event'], libraries, 300)
	return {b: float(rate) for b, rate in re.findall(
		r"backend '(\w+)' - test_event_context\nGot ([\d.]+) pipe events/sec", text)}


def compile_program(folder, cc):
	program = os.path.join(folder, 'bench_tevent')
	subprocess.run([cc, '-std=c11', '-D_GNU_SOURCE', '-O2', '-o', program,
		os.path.join(TOP, 'tests/bench/bench_tevent.c'), '-ltevent', '-ltalloc'], check=True)
	return program


def number(value, unit):
	return '%.3f s' % value if unit == 's' else '{:,.0f}/s'.format(value)


def tell(name, ours, system, unit):
	a = statistics.median(ours) if ours else None
	b = statistics.median(system)
	better = '' if a is None else '%.2f' % (b / a if unit == 's' else a / b)
	print('| %-42s | %14s | %14s | %6s |' % (name, '-' if a is None else number(a, unit),
		number(b, unit), better))
	sys.stdout.flush()
	return a is None or float(better) > 1


def main():
	parser = argparse.ArgumentParser(description=__doc__,
		formatter_class=argparse.RawDescriptionHelpFormatter)
	parser.add_argument('--build', default=os.environ.get('BUILD', os.path.join(TOP, 'build')))
	parser.add_argument('--runs', type=int, default=5)
	parser.add_argument('--only', default='', help='smbtorture, or rows of bench_tevent.c')
	parser.add_argument('--backend', default='standard')
	parser.add_argument('--cc', default='gcc')
	args = parser.parse_args()
	only = [o for o in args.only.split(',') if o]
	ours = library_below(os.path.abspath(args.build))
	if not ours:
		print('no libtevent.so.0 of ours below %s: the system alone' % args.build)
	good = True
	print('| %-42s | %14s | %14s | %6s |' % ('', 'talev', 'tevent', 'better'))
	print('| %s | %s: | %s: | %s: |' % ('-' * 42, '-' * 13, '-' * 13, '-' * 5))
	if (not only or 'smbtorture' in only) and shutil.which('smbtorture'):
		rates = {'ours': [], 'system': []}
		for _ in range(args.runs):
			rates['system'].append(smbtorture(None))
			if ours:
				rates['ours'].append(smbtorture(ours))
		for backend in rates['system'][0]:
			good &= tell('smbtorture, pipe events, ' + backend,
				[r[backend] for r in rates['ours'] if backend in r],
				[r[backend] for r in rates['system']], '/s')
	with tempfile.TemporaryDirectory() as folder:
		program = compile_program(folder, args.cc)
		for row, count, name, unit in ROWS:
			if only and row not in only:
				continue
			# Ten seconds each with tevent: once is enough to see that.
			times = 1 if row == 'timers' else args.runs
			argv = [program, row, str(count), args.backend]
			a, b = [], []
			for _ in range(times):
				b.append(float(run(argv, None, 300)))
				if ours:
					a.append(float(run(argv, ours, 300)))
			good &= tell(name, a, b, unit)
	if ours and not good:
		print('not better in every row')
	return 0


if __name__ == '__main__':
	sys.exit(main())
