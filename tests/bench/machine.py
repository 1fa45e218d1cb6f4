# SPDX-License-Identifier: BSD-2-Clause
"""Is the machine ours: what else ran, what the host took, what share of its CPU a program got."""

import os
import subprocess
import sys
import time

TICK = os.sysconf('SC_CLK_TCK')
CPUS = os.cpu_count()


def cpu_times():
	"""Seconds of all CPUs together: busy with anything, and taken by the host."""
	with open('/proc/stat') as f:
		n = [int(x) / TICK for x in f.readline().split()[1:9]]
	user, nice, system, idle, iowait, irq, softirq, steal = n
	return user + nice + system, steal


def seconds_of(pid):
	with open('/proc/%d/stat' % pid) as f:
		fields = f.read().rsplit(')', 1)[1].split()
	return (int(fields[11]) + int(fields[12])) / TICK


class Spinners:
	"""Keep every core awake at the lowest priority: with one idle, the host packs both on one for
	half a second."""

	def __enter__(self):
		self.all = [subprocess.Popen(['chrt', '-i', '0', 'taskset', '-c', str(cpu), sys.executable,
			'-c', 'while True: pass']) for cpu in range(CPUS)]
		time.sleep(1)
		return self

	def __exit__(self, *unused):
		for one in self.all:
			one.kill()
			one.wait()

	def seconds(self):
		return sum(seconds_of(one.pid) for one in self.all)


class Watch:
	"""What happened beside a program while it ran."""

	def __init__(self, spinners=None):
		self.spinners = spinners
		self.start = self.now()

	def now(self):
		busy, steal = cpu_times()
		mine = sum(os.times()[:4])
		return (time.monotonic(), busy, steal,
			mine + (self.spinners.seconds() if self.spinners else 0))

	def disturbed(self, both_cores=True):
		"""Why the run does not count, or None. What others use matters if it had to be both cores;
		a single thread is judged by its own CPU time."""
		wall, busy, steal, known = (b - a for a, b in zip(self.start, self.now()))
		# The kernel counts in ticks, so short runs have to be forgiven some of them.
		others = busy - known
		if steal > 0.02 * wall + 2 / TICK:
			return 'the host took some of it'
		if both_cores and others > 0.08 * wall + 4 / TICK:
			return 'others used a core'
		return None


def wait_until_quiet(limit, tell, spinners=None):
	"""False: it never was."""
	told = False
	until = time.monotonic() + limit
	while True:
		before = Watch(spinners)
		time.sleep(0.05)
		with open('/proc/loadavg') as f:
			running = int(f.read().split()[3].split('/')[0])
		if running <= 1 + (CPUS if spinners else 0) and before.disturbed() is None:
			return True
		if time.monotonic() > until:
			return False
		if not told:
			tell('waiting until the machine is quiet')
			told = True
