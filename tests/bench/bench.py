#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the rows of rows.py and prints a table: talev, its peers, the floor, the ratio to the best
peer, and whether the goal was met. The programs of a row are run in turn, so that what drifts hits
all, and the medians are told. Runs that something else disturbed are thrown away and counted.

Usage: bench.py [option...] [ROW...]     P1 is P1 only, P1* all that begin so, P5 P5a to P5c
BUILD is the folder of a release build.
"""

import argparse
import datetime
import glob
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

import dropin
import machine
import pages
import plots
from rows import COLUMNS, CURVES, PEERS, PROGRAMS, ROWS

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get('BUILD', os.path.join(TOP, 'build-release')))
# Counts system calls when it is preloaded.
PRELOAD = 'calls'
OUT = os.path.join(BUILD, 'tests/bench')


def pkg_config(*args):
	return subprocess.run(['pkg-config', *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
		text=True)


def compile_program(name, packages):
	"""None, or why there is no such program."""
	source = os.path.join(HERE, name + '.c')
	program = os.path.join(OUT, name)
	newest = max(os.path.getmtime(f) for f in [source] + glob.glob(os.path.join(HERE, '*.h')) +
		glob.glob(os.path.join(TOP, 'include/talev/*.h')))
	if os.path.exists(program) and os.path.getmtime(program) > newest:
		return None
	if name == PRELOAD:
		packages = '-shared -fPIC -ldl'
	flags = packages.split() if isinstance(packages, str) else []
	if packages and not flags:
		found = pkg_config('--cflags', '--libs', *packages)
		if found.returncode:
			return 'not installed: ' + ' '.join(packages)
		flags = found.stdout.split()
	if name in ('talev', 'jobs', 'bench_loops'):
		flags = ['-I' + os.path.join(TOP, 'include'), '-L' + BUILD, '-ltalev-loops', '-ltalev'] + flags
	os.makedirs(OUT, exist_ok=True)
	# libev's macros break the rules of aliasing, as its manual says.
	compiler = [os.environ.get('CC', 'cc'), '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra',
		'-fno-strict-aliasing', '-pthread', '-I' + os.path.join(TOP, 'tests')]
	done = subprocess.run(compiler + [source, '-o', program] + flags, stderr=subprocess.PIPE,
		text=True)
	if done.returncode and 'cannot find -l' in done.stderr:
		return 'not installed: ' + ' '.join(flags)
	sys.stderr.write(done.stderr)
	if done.returncode:
		sys.exit('bench.py: %s.c does not compile' % name)
	return None


class Gone(Exception):
	"""The program has no such row or variant, or is not there."""


def environment(folders):
	env = dict(os.environ)
	env['LD_LIBRARY_PATH'] = ':'.join(filter(None, [folders, env.get('LD_LIBRARY_PATH')]))
	return env


def command(contestant, row, args):
	"""The arguments and the environment of one run."""
	program, variant = contestant.split(':')
	folders = BUILD
	if program == 'dropin':
		program, folders = 'tevent', dropin.library(BUILD)
		if not folders:
			raise Gone
	argv = [os.path.join(OUT, program), variant, row.run] + args.split()
	if not os.path.exists(argv[0]):
		raise Gone
	return argv, environment(folders)


def execute(contestant, row, args, limit):
	"""The figures that one run has printed."""
	if contestant.startswith('smbtorture'):
		if limit < 60:
			raise Gone  # it counts for two seconds
		ours = contestant.startswith('smbtorture_dropin')
		folders = dropin.library(BUILD) if ours else ''
		found = None if folders is None else dropin.smbtorture(contestant.split(':')[1],
			environment(folders))
		if not found:
			raise Gone
		return found
	argv, env = command(contestant, row, args)
	if row.value == 'calls':
		env['LD_PRELOAD'] = os.path.join(OUT, PRELOAD)
	done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
		timeout=limit)
	if done.returncode == 77:
		raise Gone
	if done.returncode:
		sys.exit('bench.py: %s: exit status %d\n%s' % (' '.join(argv), done.returncode,
			done.stderr))
	figures = {k: float(v) for k, v in (line.split() for line in done.stdout.splitlines())}
	if row.value == 'calls':
		figures['calls'] = float(done.stderr.split()[-1]) / figures['count']
	return figures


def instructions(contestant, row):
	"""Of one operation, as callgrind counts them; None where there is no callgrind or no such row."""
	try:
		argv, env = command(contestant, row, row.instructions)
	except Gone:
		return None
	done = subprocess.run(['valgrind', '--tool=callgrind', '--instr-atstart=no',
		'--callgrind-out-file=/dev/null'] + argv, env=env, stdout=subprocess.PIPE,
		stderr=subprocess.PIPE, text=True, timeout=300)
	count = re.search(r'^count ([\d.]+)', done.stdout, re.M)
	found = re.search(r'Collected : (\d+)', done.stderr)
	if done.returncode or not count or not found:
		return None
	return int(found.group(1)) / float(count.group(1))


class Bench:
	def __init__(self, args):
		self.args = args
		self.thrown = 0
		self.why = {}
		self.patience = args.wait  # less when it never is quiet
		self.runs = {}

	def tell(self, text):
		if sys.stderr.isatty():
			sys.stderr.write('\r\033[K' + text)
			sys.stderr.flush()

	def undisturbed(self, contestant, row, args):
		"""One run that counts; after several that do not, the last one, which is marked."""
		for _ in range(1 if self.args.quick else 3):
			if row.pair and not self.args.quick:
				quiet = machine.wait_until_quiet(self.patience, self.tell, self.spinners)
				self.patience = self.args.wait if quiet else self.patience / 2
			watch = machine.Watch(self.spinners)
			found = execute(contestant, row, args, 20 if self.args.quick else 120)
			why = None if self.args.quick else watch.disturbed(row.pair)
			share = found.get('cpu', 1) / max(1, found.get('wall', 1))
			if why is None and not self.args.quick and not row.pair and found.get('wall') and \
					share < 0.2:
				why = 'it had little of its core'
			found['disturbed'] = why is not None
			if why is None:
				return found
			self.thrown += 1
			self.why[why] = self.why.get(why, 0) + 1
		return found

	def measure(self, row):
		if row.again in self.runs:
			return self.judge(row, self.runs[row.again])
		args = row.quick if self.args.quick else row.args
		runs = {c: [] for column in row.columns.values() for c in column}
		self.spinners = None
		with (machine.Spinners() if row.pair and not self.args.quick else Nothing()) as spinners:
			self.spinners = spinners
			for i in range(1 if self.args.quick else self.args.rounds):
				for contestant in list(runs):
					self.tell('%s: %d of %d, %s' % (row.id, i + 1, self.args.rounds, contestant))
					try:
						runs[contestant].append(self.undisturbed(contestant, row,
							args if self.args.quick else row.args_for.get(contestant, args)))
					except Gone:
						del runs[contestant]
		self.tell('')
		self.runs[row.id] = runs
		counts = {c: {r['count'] for r in rs} for c, rs in runs.items() if c not in row.args_for}
		if len(set().union(*counts.values())) > 1:
			sys.exit('bench.py: %s: not the same work: %s' % (row.id, counts))
		return self.judge(row, runs)

	def judge(self, row, runs):
		medians = {c: {k: statistics.median(r[k] for r in rs) for k in rs[0] if k != 'disturbed'}
			for c, rs in runs.items()}
		best = max if row.more else min
		values, variants = {}, {}
		for column, contestants in row.columns.items():
			there = [c for c in contestants if c in medians]
			if there:
				variants[column] = best(there, key=lambda c: medians[c][row.value])
				values[column] = medians[variants[column]][row.value]
		peers = [values[p] for p in PEERS if p in values]
		values['peer'] = best(peers) if peers else None
		levels = [values[p] for p in PEERS if p in values and ':edge' not in variants[p]]
		values['level'] = best(levels) if levels else None
		goals = []
		for goal in row.goals:
			against = values.get(goal.of) if goal.of else 1
			if 'talev' not in values or not against:
				goals.append((str(goal), None, None))
				continue
			ratio = values['talev'] / against
			hit = ratio >= goal.limit if goal.more else ratio <= goal.limit
			goals.append((str(goal), ratio, hit))
		return {
			'id': row.id, 'title': row.title, 'unit': row.unit, 'group': row.group,
			'more': row.more, 'values': values, 'variants': variants,
			'also': {c: {k: medians[c][k] for k in row.also} for c in medians},
			'runs': {c: [r[row.value] for r in rs] for c, rs in runs.items()},
			'marked': sorted(c for c, rs in runs.items() if any(r['disturbed'] for r in rs)),
			'goals': goals, 'date': now(),
		}


def together(passes):
	"""One row from several passes: the medians of their figures, and a goal is hit by all or by some."""
	row = dict(passes[-1], passes=passes)
	row['values'] = {column: statistics.median(p['values'][column] for p in passes)
		if all(p['values'].get(column) for p in passes) else None for column in row['values']}
	row['runs'] = {c: [r for p in passes for r in p['runs'].get(c, [])] for c in row['runs']}
	row['marked'] = sorted({c for p in passes for c in p['marked']})
	row['goals'] = []
	for told in zip(*(p['goals'] for p in passes)):
		known = [(ratio, hit) for _, ratio, hit in told if hit is not None]
		row['goals'].append((told[0][0], statistics.median(r for r, _ in known) if known else None,
			sum(h for _, h in known) / len(known) if known else None))
	return row


class Nothing:
	def __enter__(self):
		return None

	def __exit__(self, *unused):
		pass


def now():
	return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M')


def number(value):
	if value is None:
		return '-'
	if value >= 10000:
		return '%.0f k' % (value / 1000)
	return '%.0f' % value if value >= 100 else '%.1f' % value


def verdict(row):
	words = []
	for text, ratio, hit in row['goals']:
		word = pages.word(hit, row)
		words.append('%s %s' % (text, word))
	return '; '.join(words)


LAYOUT = '%-5s %-42s' + len(COLUMNS) * ' %8s' + ' %6s  %s'


def line(row):
	values = row['values']
	ratio = '-'
	if values.get('talev') and values.get('peer'):
		ratio = '%.2f' % (values['talev'] / values['peer'])
	cells = [number(values.get(c)) + ('~' if row['variants'].get(c) in row['marked'] else '')
		for c in COLUMNS]
	title = '%s, %s' % (row['title'], row['unit'])
	return LAYOUT % (row['id'], title[:42], *cells, ratio, verdict(row))


def head():
	return LAYOUT % ('', '', *COLUMNS, 'ratio', 'goal of talev')


def chosen(patterns):
	everything = ROWS + [row for curve in CURVES for _, row in curve.rows]
	for pattern in patterns:
		if not any(matches(pattern, row) for row in everything):
			sys.exit('bench.py: no row %s; there are curves, %s' % (pattern,
				' '.join(row.id for row in ROWS)))
	return [r for r in everything if not patterns or any(matches(p, r) for p in patterns)]


def matches(pattern, row):
	if pattern == 'curves':
		return row.group == 'curve'
	return pattern in (row.id, re.match(r'[A-Z]\d*[a-z]?', row.id).group(0).rstrip(
		'abcdefghijklmnopqrstuvwxyz' if row.id[0] == 'P' else ''))


def count_instructions(rows):
	found = {}
	print()
	print(LAYOUT % ('', 'instructions, by callgrind', *COLUMNS, 'ratio', ''))
	for row in rows:
		if not row.instructions:
			continue
		values = {}
		for column, contestants in row.columns.items():
			there = [n for n in (instructions(c, row) for c in contestants) if n is not None]
			if there:
				values[column] = min(there)
		peers = [values[p] for p in PEERS if p in values]
		found[row.id] = values
		ratio = '%.2f' % (values['talev'] / min(peers)) if peers and 'talev' in values else '-'
		cells = [number(values.get(c)) for c in COLUMNS]
		print((LAYOUT % (row.id, row.title[:42], *cells, ratio, '')).rstrip())
		sys.stdout.flush()
	return found


def arguments():
	parser = argparse.ArgumentParser(description=__doc__,
		formatter_class=argparse.RawDescriptionHelpFormatter)
	parser.add_argument('--rounds', type=int, default=5, help='of which the median is told')
	parser.add_argument('--quick', action='store_true',
		help='one short pass: do all programs run and count the same')
	parser.add_argument('--compile', action='store_true', help='make the programs, measure nothing')
	parser.add_argument('--wait', type=float, default=30,
		help='seconds to wait before a run until the machine is quiet')
	parser.add_argument('--times', action='store_true', help='leave out the instructions')
	parser.add_argument('--instructions', action='store_true', help='count only those')
	parser.add_argument('--again', action='store_true',
		help='print and draw what there is from earlier runs')
	parser.add_argument('--pages', action='store_true',
		help='put the table into the manual and the README')
	parser.add_argument('--passes', type=int, default=1,
		help='go through all rows so often; a goal is hit if it is in each')
	parser.add_argument('--add', action='store_true', help='passes to those of earlier runs')
	parser.add_argument('--fresh', action='store_true', help='forget the results of earlier runs')
	parser.add_argument('rows', nargs='*', metavar='ROW')
	args = parser.parse_args()
	args.rows = [p for word in args.rows for p in word.split(',') if p]
	return args


def main():
	args = arguments()
	missing = {name: compile_program(name, packages) for name, packages in PROGRAMS.items()}
	for name, why in missing.items():
		if why:
			print('%s: %s' % (name, why))
	if args.compile:
		return 0
	bench = Bench(args)
	folder = os.path.join(OUT, 'quick') if args.quick else OUT
	os.makedirs(folder, exist_ok=True)
	path = os.path.join(folder, 'bench.json')
	results = {'rows': {}, 'instructions': {}}
	if os.path.exists(path) and not args.fresh and not args.quick:
		with open(path) as f:
			results.update(json.load(f))
	rows = chosen(args.rows)

	def keep():
		results.update(kernel=platform.release(), cpus=os.cpu_count())
		with open(path, 'w') as f:
			json.dump(results, f, indent=1)

	if args.again:
		rows = [row for row in rows if row.id in results['rows']]
	if not args.instructions:
		print(head())
	for i in range(0 if args.instructions else 1 if args.again else args.passes):
		bench.runs = {}
		for row in rows:
			if not args.again:
				passes = results['rows'].get(row.id, {}).get('passes', []) if i or args.add else []
				results['rows'][row.id] = together(passes + [bench.measure(row)])
				keep()
			print(line(results['rows'][row.id]))
			sys.stdout.flush()
	if bench.thrown:
		print('thrown away: %d runs (%s)' % (bench.thrown, ', '.join(
			'%d: %s' % (n, why) for why, n in sorted(bench.why.items(), key=lambda x: -x[1])[:4])))
	if not (args.quick or args.again or args.times) and shutil.which('valgrind'):
		results['instructions'].update(count_instructions(rows))
		keep()
	print('\n'.join(plots.draw(results, folder)))
	if args.pages:
		print('\n'.join(pages.write(results, TOP, number, folder)))
	return 0


if __name__ == '__main__':
	sys.exit(main())
