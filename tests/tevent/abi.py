#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The binary interface of tevent 0.17.2. See abi.sh.

  abi.py LIBRARY [OTHER]          is LIBRARY it? and is what OTHER exports there in the same node?
  abi.py --program                a C program that a header must satisfy
  abi.py --same OURS THEIRS CC    does our header agree with each declaration of theirs?
"""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SONAME = 'libtevent.so.0'
NODES = ['0.9.%d' % n for n in range(9, 40)] + ['0.10.0', '0.10.1', '0.10.2', '0.11.0', '0.12.0',
	'0.12.1', '0.13.0', '0.14.0', '0.14.1', '0.15.0', '0.16.0', '0.16.1', '0.16.2', '0.17.0',
	'0.17.1', '0.17.2']
# Exported for backends inside tevent; no public header declares them.
UNDECLARED = re.compile(r'tevent_common_|tevent_debug$|tevent_abort$|tevent_trace_\w+_callback$|'
	r'tevent_cleanup_pending_signal_handlers$')
BEFORE_0_15 = lambda node: int(node.split('.')[1]) < 15


def wanted():
	with open(os.path.join(HERE, 'abi.txt')) as f:
		return dict(line.split() for line in f)


def run(*argv):
	return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def exported(library):
	"""name -> node, of whatever can be linked with."""
	found = {}
	for line in run('readelf', '--dyn-syms', '-W', library).splitlines():
		fields = line.split()
		if len(fields) < 8 or fields[6] == 'UND' or not fields[0].rstrip(':').isdigit():
			continue
		name, _, node = fields[7].partition('@')
		if fields[3] == 'OBJECT' and name.startswith('TEVENT_') and fields[6] == 'ABS':
			continue
		found[name] = (node.lstrip('@').replace('TEVENT_', ''), fields[3])
	return found


def nodes(library):
	"""The version nodes and their parents, as they come."""
	out, current = [], None
	text = run('readelf', '-V', '-W', library).partition('Version def')[2]
	for line in text.partition('Version needs')[0].splitlines():
		name = re.search(r'Name: (\S+)', line)
		parent = re.search(r'Parent \d+: (\S+)', line)
		if name:
			current = [name.group(1), None]
			out.append(current)
		elif parent and current:
			current[1] = parent.group(1)
	return out


def check_library(library, other):
	bad = []
	want = wanted()
	have = exported(library)
	for name, node in want.items():
		if name not in have:
			bad.append('%s is not exported' % name)
		elif have[name] != (node, 'FUNC'):
			bad.append('%s is %s in node %s, not a function in %s' % (name, have[name][1],
				have[name][0] or '(none)', node))
	bad += ['%s is exported, and is not of tevent' % n for n in sorted(set(have) - set(want))]
	expected = [[SONAME, None]]
	for i, node in enumerate(NODES):
		expected.append(['TEVENT_' + node, 'TEVENT_' + NODES[i - 1] if i else None])
	got = nodes(library)
	if got and got[-1][1] is None:  # tevent's own last node has no parent
		expected[-1][1] = None
	if got != expected:
		for node in expected:
			if node not in got:
				bad.append('there is no node %s with parent %s' % tuple(node))
		for node in got:
			if node not in expected:
				bad.append('node %s with parent %s should not be' % tuple(node))
		if not bad:
			bad.append('the nodes come in another order')
	dynamic = run('readelf', '-d', '-W', library)
	soname = re.search(r'SONAME\).*\[(.*)\]', dynamic)
	if not soname or soname.group(1) != SONAME:
		bad.append('the soname is %s' % (soname and soname.group(1)))
	if not re.search(r'NEEDED\).*\[libtalloc\.so\.2\]', dynamic):
		bad.append('libtalloc.so.2 is not needed')
	if other:
		for name, (node, kind) in sorted(exported(other).items()):
			if have.get(name, (None,))[0] != node:
				bad.append('%s has %s in node %s' % (other, name, node))
	return bad


def program():
	"""Takes the address of each function, and looks at the layout of what is public."""
	ops = ('context_init add_fd set_fd_close_fn get_fd_flags set_fd_flags add_timer '
		'schedule_immediate add_signal loop_once loop_wait').split()
	hooks = ['name', 'before_use', 'after_use'] + ['%s_%s_handler' % (when, what) for what in
		('fd', 'timer', 'immediate', 'signal') for when in ('before', 'after')]
	values = {'TEVENT_FD_READ': 1, 'TEVENT_FD_WRITE': 2, 'TEVENT_DEBUG_FATAL': 0,
		'TEVENT_DEBUG_ERROR': 1, 'TEVENT_DEBUG_WARNING': 2, 'TEVENT_DEBUG_TRACE': 3,
		'TEVENT_TRACE_BEFORE_WAIT': 0, 'TEVENT_TRACE_AFTER_WAIT': 1,
		'TEVENT_TRACE_BEFORE_LOOP_ONCE': 2, 'TEVENT_TRACE_AFTER_LOOP_ONCE': 3,
		'TEVENT_EVENT_TRACE_ATTACH': 0, 'TEVENT_EVENT_TRACE_DETACH': 1,
		'TEVENT_EVENT_TRACE_BEFORE_HANDLER': 2, 'TEVENT_REQ_INIT': 0,
		'TEVENT_REQ_IN_PROGRESS': 1, 'TEVENT_REQ_DONE': 2, 'TEVENT_REQ_USER_ERROR': 3,
		'TEVENT_REQ_TIMED_OUT': 4, 'TEVENT_REQ_NO_MEMORY': 5, 'TEVENT_REQ_RECEIVED': 6,
		'TEVENT_HAS_LOOP_ONCE_TRACE_POINTS': 1}
	macros = ('tevent_add_fd tevent_add_timer tevent_create_immediate tevent_schedule_immediate '
		'tevent_add_signal tevent_loop_once tevent_loop_wait tevent_loop_until tevent_req_data '
		'tevent_req_callback_data tevent_req_callback_data_void tevent_req_create '
		'tevent_req_done tevent_req_error tevent_req_nomem tevent_req_oom tevent_req_cancel '
		'tevent_req_notify_callback tevent_queue_create tevent_threaded_schedule_immediate '
		'tevent_context_wrapper_create tevent_context_push_use tevent_context_pop_use '
		'TEVENT_FD_READABLE TEVENT_FD_WRITEABLE TEVENT_FD_NOT_READABLE '
		'TEVENT_FD_NOT_WRITEABLE event_context_init event_add_timed').split()
	lines = ['#include <stdarg.h>', '#include <stddef.h>', '#define TEVENT_DEPRECATED 1',
		'#define TEVENT_COMPAT_DEFINES 1', '#include <tevent.h>']
	lines += ['#ifndef %s\n#error %s is missing\n#endif' % (m, m) for m in macros]
	lines += ['#ifdef OURS', '#if !defined(TEVENT_FD_ERROR) || TEVENT_FD_ERROR != 4',
		'#error TEVENT_FD_ERROR', '#endif', '#if !defined(TEVENT_FD_WANTERROR) || '
		'!defined(TEVENT_FD_NOT_WANTERROR)', '#error TEVENT_FD_WANTERROR', '#endif', '#endif']
	check = '_Static_assert(%s, "%s");'
	lines += [check % ('%s == %d' % v, v[0]) for v in values.items()]
	for kind, members in (('tevent_ops', ops), ('tevent_wrapper_ops', hooks)):
		lines.append(check % ('sizeof(struct %s) == %d' % (kind, 8 * len(members)), kind))
		lines += [check % ('offsetof(struct %s, %s) == %d' % (kind, m, 8 * i), m)
			for i, m in enumerate(members)]
	lines += ['typedef void (*any)(void);', 'any table[] = {']
	for name, node in sorted(wanted().items()):
		if UNDECLARED.match(name):
			continue
		entry = '\t(any)%s,' % name
		lines.append(entry if BEFORE_0_15(node) else '#ifdef OURS\n%s\n#endif' % entry)
	lines += ['};', 'int main(void)', '{', '\tsize_t i;',
		'\tfor (i = 0; i < sizeof(table) / sizeof(table[0]); i++)', '\t\tif (!table[i])',
		'\t\t\treturn 1;', '\treturn 0;', '}']
	return '\n'.join(lines)


def same(ours, theirs, cc):
	flags = ['-std=c11', '-D_GNU_SOURCE', '-DTEVENT_DEPRECATED=1', '-w', '-x', 'c']
	with tempfile.TemporaryDirectory() as work:
		list_file = os.path.join(work, 'list')
		source = os.path.join(work, 'both.c')
		run('gcc', *flags, '-fsyntax-only', '-aux-info', list_file, '-include', 'stdarg.h',
			'-include', theirs, '/dev/null')
		with open(list_file) as f:
			lines = [re.sub(r'/\*.*?\*/ ?', '', l) for l in f
				if l.startswith('/* %s:' % theirs)]
		with open(source, 'w') as f:
			f.write('#include <stdarg.h>\n#include "%s"\n' % os.path.abspath(ours))
			# Ours may have a macro of that name, as tevent has since 0.15.
			f.writelines('#undef %s\n' % name for name in wanted())
			f.writelines(lines)
		done = subprocess.run([cc] + flags + ['-fsyntax-only', source], capture_output=True,
			text=True)
		sys.stdout.write(done.stderr)
		if done.returncode:
			return ['our header disagrees with %s' % theirs]
	return [] if len(lines) > 100 else ['only %d declarations in %s' % (len(lines), theirs)]


def main():
	if sys.argv[1] == '--program':
		print(program())
		return 0
	if sys.argv[1] == '--same':
		bad = same(*sys.argv[2:5])
	else:
		bad = check_library(sys.argv[1], (sys.argv[2:] or [None])[0])
	print('\n'.join(bad), end='\n' if bad else '')
	return 1 if bad else 0


if __name__ == '__main__':
	sys.exit(main())
