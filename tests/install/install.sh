#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Installs talev into an empty prefix and uses it from there as somebody else would: by pkg-config,
# by waf's check_cfg, and from a copy of the tree in that somebody's own tree.
# TIMEOUT: 300
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=${TALEV_TOP:-$(cd "$here/../.." && pwd)}
# What is installed must be found without help, and what is configured here is ours alone.
unset LD_LIBRARY_PATH BUILD DESTDIR MAKEFLAGS MAKELEVEL PKG_CONFIG_PATH CFLAGS LDFLAGS WAFLOCK \
	CONFIG_MK 2>/dev/null || :
cc=${CC:-gcc}

# The last line is the reason.
skip()
{
	echo "install.sh: skipped: $*"
	exit 77
}

die()
{
	echo "install.sh: $*" >&2
	exit 1
}

[ -f "$top/wscript" ] || skip "there is no wscript in $top"
for program in pkg-config make readelf nm "$cc"; do
	command -v "$program" >/dev/null || skip "$program is not installed"
done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
prefix=$tmp/prefix
libdir=$prefix/lib

# quietly what command...: its output is shown only when it fails.
quietly()
{
	what=$1
	shift
	"$@" >"$tmp/log" 2>&1 || {
		cat "$tmp/log"
		die "$what failed: $*"
	}
}

# says what expected command...: what a program must print
says()
{
	what=$1
	expected=$2
	shift 2
	"$@" >"$tmp/said" 2>&1 || die "$what: $* failed: $(cat "$tmp/said")"
	[ "$(cat "$tmp/said")" = "$expected" ] ||
		die "$what: must print '$expected' but printed '$(cat "$tmp/said")'"
}

alone='program: 1'
hosting='guest: hello
program: 1'

copy_tree()
{
	mkdir -p "$1"
	tar -C "$top" --exclude=./.git --exclude='./build' --exclude='./build-*' --exclude='./.waf*' \
		--exclude='./.lock-waf*' --exclude=./config.mk --exclude='*.tar.gz' -cf - . |
		tar -C "$1" -xf -
}

# waf: each tree runs the launcher of its talev; what that fetched once is enough.
copy_tree "$tmp/src"
[ ! -d "$top/.waf" ] || cp -R "$top/.waf" "$tmp/src/.waf"
waf=$tmp/src/buildtools/waf

cd "$tmp/src"
version=$(sed -n "s/^VERSION = ['\"]\(.*\)['\"]/\1/p" wscript)
tevent_version=$(sed -n "s/^TEVENT_VERSION = ['\"]\(.*\)['\"]/\1/p" wscript)
quietly "configure" env CC="$cc" ./configure --prefix="$prefix" --enable-static
quietly "make install" make install

# --- what was installed: exactly this, by the sources that are there ---
{
	for library in talev talev-loops; do
		echo "lib/lib$library.a"
		echo "lib/lib$library.so"
		echo "lib/lib$library.so.${version%%.*}"
		echo "lib/lib$library.so.$version"
		echo "lib/pkgconfig/$library.pc"
	done
	(cd include && find talev.h talev -name '*.h' | sed 's,^,include/,')
	for page in man/*.[1-8]; do
		[ ! -f "$page" ] || echo "share/man/man${page##*.}/${page#man/}"
	done
	if ls lib/plugind/*.c >/dev/null 2>&1; then
		echo "sbin/talevd"
		echo "bin/talevctl"
	fi
	if [ -d lib/tevent ]; then
		for name in libtevent.so libtevent.so.0 "libtevent.so.$tevent_version"; do
			echo "lib/talev/$name"
		done
		echo "lib/talev/pkgconfig/tevent.pc"
		echo "include/talev-tevent/tevent.h"
	fi
	for plugin in lib/plugind/plugins/*.c; do
		[ ! -f "$plugin" ] || echo "lib/talev/plugins/$(basename "$plugin" .c).so"
	done
} | sort >"$tmp/expected"
(cd "$prefix" && find . ! -type d | sed 's,^\./,,' | sort) >"$tmp/installed"
diff "$tmp/expected" "$tmp/installed" >"$tmp/diff" ||
	die "installed is (>) what should not be, or (<) not what should: $(cat "$tmp/diff")"

for library in talev talev-loops; do
	soname=$(readelf -d "$libdir/lib$library.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
	[ "$soname" = "lib$library.so.${version%%.*}" ] || die "the soname is '$soname'"
	nm -D --defined-only --with-symbol-versions "$libdir/lib$library.so" |
		awk '$2 != "A" && $3 !~ /^_?talev_/ && $3 !~ /@TALEV_PRIVATE_/' >"$tmp/foreign"
	[ ! -s "$tmp/foreign" ] || die "$library exports names of others: $(cat "$tmp/foreign")"
done
for object in "$libdir"/libtalev*.so "$libdir"/talev/*.so "$libdir"/talev/plugins/*.so \
	"$prefix"/bin/* "$prefix"/sbin/*; do
	[ -f "$object" ] || continue
	if readelf -d "$object" | grep -E '\((RPATH|RUNPATH)\)' | grep -F "$tmp/src"; then
		die "$object looks for libraries where it was built"
	fi
done
for program in "$prefix"/sbin/talevd "$prefix"/bin/talevctl; do
	[ -f "$program" ] || continue
	if LD_LIBRARY_PATH=$libdir ldd "$program" | grep -F 'not found'; then
		die "$program does not find its libraries"
	fi
done

# --- by pkg-config ---
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
quietly "talev.pc" pkg-config --validate talev
says "talev.pc" "$version" pkg-config --modversion talev
quietly "talev-loops.pc" pkg-config --validate talev-loops
says "talev-loops.pc" "$version" pkg-config --modversion talev-loops
mkdir "$tmp/pc"
cd "$tmp/pc"
cp "$here/program.c" "$here/plugin.c" .
warn="-std=gnu11 -Wall -Wextra -Werror"
flags=$(pkg-config --cflags talev)
libs=$(pkg-config --libs talev)
# The lists of flags are meant to fall apart into words.
# shellcheck disable=SC2086
{
	quietly "a program by pkg-config" "$cc" $warn $flags program.c -o program $libs -ldl \
		-Wl,-rpath,"$libdir"
	quietly "a plugin by pkg-config" "$cc" $warn $flags -shared -fPIC plugin.c -o plugin.so $libs
	quietly "a static program" "$cc" $warn $flags program.c -o program-static "$libdir/libtalev.a" \
		$(pkg-config --libs talloc $(pkg-config --print-requires-private talev)) -ldl -pthread
}
says "by pkg-config" "$alone" ./program
says "by pkg-config, with its plugin" "$hosting" ./program ./plugin.so
says "static" "$alone" ./program-static

# --- the drop-in: there for who asks for it, and for nobody else ---
if [ -d "$tmp/src/lib/tevent" ]; then
	PKG_CONFIG_PATH=$libdir/talev/pkgconfig
	says "tevent.pc" "$tevent_version" pkg-config --modversion tevent
	cp "$tmp/src/tests/tevent/tutorial/pipe.c" .
	# shellcheck disable=SC2046
	quietly "a program for tevent by pkg-config" "$cc" $warn $(pkg-config --cflags tevent) \
		pipe.c -o pipe $(pkg-config --libs tevent talloc) -pthread
	says "a program for tevent" "from the other thread" \
		env LD_LIBRARY_PATH="$libdir/talev" ./pipe
	if ldd pipe | grep -F "$prefix"; then
		die "libtevent.so.0 stands before the system's without being asked for"
	fi
	for program in program program-static plugin.so; do
		! ldd $program 2>/dev/null | grep -F libtevent || die "$program needs libtevent"
	done
	PKG_CONFIG_PATH=$libdir/pkgconfig
fi

# --- by plain waf ---
mkdir "$tmp/waf"
cd "$tmp/waf"
cp "$here/program.c" "$here/plugin.c" "$here/waf/wscript" .
quietly "waf configure with check_cfg" env CC="$cc" "$waf" configure
quietly "waf build with check_cfg" "$waf" build
says "by waf" "$alone" build/program
says "by waf, with its plugin" "$hosting" build/program build/libplugin.so

# --- in-tree, where no installed talev may help ---
unset PKG_CONFIG_PATH
mkdir "$tmp/intree"
cd "$tmp/intree"
copy_tree lib/talev
cp "$here/program.c" "$here/plugin.c" "$here/intree/wscript" .
quietly "in-tree configure" env CC="$cc" "$waf" configure --prefix="$tmp/foreign-prefix"
quietly "in-tree build" "$waf" build
built=$(find build -name 'libtalev.so' | head -n 1)
[ -n "$built" ] || die "in-tree: there is no libtalev.so below build/"
says "in-tree" "$alone" env LD_LIBRARY_PATH="$(dirname "$built")" build/program
says "in-tree, with its plugin" "$hosting" \
	env LD_LIBRARY_PATH="$(dirname "$built")" build/program build/libplugin.so
says "in-tree, static" "$alone" build/program-static
quietly "in-tree install" "$waf" install
ours='^\./(bin/program(-static)?|lib/libplugin\.so|lib/libtalev(-loops)?\.so.*)$'
(cd "$tmp/foreign-prefix" && find . ! -type d | grep -v -E "$ours") >"$tmp/foreign" || :
[ ! -s "$tmp/foreign" ] || die "in-tree installs more than its library: $(cat "$tmp/foreign")"

# --- DESTDIR, and back to nothing ---
cd "$tmp/src"
quietly "make install DESTDIR" make install DESTDIR="$tmp/dest"
(cd "$tmp/dest$prefix" && find . ! -type d | sed 's,^\./,,' | sort) >"$tmp/staged"
diff "$tmp/expected" "$tmp/staged" >"$tmp/diff" || die "DESTDIR has other files: $(cat "$tmp/diff")"
quietly "make uninstall DESTDIR" make uninstall DESTDIR="$tmp/dest"
quietly "make uninstall" make uninstall
left=$(find "$prefix" "$tmp/dest" ! -type d 2>/dev/null || :)
[ -z "$left" ] || die "make uninstall left $left"
left=$(find "$prefix" -mindepth 1 2>/dev/null || :)
[ -z "$left" ] || die "make uninstall left empty directories: $left"
echo "install.sh: installed, used by pkg-config, by waf and in-tree, uninstalled"
