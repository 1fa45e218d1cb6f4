#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the tests that are built and closes with one line: N passed, N failed, N skipped.

  checks     executables buildtools/check_*
  plain      the programs of tests/<room>/test_*.c from build/
  asan       the same from build-asan/ (AddressSanitizer, LeakSanitizer, UBSan)
  valgrind   those of build/ again under memcheck; a descriptor left open is an error too
  tsan       those with several threads or Unix signals at work, from build-tsan/, on one backend
  models     tests/model/models.sh, which says in TAP what spin has proved
  scripts    executables tests/<room>/*.sh

A check or script passes with 0, skips with 77 (its last line is the reason), else it fails. The
cases of a cmocka program are counted one by one, and so are those of a script with the word
PRINTS_TAP, which it does when TAP is set; a program that dies counts one failure more.
A source with the word TEST_ALL_BACKENDS is run once for each backend, which it is told in the
environment: TALEV_TEST_BACKEND. All get TALEV_TOP, TALEV_BUILD, and the built library's folder in
LD_LIBRARY_PATH. A source with the words NO_VALGRIND: <reason> is not run under valgrind. TIMEOUT:
<seconds> in a source or script is its time limit.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(TOP, 'build', 'test-logs')
BACKENDS = ['epoll', 'poll', 'sim', 'uring']
# Its io_uring_enter(2) lets no other thread run and no signal through, so a wait in it may never end.
URING_IN_VALGRIND = 'valgrind holds back signals and threads while io_uring_enter(2) waits'
FOLDERS = {'plain': 'build', 'asan': 'build-asan', 'valgrind': 'build', 'tsan': 'build-tsan'}
GROUPS = ['checks', 'plain', 'asan', 'valgrind', 'tsan', 'models', 'scripts']
# What ThreadSanitizer is for. It tells a signal handler late, of a context that is over by then: the
# storm, where the handler blocks its signal by that context, would wait for ever.
TSAN = re.compile(r'tests/(thread/|work/|loops/|event/test_(signal(?!_storm)|child)|plugind/test_(threads|worker|jobs|watchdog))')
NOT_ROOMS = ['support', 'fuzz', 'model', 'demo']
OWN_BUILD = ['tevent']  # a script there builds and runs the programs
SKIP = 77

ASAN_OPTIONS = ('halt_on_error=1:detect_leaks=1:detect_stack_use_after_return=1:'
	'strict_string_checks=1:check_initialization_order=1:strict_init_order=1:exitcode=99')
UBSAN_OPTIONS = 'halt_on_error=1:print_stacktrace=1:exitcode=99'
TSAN_OPTIONS = 'halt_on_error=1:second_deadlock_stack=1:exitcode=99'
VALGRIND = ['valgrind', '--quiet', '--error-exitcode=99', '--leak-check=full', '--num-callers=30',
	'--show-leak-kinds=definite,indirect,possible',
	'--errors-for-leak-kinds=definite,indirect,possible', '--track-fds=yes', '--fair-sched=try']


class Job:
	"""One program in one configuration."""

	def __init__(self, name, config, argv, build, limit, env=None, cases=False, skip=None):
		self.name = name
		self.config = config
		self.argv = argv
		self.build = os.path.join(TOP, build)
		self.limit = limit
		self.env = env or {}
		self.cases = cases
		self.skip = skip

	def title(self):
		return '%s (%s)' % (self.name, self.config)

	def log(self, suffix='.log'):
		return os.path.join(LOGS, re.sub(r'[^\w.-]+', '_', self.title()).strip('_') + suffix)


class Result:
	def __init__(self):
		self.passed = self.failed = self.skipped = 0
		self.why = []
		self.output = ''
		self.seconds = 0.0

	def word(self):
		return 'FAIL' if self.failed else 'ok' if self.passed else 'skip'


def text_of(path):
	with open(path, encoding='utf-8', errors='replace') as f:
		return f.read()


def executables(pattern):
	paths = [p for p in sorted(glob.glob(os.path.join(TOP, pattern)))
		if os.path.isfile(p) and not p.endswith('.pyc')]
	for path in paths:
		if not os.access(path, os.X_OK):
			print('run_tests: %s is not executable, so it is not run' % os.path.relpath(path, TOP))
	return [p for p in paths if os.access(p, os.X_OK)]


def limit_of(source, default):
	found = re.search(r'\bTIMEOUT: *(\d+)', source)
	return int(found.group(1)) if found else default


def script_jobs(group, pattern, default_limit):
	for path in executables(pattern):
		room = os.path.basename(os.path.dirname(path))
		if group == 'scripts' and room in NOT_ROOMS:
			continue
		text = text_of(path)
		tap = 'PRINTS_TAP' in text
		yield Job(os.path.relpath(path, TOP), group, [path], 'build',
			limit_of(text, default_limit), cases=tap or group == 'models',
			env={'TAP': '1'} if tap else None)


def program_jobs(group, default_limit):
	for source in sorted(glob.glob(os.path.join(TOP, 'tests/*/test_*.c'))):
		if os.path.basename(os.path.dirname(source)) in NOT_ROOMS + OWN_BUILD:
			continue
		text = text_of(source)
		name = os.path.relpath(source, TOP)[:-len('.c')]
		if group == 'tsan' and not TSAN.match(name):
			continue
		program = os.path.join(TOP, FOLDERS[group], name)
		limit = limit_of(text, default_limit)
		argv = [program]
		skip = None
		if group == 'valgrind':
			limit *= 3
			argv = VALGRIND + [program]
			found = re.search(r'NO_VALGRIND\W*(.*)', text)
			if found:
				skip = found.group(1).replace('*/', '').strip() or 'NO_VALGRIND'
			elif not shutil.which('valgrind'):
				skip = 'valgrind is not installed'
		everywhere = 'TEST_ALL_BACKENDS' in text and group != 'tsan'
		for backend in BACKENDS if everywhere else [None]:
			env = {'CMOCKA_MESSAGE_OUTPUT': 'TAP'}
			if backend:
				env['TALEV_TEST_BACKEND'] = backend
			why = skip
			if group == 'valgrind' and backend == 'uring':
				why = skip or URING_IN_VALGRIND
			yield Job(name, ' '.join(filter(None, [group, backend])), argv, FOLDERS[group], limit,
				env=env, cases=True, skip=why)


def all_jobs(groups, limit):
	for group in groups:
		if group == 'checks':
			yield from script_jobs(group, 'buildtools/check_*', limit)
		elif group == 'scripts':
			yield from script_jobs(group, 'tests/*/*.sh', limit)
		elif group == 'models':
			yield from script_jobs(group, 'tests/model/models.sh', limit)
		else:
			yield from program_jobs(group, limit)


def environment(job):
	env = dict(os.environ)
	for name in ('TALEV_TEST_BACKEND', 'TALEV_NO_URING', 'MAKEFLAGS', 'MFLAGS',
			'MAKELEVEL', 'BUILD', 'WAFLOCK'):
		env.pop(name, None)
	env.update(TALEV_TOP=TOP, TALEV_BUILD=job.build, ASAN_OPTIONS=ASAN_OPTIONS,
		UBSAN_OPTIONS=UBSAN_OPTIONS, TSAN_OPTIONS=TSAN_OPTIONS, LC_ALL='C.UTF-8')
	env['LD_LIBRARY_PATH'] = ':'.join(filter(None, [job.build, env.get('LD_LIBRARY_PATH')]))
	env.update(job.env)
	return env


running = set()
running_lock = threading.Lock()


def kill_group(process):
	try:
		os.killpg(process.pid, signal.SIGKILL)
	except ProcessLookupError:
		pass


def execute(job, result):
	"""Runs the program in a process group of its own, its output in a file, so that nothing it
	leaves behind can keep us waiting or survive us. Returns its exit status, None if too late."""
	argv = list(job.argv)
	if argv[0] == 'valgrind':
		argv.insert(1, '--log-file=' + job.log('.valgrind.%p'))
	with open(job.log(), 'w+b') as log:
		process = subprocess.Popen(argv, cwd=TOP, env=environment(job), stdin=subprocess.DEVNULL,
			stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
		with running_lock:
			running.add(process)
		try:
			status = process.wait(job.limit)
		except subprocess.TimeoutExpired:
			status = None
		kill_group(process)
		process.wait()
		with running_lock:
			running.discard(process)
		log.seek(0)
		result.output = log.read().decode('utf-8', 'replace')
	if argv[0] == 'valgrind':
		read_valgrind(job, process.pid, result)
	return status


def read_valgrind(job, pid, result):
	path = job.log('.valgrind.%d' % pid)
	report = text_of(path) if os.path.exists(path) else ''
	if report.strip():
		result.output += '\n' + report
	for block in re.split(r'(?m)^==\d+== (?=Open )', report)[1:]:
		if '<inherited from parent>' not in block:
			result.why.append('left open: ' + block.split('\n')[0])
	for path in glob.glob(job.log('.valgrind.*')):
		if not os.path.getsize(path):
			os.unlink(path)


def count_cases(job, result):
	"""cmocka's TAP. A group announces its number of cases first; the ones that never came are
	lost, most likely because the program died in the first of them."""
	planned = seen = 0
	for line in result.output.splitlines():
		plan = re.match(r'1\.\.(\d+)$', line)
		case = re.match(r'(not )?ok \d+ (?:- )?(.*)', line)
		if plan:
			planned += int(plan.group(1))
		elif case:
			seen += 1
			if case.group(2).startswith('# SKIP'):
				result.skipped += 1
			elif case.group(1):
				result.failed += 1
				result.why.append('case ' + case.group(2))
			else:
				result.passed += 1
	if seen < planned:
		result.why.append('only %d of %d cases came to an end' % (seen, planned))
	return seen


def describe(status):
	if status < 0:
		return 'killed by ' + signal.Signals(-status).name
	if status == 99:
		return 'exit status 99: the sanitizer or valgrind found something'
	return 'exit status %d' % status


def judge(job, status, result):
	cases = count_cases(job, result) if job.cases else 0
	if status is None:
		result.why.insert(0, 'not done after %d seconds, killed' % job.limit)
	elif status == SKIP and not result.failed and not result.passed:
		result.skipped = max(1, result.skipped)
		lines = result.output.strip().splitlines()
		result.why = [lines[-1] if lines else 'no reason given']
		return
	elif status and not (cases and result.failed and status == result.failed):
		# cmocka's own exit status is its number of failed cases: that adds nothing.
		result.why.append(describe(status))
	elif not status and not cases and not result.why:
		result.passed = 1
	if result.why and not result.failed:
		result.failed = 1
	elif status is None or (status and status < 0) or status == 99:
		result.failed += 1


def run(job):
	result = Result()
	begin = time.monotonic()
	if job.skip:
		result.skipped = 1
		result.why.append(job.skip)
	elif job.cases and not os.path.exists(job.argv[-1]):
		result.failed = 1
		result.why.append('not built: ' + os.path.relpath(job.argv[-1], TOP))
	else:
		try:
			judge(job, execute(job, result), result)
		except OSError as e:
			result.failed = 1
			result.why.append(str(e))
	result.seconds = time.monotonic() - begin
	return job, result


def report(job, result):
	reason = ': ' + '; '.join(result.why) if result.why else ''
	print('%-4s %s %.1fs%s' % (result.word(), job.title(), result.seconds, reason))
	if result.failed and result.output:
		print('\n'.join('     | ' + line for line in result.output.splitlines()[-400:]))
	sys.stdout.flush()


def arguments():
	parser = argparse.ArgumentParser(description=__doc__,
		formatter_class=argparse.RawDescriptionHelpFormatter)
	parser.add_argument('-k', metavar='PATTERN', default='', help='only names (with configuration) '
		'in which this regular expression is found')
	parser.add_argument('--only', metavar='GROUP,...', default=','.join(GROUPS),
		help='default: ' + ','.join(GROUPS))
	parser.add_argument('--list', action='store_true', help='name what would run')
	parser.add_argument('--timeout', type=int, default=120, help='seconds for one program')
	parser.add_argument('-j', type=int, default=len(os.sched_getaffinity(0)), help='at once')
	args = parser.parse_args()
	try:
		re.compile(args.k)
	except re.error as e:
		parser.error('-k %s: %s' % (args.k, e))
	args.only = args.only.split(',')
	for group in args.only:
		if group not in GROUPS:
			parser.error('no group %r; there are %s' % (group, ', '.join(GROUPS)))
	return args


def interrupted(signum, frame):
	with running_lock:
		for process in running:
			kill_group(process)
	os._exit(128 + signum)


def main():
	args = arguments()
	jobs = [j for j in all_jobs(args.only, args.timeout) if re.search(args.k, j.title())]
	if args.list:
		print('\n'.join(j.title() for j in jobs))
		return 0
	shutil.rmtree(LOGS, ignore_errors=True)
	os.makedirs(LOGS)
	signal.signal(signal.SIGINT, interrupted)
	signal.signal(signal.SIGTERM, interrupted)
	passed = failed = skipped = 0
	with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, args.j)) as pool:
		for future in concurrent.futures.as_completed([pool.submit(run, j) for j in jobs]):
			job, result = future.result()
			report(job, result)
			passed += result.passed
			failed += result.failed
			skipped += result.skipped
	if not passed and not failed:
		print('run_tests: nothing ran')
		failed = 1 if not skipped else failed
	print('%d passed, %d failed, %d skipped' % (passed, failed, skipped))
	return 1 if failed or not passed else 0


if __name__ == '__main__':
	sys.exit(main())
