# SPDX-License-Identifier: BSD-2-Clause
"""The results as pictures, by gnuplot: a bar chart for each group of rows, and the curves."""

import os
import shutil
import subprocess

from rows import COLUMNS, CURVES, ROWS

COLOURS = {'talev': '#c0392b', 'tevent': '#7f8c8d', 'libevent': '#2980b9', 'libev': '#27ae60',
	'libuv': '#8e44ad', 'ivykis': '#d68910', 'glib': '#16a085', 'floor': '#bdc3c7'}
GROUPS = {'descriptors': 'Descriptors', 'timers': 'Timers, immediates, interest',
	'echo': 'Echo, 500 connections', 'threads': 'Between threads', 'ways': 'A message on its way',
	'jobs': 'Jobs for other threads', 'loops': 'Loop managers', 'requests': 'Requests',
	'memory': 'Bytes', 'drop-in': 'The drop-in libtevent.so.0 and the libtevent of the system'}
# What stands for all in the README.
OVERVIEW = ['P2', 'P2e', 'P5b', 'P6', 'P7b', 'P8', 'P9', 'P10', 'P11', 'P13', 'P17', 'P17e']
SHORT = {'P1': '100 pipes', 'P1e': 'edge', 'P2': '1,000 pipes', 'P2e': 'edge', 'P2p': 'poll',
	'P3': '9,900 pipes', 'P3e': 'edge', 'P4': 'one pipe', 'P4e': 'edge', 'P4t': 'and a timer',
	'P5a': '10k timers', 'P5b': '100k timers', 'P5c': '1M timers', 'P5d': '100k embedded',
	'P5e': '1M embedded', 'P6': 'due', 'P6r': 'due, random', 'P7a': 're-arm, 1k',
	'P7b': 're-arm, 100k', 'P8': 'immediate', 'P9': 'toggle', 'P10': 'watchers',
	'P11': 'messages', 'P11a': 'one: median', 'P11b': 'p99', 'P11d': 'p99.9',
	'P11f': 'two: median', 'P11g': 'p99', 'P11h': 'p99.9', 'P11i': 'eight: median',
	'P11j': 'p99', 'P11k': 'p99.9', 'P12': 'with data', 'P13': 'ping-pong',
	'P14a': '1,000', 'P14b': 'one', 'P14m': 'median', 'P14t': 'p99',
	'P14r': 'requests', 'L64': 'start, stop',
	'Qi': 'immediate', 'Qf': 'descriptor', 'P15a': 'create to free',
	'P15b': 'and post', 'P15c': 'request', 'P16f': 'descriptor', 'P16t': 'timer', 'P17': 'unix',
	'P17e': 'unix, edge', 'P18': 'TCP', 'P18e': 'TCP, edge', 'P20a': 'smbtorture',
	'P20b': 'and poll', 'P20c': 'pipes', 'P20d': 'pipes, poll', 'P20e': '10k timers',
	'P20f': 'immediate', 'P20g': 'toggle', 'P20h': 'request', 'P20i': 'and post'}
HIGHEST = 3.0  # bars end here, with their value on top


def gnuplot(path, script):
	subprocess.run(['gnuplot'], input=script, text=True, check=True)
	return path


def head(path, title, size='1200,460'):
	return '''set terminal pngcairo size %s font "sans,11" background "white"
set output "%s"
set title "%s"
set bmargin 4
set border 3 lc rgb "#888888"
set tics nomirror
set grid ytics lc rgb "#dddddd"
''' % (size, path, title)


def cost(row, column):
	"""In terms of the best peer's: 1 is as good, less is better."""
	value, peer = row['values'].get(column), row['values'].get('peer')
	if not value or not peer:
		return None
	return peer / value if row['more'] else value / peer


def bars(path, title, rows):
	columns = [c for c in COLUMNS if any(cost(r, c) for r in rows)]
	labels, data = [], []
	# As high as there is something to see.
	highest = min(HIGHEST, max(cost(r, c) or 0 for r in rows for c in columns))
	wide = 1.0 / (len(columns) + 1)
	for i, row in enumerate(rows):
		for k, column in enumerate(columns):
			c = cost(row, column)
			if c and c > highest:
				labels.append('set label "%.*f" at %f,%f rotate left font "sans,9"' % (c < 10, c,
					i + (k + 1 - (len(columns) + 1) / 2) * wide, highest + 0.06))
	for column in columns:
		lines = ['%d %s' % (i, min(cost(r, column) or 0, highest)) for i, r in enumerate(rows)]
		data.append('\n'.join(lines) + '\ne')
	tics = ', '.join('"%s\\n%s" %d' % (row['id'], SHORT.get(row['id'], ''), i) for i, row in enumerate(rows))
	plot = ', '.join(
		'"-" using ($1+%f):2:(%f) with boxes fs solid noborder lc rgb "%s" title "%s"' % (
			(k + 1 - (len(columns) + 1) / 2) * wide, wide, COLOURS[c], c)
		for k, c in enumerate(columns))
	script = head(path, title) + '''set ylabel "cost; the best peer's is 1"
set yrange [0:%f]
set xrange [-0.6:%f]
set xtics (%s) scale 0
set key outside top center horizontal
set arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb "#444444" dt 2 front
%s
plot %s
%s
''' % (highest + 0.4, len(rows) - 0.4, tics, '\n'.join(labels), plot, '\n'.join(data))
	return gnuplot(path, script)


def curve(path, shape, results):
	points = [(x, results[row.id]) for x, row in shape.rows if row.id in results]
	columns = [c for c in COLUMNS if any(c in r['values'] for _, r in points)]
	data = ['\n'.join('%d %f' % (x, r['values'][c]) for x, r in points if c in r['values']) + '\ne'
		for c in columns]
	plot = ', '.join(
		'"-" with linespoints lw %s pt 7 ps 0.8 lc rgb "%s" title "%s"' % (
			3 if c == 'talev' else 2, COLOURS[c], c) for c in columns)
	script = head(path, shape.title[0].upper() + shape.title[1:], '760,460') + '''set xlabel "%s"
set ylabel "%s"
set logscale x
set logscale y
set xrange [%f:%f]
set xtics (%s)
set format y "%%.0s %%c"
set key outside right top
plot %s
%s
''' % (shape.x_label, shape.y_label, points[0][0] * 0.9, points[-1][0] * 1.1,
		', '.join('"{:,}" {}'.format(x, x) for x, _ in points), plot, '\n'.join(data))
	return gnuplot(path, script)


def draw(results, folder):
	"""The paths of what was drawn, from what results there are."""
	if not shutil.which('gnuplot'):
		return ['no plots: gnuplot is not installed']
	rows = [results['rows'][row.id] for row in ROWS if row.id in results['rows']]
	rows = [row for row in rows if row['values'].get('peer')]
	made = []
	for group, title in GROUPS.items():
		some = [row for row in rows if row['group'] == group]
		if some:
			made.append(bars(os.path.join(folder, group + '.png'), title, some))
	overview = [row for row in rows if row['id'] in OVERVIEW]
	if overview:
		made.append(bars(os.path.join(folder, 'overview.png'), 'talev and its peers', overview))
	for shape in CURVES:
		if sum(row.id in results['rows'] for _, row in shape.rows) > 1:
			made.append(curve(os.path.join(folder, 'curve_%s.png' % shape.run), shape,
				results['rows']))
	return made
