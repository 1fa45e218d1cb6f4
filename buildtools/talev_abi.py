# SPDX-License-Identifier: BSD-2-Clause
"""A waf tool: the version script of a library, made from the checked-in lists of its symbols.

A task generator with the feature talev_abi and the attribute talev_abi = 'talev' exports what
buildtools/abi/talev-<version>.sigs lists, one file for each release that added something, one
`name: prototype` a line. Each file becomes the node TALEV_<version>, which inherits from the one
before it; all that is in no file is hidden.

What buildtools/abi/talev-private.names lists, one name a line, is for our other libraries of the same
version. It is in a node of its own, TALEV_PRIVATE_<version>: a library of another version asks
for a node that is not there, and is refused when it is loaded.
"""

import re

from waflib import Logs, Task
from waflib.TaskGen import after_method, feature


def parse_sigs(text):
	names = []
	for line in text.splitlines():
		line = line.strip()
		if line and not line.startswith('#'):
			names.append(line.split(':', 1)[0].strip())
	return names


def version_of(library, filename):
	found = re.match(re.escape(library) + r'-(\d+(?:\.\d+)*)\.sigs$', filename)
	return found and tuple(int(n) for n in found.group(1).split('.'))


def version_script(library, releases, version, private):
	"""releases: (version tuple, names), oldest first. private: names."""
	lines = []
	previous = ''
	for number, names in releases:
		node = '%s_%s' % (library.upper().replace('-', '_'), '.'.join(str(n) for n in number))
		lines.append('%s {' % node)
		if names:
			lines.append('global:')
			lines += ['\t%s;' % n for n in names]
		if not previous:
			lines += ['local:', '\t*;']
		lines += ['}%s;' % previous, '']
		previous = ' ' + node
	if private:
		lines += ['%s_PRIVATE_%s {' % (library.upper().replace('-', '_'), version), 'global:']
		lines += ['\t%s;' % n for n in private] + ['};', '']
	return '\n'.join(lines)


class talev_map(Task.Task):
	color = 'BLUE'

	def run(self):
		library = self.generator.talev_abi
		releases = sorted((version_of(library, n.name), parse_sigs(n.read())) for n in self.inputs
			if n.name.endswith('.sigs'))
		private = [name for n in self.inputs if n.name.endswith('.names')
			for name in parse_sigs(n.read())]
		if not releases:
			prefix = library.split('-')[0] + '_*'
			releases = [((0,), [prefix, '_' + prefix])]
		self.outputs[0].write(version_script(library, releases, self.generator.talev_version,
			private))


@feature('talev_abi')
@after_method('apply_link')
def apply_talev_abi(self):
	library = self.talev_abi
	sigs = [n for n in self.path.ant_glob('buildtools/abi/*.sigs') if version_of(library, n.name)]
	if not sigs:
		Logs.warn('%s: no buildtools/abi/%s-*.sigs, exporting by prefix', library, library)
	script = self.path.find_or_declare(library + '.map')
	private = self.path.ant_glob('buildtools/abi/%s-private.names' % library)
	self.create_task('talev_map', sigs + private, script)
	self.link_task.dep_nodes.append(script)
	self.env.append_value('LINKFLAGS', ['-Wl,--version-script=' + script.path_from(self.get_cwd())])
