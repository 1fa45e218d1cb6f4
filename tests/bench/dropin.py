# SPDX-License-Identifier: BSD-2-Clause
"""The drop-in libtevent.so.0: programs that were built for tevent, run with the library of the
system or with ours."""

import os
import re
import shutil
import subprocess
import tempfile

PIPE_EVENTS = re.compile(r'Got ([\d.]+) pipe events/sec')


def library(build):
	"""The folders to find ours in, or None."""
	folder = os.path.join(build, 'talev')
	return folder + ':' + build if os.path.exists(folder + '/libtevent.so.0') else None


def smbtorture(backend, env):
	"""What Samba's own test of tevent counts. None: it is not installed."""
	if not shutil.which('smbtorture'):
		return None
	with tempfile.TemporaryDirectory() as work:
		options = ['--option=%s=%s' % (o, work) for o in ('lock directory', 'private dir',
			'state directory', 'cache directory', 'ncalrpc dir')]
		done = subprocess.run(['smbtorture', '-s', '/dev/null', *options, 'ncalrpc:localhost',
			'local.event.%s.context' % backend], env=env, stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT, text=True, timeout=60)
	found = PIPE_EVENTS.search(done.stdout)
	return {'rate': float(found.group(1)), 'count': 1.0} if found else None
