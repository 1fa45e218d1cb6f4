# SPDX-License-Identifier: BSD-2-Clause
# The build of talev, for waf 2.0.15 and later.
#
# It works in two ways. On its own (through ./configure and make, or plain waf) it builds, tests
# and installs everything. Inside somebody else's tree, `recurse('lib/talev')` from that tree's
# options(), configure() and build() gives the task generators `talev-shared` and `talev-static`
# for `use=`, and nothing else, unless conf.env.TALEV_FULL is set before configure() comes here.
# So nothing below may assume that this is the top: no config.h, every name has a prefix, the
# paths are those of this folder, and the flags go to our own task generators only.
#
# waf takes a function with a docstring for a command, so only commands have one.

import os
import re
import subprocess

from waflib import Configure, Context, Utils

APPNAME = 'talev'
VERSION = '0.1.0'

top = '.'
out = os.environ.get('BUILD') or 'build'

# Libraries: name, rooms below lib/, libraries of ours it needs, pkg-config packages it needs.
# The exported symbols are in buildtools/abi/<name>-<version>.sigs, one file per release; what our
# other libraries may use besides, and nobody else, is in buildtools/abi/<name>-private.names.
LIBRARIES = [
	('talev', 'base life core backend event front thread request inspect', [], ['talloc', 'libbsd']),
	('talev-loops', 'work loops', ['talev'], ['talloc', 'libbsd']),
]

# What --disable-<part> leaves out: name, what it is, pkg-config packages it needs.
PARTS = [
	('loops', 'libtalev-loops: job queues and loop managers', []),
	('talevd', 'the plugin daemon, talevctl and the plugins', ['talloc', 'libbsd', 'inih']),
	('tevent', 'the drop-in libtevent.so.0', ['talloc', 'libbsd']),
	('man', 'the manual pages', []),
]

# What is left out too if its package is not there: name, what it is, the package, its sources, the
# macro that says it is built.
OPTIONAL = [
	('uring', 'the backend uring', 'liburing', 'lib/backend/uring*.c', 'TALEV_URING'),
]

# The release of tevent that the drop-in stands in for.
TEVENT_VERSION = '0.17.2'

PLUGIND = ['talloc', 'libbsd', 'inih']

# What Debian keeps of the packages that are installed.
INSTALLED = '/var/lib/dpkg/status'

# pkg-config package: what to install when it is missing
PACKAGES = {
	'talloc': 'libtalloc-dev',
	'libbsd': 'libbsd-dev',
	'inih': 'libinih-dev',
	'cmocka': 'libcmocka-dev',
	'liburing': 'liburing-dev',
}

# Directories: option, help, default.
DIRS = [
	('bindir', 'user commands', '${PREFIX}/bin'),
	('sbindir', 'system commands', '${PREFIX}/sbin'),
	('libdir', 'libraries', '${PREFIX}/lib'),
	('includedir', 'headers', '${PREFIX}/include'),
	('mandir', 'manual pages', '${PREFIX}/share/man'),
]

DEVELOPER = '''
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Werror -Wold-style-definition -Wpointer-arith
	-Wwrite-strings -Wundef -Wvla -Wformat=2
'''.split()

# Folders of tests/ whose programs are not tests of a room.
NOT_ROOMS = ['support', 'bench', 'fuzz', 'model', 'man', 'install', 'demo', 'tevent', 'samba']


# The part that a library is, which --disable-<part> leaves out; '' for the one that is always there.
def part_of(library):
	return library.partition('-')[2]


def libraries(ctx):
	return [l for l in LIBRARIES
		if not part_of(l[0]) or ctx.env['TALEV_WITH_' + part_of(l[0]).upper()]]


def at_top(ctx):
	return ctx.path.abspath() == os.path.dirname(os.path.abspath(Context.g_module.root_path))


def everything(ctx):
	return at_top(ctx) or bool(ctx.env.TALEV_FULL)


def env_key(package):
	return 'TALEV_' + re.sub(r'\W', '_', package).upper()


def keys(packages):
	return [env_key(p) for p in packages]


def tooldir(ctx):
	return ctx.path.find_dir('buildtools').abspath()


def options(opt):
	opt.load('compiler_c')
	if not at_top(opt):
		return
	# A changed wscript configures again by itself, with the options of the last time.
	Configure.autoconfig = 'clobber'

	group = opt.add_option_group('talev options')
	for name, what, default in DIRS:
		if name not in ('bindir', 'libdir'):  # waf has these two
			group.add_option('--' + name, dest=name, default='',
				help='%s [%s]' % (what, default.replace('${PREFIX}', 'PREFIX')))
	group.add_option('--enable-static', action='store_true', default=False, dest='talev_static',
		help='also build and install static libraries')
	group.add_option('--sanitize', default='', dest='talev_sanitize',
		help='address,undefined or thread')
	group.add_option('--developer', action='store_true', default=False, dest='talev_developer',
		help='many warnings, and each is an error')
	for name, what in [p[:2] for p in PARTS + OPTIONAL]:
		group.add_option('--disable-' + name, action='store_true', default=False,
			dest='talev_disable_' + name, help='leave out ' + what)

	group = opt.add_option_group('talev: what to build besides')
	group.add_option('--tests', action='store_true', default=False, dest='talev_tests',
		help='the test programs')


def need(conf, package, mandatory=True):
	conf.check_cfg(package=package, args=['--cflags', '--libs'], uselib_store=env_key(package),
		global_define=False, mandatory=mandatory,
		errmsg='not found; on Debian it is in %s' % PACKAGES[package])
	# Would otherwise go to everybody who uses the library in-tree.
	del conf.env['DEFINES_' + env_key(package)]
	missing = not conf.env['HAVE_' + env_key(package)]
	if at_top(conf) and missing and INSTALLED not in conf.files and os.path.exists(INSTALLED):
		# waf configures again when one of its files has changed: so what is missing is looked
		# for again after something was installed.
		conf.hash = Utils.h_list((conf.hash, Utils.readf(INSTALLED, 'rb')))
		conf.files.append(INSTALLED)


def configure(conf):
	env = conf.env
	option = lambda name: getattr(conf.options, name, '') if at_top(conf) else ''
	if not env.CC:
		conf.load('compiler_c')

	for name, _, default in DIRS:
		key = name.upper()
		# In-tree the surrounding project's choice counts where it made one.
		inherited = '' if at_top(conf) else env[key]
		value = option(name) or inherited or default.replace('${PREFIX}', env.PREFIX)
		env['TALEV_' + key] = value

	sanitize = option('talev_sanitize')
	if sanitize not in ('', 'address,undefined', 'address', 'undefined', 'thread'):
		conf.fatal('--sanitize takes address,undefined or thread, not %r' % sanitize)
	env.TALEV_SANITIZE = sanitize
	env.TALEV_STATIC = bool(option('talev_static')) or not at_top(conf)

	cflags = ['-std=c11', '-pthread']
	linkflags = ['-pthread', '-Wl,-z,relro,-z,now', '-Wl,--as-needed']
	if at_top(conf) and not env.CFLAGS:
		cflags += ['-g', '-O1' if sanitize else '-O2']
	if sanitize:
		flags = ['-fsanitize=' + sanitize, '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']
		cflags += flags
		linkflags += flags
	else:
		# With a sanitizer clang leaves its run time to be found in the program.
		linkflags.append('-Wl,--no-undefined')
	if option('talev_developer'):
		cflags += DEVELOPER + ['-DTALEV_OWNER_CHECKS']
	conf.check(features='c cshlib', fragment='#include <stdatomic.h>\natomic_int talev_probe;\n',
		cflags=cflags, linkflags=linkflags, msg='Checking that the compiler does C11',
		errmsg='no; gcc 12 and clang 14 do')
	env.TALEV_CFLAGS = cflags
	env.TALEV_LINKFLAGS = linkflags

	packages = []
	for _, _, _, wanted in LIBRARIES:
		packages += [p for p in wanted if p not in packages]
	for name, _, wanted in PARTS:
		on = everything(conf) or name in [part_of(l[0]) for l in LIBRARIES]
		on = on and not option('talev_disable_' + name)
		if name == 'talevd':
			# Its plugins have loops and job queues.
			on = on and env.TALEV_WITH_LOOPS
		env['TALEV_WITH_' + name.upper()] = on
		if on:
			packages += [p for p in wanted if p not in packages]
	for package in packages:
		need(conf, package)
	for name, _, package, _, _ in OPTIONAL:
		if not option('talev_disable_' + name):
			need(conf, package, mandatory=False)
	if at_top(conf):
		need(conf, 'cmocka', mandatory=False)


def build(bld):
	bld.load('talev_abi', tooldir=tooldir(bld))
	for library in libraries(bld):
		build_library(bld, *library)
	if not everything(bld):
		return
	install_headers(bld)
	if bld.env.TALEV_WITH_MAN:
		install_man(bld)
	if bld.env.TALEV_WITH_TALEVD:
		build_talevd(bld)
	if bld.env.TALEV_WITH_TEVENT:
		build_tevent(bld)
	if getattr(bld.options, 'talev_tests', False):
		build_tests(bld)
	if at_top(bld) and bld.cmd == 'install' and not bld.options.destdir and os.geteuid() == 0:
		bld.add_post_fun(lambda ctx: subprocess.call(['/sbin/ldconfig']))


# What every compilation of ours has; kw may add to it.
def common(bld, **kw):
	kw['cflags'] = bld.env.TALEV_CFLAGS + kw.get('cflags', [])
	kw['linkflags'] = bld.env.TALEV_LINKFLAGS + kw.get('linkflags', [])
	kw['defines'] = ['_GNU_SOURCE'] + kw.get('defines', [])
	kw['defines'] += [o[4] for o in OPTIONAL if has(bld, o[2])]
	return kw


def has(bld, package):
	return bool(bld.env['HAVE_' + env_key(package)])


def sources_of(bld, rooms):
	return bld.path.ant_glob(['lib/%s/*.c' % r for r in rooms.split()] +
		['lib/%s/*.S' % r for r in rooms.split()],
		excl=[o[3] for o in OPTIONAL if not has(bld, o[2])])


# What the packages of a library add, and those that it can do without.
def libs(packages):
	return keys(packages + [o[2] for o in OPTIONAL])


# The objects are compiled once; the shared library, the static one and the tests link them.
def build_library(bld, name, rooms, ours, packages):
	sources = sources_of(bld, rooms)
	if not sources:
		bld.fatal('no source files for lib%s: lib/{%s}/*.c' % (name, ','.join(rooms.split())))
	bld(**common(bld, features='c', source=sources, name=name + '-objects',
		includes='lib include', export_includes='include',
		# Nobody replaces our functions one by one: calls inside the library need no detour, and
		# the frames of a thread are looked at in every turn.
		cflags=['-fPIC', '-fno-semantic-interposition', '-ftls-model=initial-exec'],
		use=[o + '-shared' for o in ours] + libs(packages), idx=1))
	bld(**common(bld, features='c cshlib talev_abi', name=name + '-shared', target=name,
		talev_abi=name, talev_version=VERSION, vnum=VERSION, export_includes='include',
		# Threads that end by themselves may have a few instructions of it left to do when the
		# plugin that brought it is unloaded.
		linkflags=['-Wl,-Bsymbolic-functions'] + (['-Wl,-z,nodelete'] if part_of(name) else []),
		use=[name + '-objects'] + [o + '-shared' for o in ours] + libs(packages),
		install_path='${TALEV_LIBDIR}'))
	if bld.env.TALEV_STATIC:
		bld(features='c cstlib', name=name + '-static', target=name, export_includes='include',
			use=[name + '-objects'] + [o + '-static' for o in ours] + libs(packages),
			install_path='${TALEV_LIBDIR}' if everything(bld) else None)
	if everything(bld):
		build_pc(bld, name)


def build_pc(bld, name, version=VERSION, install_path='${TALEV_LIBDIR}/pkgconfig'):
	template = bld.path.find_resource('buildtools/%s.pc.in' % name)
	if not template:
		return
	prefix = bld.env.PREFIX

	def below_prefix(directory):
		inside = directory.startswith(prefix + '/')
		return '${prefix}' + directory[len(prefix):] if inside else directory

	bld(features='subst', name=name + '-pc', source=template, target=name + '.pc', VERSION=version,
		OPTIONAL=''.join(' ' + o[2] for o in OPTIONAL if has(bld, o[2])),
		PREFIX=prefix, LIBDIR=below_prefix(bld.env.TALEV_LIBDIR),
		INCLUDEDIR=below_prefix(bld.env.TALEV_INCLUDEDIR),
		install_path=install_path)


# In folders of its own, so that it stands before the system's only for who asks for it, by
# LD_LIBRARY_PATH or PKG_CONFIG_PATH. It finds libtalev in the folder above.
def build_tevent(bld):
	# A public user of libtalev, except for the queue of deadlines, which it compiles for itself, and
	# for watchers in its own structs: a second allocation for each event would cost too much.
	sources = bld.path.ant_glob('lib/tevent/*.c') + [bld.path.find_resource('lib/base/timerq.c')]
	script = bld.path.find_resource('buildtools/abi/tevent/libtevent.map')
	bld(**common(bld, features='c cshlib', source=sources, name='tevent-shared',
		target='talev/tevent', vnum=TEVENT_VERSION, idx=2, includes='lib include',
		cflags=['-fPIC', '-fno-semantic-interposition'],
		linkflags=['-Wl,-rpath,$ORIGIN/..', '-Wl,--version-script=' + script.abspath()],
		use=['talev-shared'] + keys(['talloc', 'libbsd']),
		install_path='${TALEV_LIBDIR}/talev'))
	bld.add_manual_dependency(bld.path.find_or_declare('talev/libtevent.so'), script)
	bld.install_files('${TALEV_INCLUDEDIR}/talev-tevent', 'include/tevent/tevent.h')
	build_pc(bld, 'tevent', TEVENT_VERSION, '${TALEV_LIBDIR}/talev/pkgconfig')


def install_headers(bld):
	include = bld.path.find_dir('include')
	if include:
		bld.install_files('${TALEV_INCLUDEDIR}', include.ant_glob('talev.h talev/*.h'),
			cwd=include, relative_trick=True)


def install_man(bld):
	for section in '12345678':
		bld.install_files('${TALEV_MANDIR}/man' + section, bld.path.ant_glob('man/*.' + section))


# talevctl.c and ctl_*.c make talevctl, common_*.c go into both, the others make talevd. The
# file with main() is compiled apart, so that tests can link the rest.
def build_talevd(bld):
	every = bld.path.ant_glob('lib/plugind/*.c')
	if not every:
		return
	shared = [s for s in every if s.name.startswith('common_')]
	ctl = [s for s in every if s.name == 'talevctl.c' or s.name.startswith('ctl_')]
	daemon = [s for s in every if s not in shared + ctl]

	# The daemon sees of the library what everybody sees: the public headers. It reaches its own
	# room as "plugind/x.h"; that it reaches no other is for check_arrows to say.
	def objects(name, sources, idx):
		bld(**common(bld, features='c', name=name, source=sources, idx=idx,
			includes='include lib', cflags=['-fPIC'], use=keys(PLUGIND),
			defines=['TALEV_VERSION="%s"' % VERSION, 'TALEV_PLUGINDIR="%s"' %
				os.path.join(bld.env.TALEV_LIBDIR, 'talev/plugins')]))

	objects('talev-plugind-common', shared, 10)
	for name, files, directory, idx in (('talevd', daemon, '${TALEV_SBINDIR}', 11),
			('talevctl', ctl, '${TALEV_BINDIR}', 13)):
		main = [s for s in files if re.search(r'(?m)^int main\(', s.read())]
		objects('talev-%s-objects' % name, [s for s in files if s not in main], idx)
		if not main:
			continue
		objects('talev-%s-main' % name, main, idx + 1)
		bld(**common(bld, features='c cprogram', name='talev-' + name, target=name,
			use=['talev-%s-main' % name, 'talev-%s-objects' % name, 'talev-plugind-common',
				'talev-shared', 'talev-loops-shared'] + keys(PLUGIND), install_path=directory))
	build_plugins(bld, 'lib/plugind/plugins', 'plugins', '${TALEV_LIBDIR}/talev/plugins')


def build_plugins(bld, folder, target, install_path):
	for source in bld.path.ant_glob(folder + '/*.c'):
		name = source.name[:-len('.c')]
		env = bld.env.derive()
		env.cshlib_PATTERN = '%s.so'
		bld(**common(bld, features='c cshlib', env=env, source=source, idx=20,
			name='talev-plugin-%s-%s' % (target.replace('/', '-'), name),
			target='%s/%s' % (target, name), includes='include lib',
			use=['talev-shared', 'talev-loops-shared'] + keys(['talloc', 'libbsd']),
			install_path=install_path))


# The library's own objects, and those of every library of ours that it needs.
def closure(library, objects_of):
	name, _, ours, packages = library
	out = [name + objects_of] + libs(packages)
	for other in LIBRARIES:
		if other[0] in ours:
			out += [u for u in closure(other, objects_of) if u not in out]
	return out


# One program per tests/<room>/test_*.c, linked from the objects and not from the library, so
# that a test reaches hidden functions, and --wrap reaches every call.
def build_tests(bld):
	if not bld.env['HAVE_' + env_key('cmocka')]:
		bld.fatal('the tests need cmocka; on Debian it is in %s' % PACKAGES['cmocka'])
	support = bld.path.ant_glob('tests/support/*.c')
	if support:
		bld(**common(bld, features='c', name='talev-test-support', source=support, idx=30,
			includes='tests lib include', use=keys(['talloc', 'libbsd', 'cmocka'])))
	for source in bld.path.ant_glob('tests/*/test_*.c'):
		room = source.parent.name
		if room not in NOT_ROOMS:
			build_test(bld, room, source, support)
	build_plugins(bld, 'tests/plugind/plugins', 'tests/plugins', None)


def build_test(bld, room, source, support):
	uses = ['talev-test-support'] if support else []
	if room == 'plugind':
		if not bld.env.TALEV_WITH_TALEVD:
			return
		uses += ['talev-talevd-objects', 'talev-talevctl-objects', 'talev-plugind-common']
		uses += keys(PLUGIND)
	rooms = 'loops' if room == 'plugind' else room
	library = next((l for l in LIBRARIES if rooms in l[1].split()), LIBRARIES[0])
	if library not in libraries(bld):
		return
	# A test that defines __wrap_foo() means: every call of foo() in this program comes to me.
	wraps = set()
	for text in [source] + support:
		wraps.update(re.findall(r'\b__wrap_(\w+)\s*\(', text.read()))
	target = 'tests/%s/%s' % (room, source.name[:-len('.c')])
	bld(**common(bld, features='c cprogram', source=source, target=target, idx=31,
		name='talev-' + target.replace('/', '-'), includes='tests lib include',
		linkflags=['-Wl,--wrap=' + w for w in sorted(wraps)],
		use=uses + closure(library, '-objects') + keys(['talloc', 'libbsd', 'cmocka']),
		install_path=None))


def dist(ctx):
	"""makes the release archive"""
	# What git knows, or in an unpacked release everything that building did not make.
	ctx.algo = 'tar.gz'
	here = ctx.path.abspath()
	if os.path.exists(os.path.join(here, '.git')):
		names = subprocess.check_output(['git', 'ls-files', '-z'], cwd=here).decode().split('\0')
		nodes = [ctx.path.find_node(n) for n in names if n]
		ctx.files = [n for n in nodes if n]
	else:
		ctx.files = ctx.path.ant_glob('**/*', excl=['build', 'build-*', '.waf', '.waf-*', '.waf3-*',
			'.lock-waf*', 'config.mk', '**/__pycache__', '**/*.pyc', 'talev-*'])
