# SPDX-License-Identifier: BSD-2-Clause
"""The table of the results, in the manual and in the README: between the marks that stand there."""

import os
import re
import shutil

from rows import COLUMNS, ROWS

# What the README shows.
README = ['P1', 'P1e', 'P2', 'P2e', 'P3', 'P4', 'P4e', 'P4t', 'P5b', 'P6', 'P7b', 'P8', 'P9',
	'P10', 'P11', 'P12', 'P13', 'P14a', 'P14b', 'P15a', 'P15b', 'P15c', 'P16f', 'P16t', 'P17',
	'P17e', 'P18', 'P20a']
UNITS = {'requests/s': '/s', 'messages/s': '/s', 'events/s': '/s'}


def word(hit, row):
	"""hit: the share of the passes that reached the goal, None if it was not measured."""
	if hit is None:
		return 'not there'
	n = len(row['passes'])
	return 'hit' if hit == 1 else 'MISS' if hit == 0 else '%d of %d' % (round(hit * n), n)


def verdict(row):
	known = [hit for _, _, hit in row['goals'] if hit is not None]
	if not row['goals']:
		return ''
	return word(min(known, default=None), row).lower()


def mdoc(rows, number):
	layout = '%-5s' + ''.join(' %%%ds' % max(7, len(c)) for c in COLUMNS) + '  %s'
	text = ['.Bd -literal', layout % ('', *COLUMNS, 'goal')]
	for row in rows:
		values = [number(row['values'].get(c)) for c in COLUMNS]
		text.append((layout % (row['id'], *values, verdict(row))).rstrip())
	return '\n'.join(text + ['.Ed'])


def mdoc_rows(rows):
	text = ['.Bl -tag -width P20a']
	for row in rows:
		goals = '; '.join('%s%s: %s' % (goal, '' if ratio is None else ', is %.3g' % ratio,
			word(hit, row).lower())
			for goal, ratio, hit in row['goals'])
		text.append('.It %s' % row['id'])
		text.append('%s, %s.' % (row['title'], row['unit']))
		if goals:
			text.append('Goal %s.' % goals)
	return '\n'.join(text + ['.El'])


def markdown(rows, number):
	text = ['| | | ' + ' | '.join(COLUMNS) + ' | goal |', '|---|---|' + '--:|' * len(COLUMNS) + '---|']
	for row in rows:
		values = [number(row['values'].get(c)) for c in COLUMNS]
		values[0] = '**%s**' % values[0]
		text.append('| %s | %s, %s | %s | %s |' % (row['id'], row['title'],
			UNITS.get(row['unit'], row['unit']), ' | '.join(values), verdict(row)))
	return '\n'.join(text)


def put(path, begin, end, text):
	with open(path, encoding='utf-8') as f:
		old = f.read()
	new, n = re.subn(r'(%s\n).*?(%s)' % (re.escape(begin), re.escape(end)),
		lambda m: m.group(1) + text + '\n' + m.group(2), old, flags=re.S)
	if not n:
		return '%s: no place marked' % path
	with open(path, 'w', encoding='utf-8') as f:
		f.write(new)
	return path


def write(results, top, number, folder):
	rows = [results['rows'][row.id] for row in ROWS if row.id in results['rows']]
	rows = [row for row in rows if row['values'].get('talev') or row['goals']]
	page = top + '/man/talev_performance.7'
	if os.path.exists(folder + '/overview.png'):
		shutil.copy(folder + '/overview.png', top + '/tests/bench/overview.png')
	return [
		put(page, '.\\" table', '.\\" end of table', mdoc(rows, number)),
		put(page, '.\\" rows', '.\\" end of rows', mdoc_rows(rows)),
		put(top + '/README.md', '<!-- table -->', '<!-- end of table -->',
			markdown([row for row in rows if row['id'] in README], number)),
	]
