# SPDX-License-Identifier: BSD-2-Clause
"""Compiles and runs the programs that the pages show, as somebody who copied them would."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile

from check_support import house

WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SECONDS = 20
# Libraries besides the first.
MORE = ["talev-loops"]


def is_program(text):
    return re.search(r"\bint\s+main\s*\(", text) is not None


def is_plugin(text):
    return "TALEV_PLUGIN" in text and not is_program(text)


def soname_of(path):
    found = re.search(r"SONAME.*\[(.*)\]", house.run("readelf", "-d", path).stdout)
    return found.group(1) if found else path.name


class Compiler:
    """Everything that an example of this tree is compiled with."""

    def __init__(self, tree):
        self.tree = tree
        self.library = tree.library()
        if not self.library:
            raise house.Skip(f"the examples were not run: no libtalev.so in {tree.build}")
        # A library with a sanitizer in it only works in programs that have it too.
        symbols = house.run("nm", "-D", "--undefined-only", self.library).stdout
        self.sanitize = ["-fsanitize=address,undefined"] if "__asan_" in symbols else \
            ["-fsanitize=undefined"] if "__ubsan_" in symbols else []
        if "__tsan_" in symbols:
            self.sanitize = ["-fsanitize=thread"]
        self.cflags = [f"-I{tree.top}/include", *house.pkg_config("--cflags", "talloc")]
        self.libs = house.pkg_config("--libs", "talloc")
        # The others, for the pages about them; a page that needs none of them links none.
        self.libraries = {soname_of(path): path for path in
                          [self.library, *filter(None, map(tree.library, MORE))]}
        self.tevent = tree.library("tevent")

    def compile(self, text, folder, plugin, where, line):
        """The path of the program, or None and a finding at the line of the page."""
        folder = pathlib.Path(folder)
        for soname, path in self.libraries.items():
            (folder / soname).symlink_to(path)
        out = folder / ("example.so" if plugin else "example")
        # #line makes gcc speak of the page.
        source = f'#line {line} "{where}"\n{text}'
        shared = ["-shared", "-fPIC"] if plugin else []
        drop_in = []
        if "<tevent.h>" in text:
            if not self.tevent:
                self.tree.skip(f"{where}:{line} was not run: no libtevent.so in {self.tree.build}")
                return None
            (folder / "libtevent.so.0").symlink_to(self.tevent)
            drop_in = [f"-I{self.tree.top}/include/tevent", "-xnone", folder / "libtevent.so.0"]
        done = house.run("gcc", "-xc", "-std=gnu11", *WARNINGS, "-g", *self.sanitize, *self.cflags,
                         "-", "-o", out, *shared, *drop_in, "-xnone", "-Wl,--as-needed",
                         *[folder / soname for soname in self.libraries], *self.libs,
                         "-pthread", f"-Wl,-rpath,{folder}", input=source, cwd=folder)
        if done.returncode == 0:
            return out
        errors = [error.groups() for error in
                  re.finditer(r"^(\S+?):(\d+):\d+: (?:fatal )?error: (.*)", done.stdout, re.M)]
        for path, number, words in errors:
            self.tree.finding(path, number, f"the example does not compile: {words}")
        if not errors:
            self.tree.finding(where, line, "the example does not link: " + done.stdout.strip())
        return None

    def run(self, program, where, line):
        """What it printed, or None and a finding."""
        with tempfile.TemporaryDirectory(prefix="talev-example-") as folder, \
                tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            # The library that it was linked with, whatever else the caller's path holds.
            path = [str(program.parent), os.environ.get("LD_LIBRARY_PATH", "")]
            env = dict(os.environ, LD_LIBRARY_PATH=":".join(filter(None, path)))
            child = subprocess.Popen([str(program)], cwd=folder, stdin=subprocess.DEVNULL, env=env,
                                     stdout=out, stderr=err, start_new_session=True)
            try:
                code = child.wait(SECONDS)
                ended = None if code == 0 else f"exits with {code}" if code > 0 else \
                    f"dies of {signal.Signals(-code).name}"
            except subprocess.TimeoutExpired:
                ended = f"still runs after {SECONDS} seconds"
            finally:
                end_session(child)
            out.seek(0)
            err.seek(0)
            printed = out.read().decode(errors="replace")
            if ended is None:
                return printed
            said = (printed + err.read().decode(errors="replace")).strip()
            self.tree.finding(where, line, f"the example {ended}, it must exit with 0; it said: "
                              f"{said[-2000:] or 'nothing'}")
            return None


def end_session(child):
    """The program, if it still runs, and what it left behind."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
