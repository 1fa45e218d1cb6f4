# SPDX-License-Identifier: BSD-2-Clause
"""How a check finds the tree, reports, skips, and proves on small trees that it can fail.

A check calls main(check, self_test). check(tree) returns its findings; self_test(try_tree) feeds
it trees that are right and trees that are wrong in one way.
"""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

PASS, FAIL, SKIP = 0, 1, 77


class Skip(Exception):
    """The check cannot be made here; the message says why."""


class SelfTestFailed(Exception):
    pass


class Tree:
    """A checkout, where it was built, and what a check found in it."""

    def __init__(self, top, build=None):
        self.top = pathlib.Path(top).resolve()
        self.build = pathlib.Path(build).resolve() if build else self.top / "build"
        self.findings = []
        self.skipped = []

    def finding(self, path, line, text):
        path = pathlib.Path(path)
        if path.is_absolute() and path.is_relative_to(self.top):
            path = path.relative_to(self.top)
        self.findings.append(f"{path}:{line}: {text}")

    def skip(self, why):
        """Part of the check was not made. Said at the end, unless something was found."""
        self.skipped.append(why)

    def rel(self, path):
        return path.relative_to(self.top)

    def glob(self, *patterns):
        return sorted({path for pattern in patterns for path in self.top.glob(pattern)
                       if path.is_file()})

    def glob_dirs(self, under):
        folder = self.top / under
        return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def library(self, stem="talev"):
        """The built shared library, not one of the links to it."""
        found = [path for path in self.build.glob(f"**/lib{stem}.so*")
                 if path.is_file() and not path.is_symlink()]
        # An install staged below the build directory is not what was built last.
        return min(found, key=lambda path: (len(path.parts), str(path)), default=None)


def run(*argv, **kw):
    """Output goes to the result, both streams as text."""
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.STDOUT)
    return subprocess.run([str(arg) for arg in argv], text=True, errors="replace", **kw)


def have(program):
    return any(os.access(pathlib.Path(folder, program), os.X_OK)
               for folder in os.environ.get("PATH", "/usr/bin:/bin").split(":"))


def pkg_config(*argv):
    if not have("pkg-config"):
        raise Skip("pkg-config is not installed")
    done = run("pkg-config", *argv)
    if done.returncode != 0:
        raise Skip(f"pkg-config {' '.join(argv)}: {done.stdout.strip()}")
    return shlex.split(done.stdout)


class Trier:
    """Writes a small tree and looks whether the check says what it must."""

    def __init__(self, check):
        self.check = check

    def __call__(self, what, files, *expected, prepare=None):
        """files: path -> text. expected: words that findings must hold; none = must be clean."""
        with tempfile.TemporaryDirectory(prefix="talev-check-") as folder:
            tree = Tree(folder)
            for name, text in files.items():
                path = tree.top / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            if prepare:
                prepare(tree)
            self.check(tree)
            said = "\n".join(tree.findings) or "nothing"
            if not expected and tree.findings:
                raise SelfTestFailed(f"{what}: must be clean, but it found:\n{said}")
            for words in expected:
                if words not in said:
                    raise SelfTestFailed(f"{what}: must find “{words}”, but it found:\n{said}")


def main(check, self_test, actions=None):
    """actions: option -> function(tree), for what a check can do besides checking."""
    argv = sys.argv[1:]
    actions = actions or {}
    here = pathlib.Path(sys.argv[0]).resolve().parent.parent
    tree = Tree(os.environ.get("TALEV_TOP") or here, os.environ.get("TALEV_BUILD"))
    name = pathlib.Path(sys.argv[0]).name
    if len(argv) > 1 or (argv and argv[0] != "--self-test" and argv[0] not in actions):
        options = " | ".join(["--self-test", *actions])
        print(f"usage: {name} [{options}]")
        sys.exit(2)
    try:
        if argv and argv[0] in actions:
            actions[argv[0]](tree)
            sys.exit(PASS)
        self_test(Trier(check))
        if argv:
            print(f"{name}: finds what it must, and is silent where it must be")
            sys.exit(PASS)
        check(tree)
    except Skip as why:
        tree.skip(why)
    except SelfTestFailed as why:
        print(f"{name}: the check itself is broken: {why}")
        sys.exit(FAIL)
    # The driver takes the last line of a skipped check as the reason.
    said = tree.findings + [f"{name}: skipped: {why}" for why in tree.skipped]
    try:
        print("".join(f"{line}\n" for line in said), end="", flush=True)
    except BrokenPipeError:
        # Somebody has seen enough; what the check found is still its result.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(FAIL if tree.findings else SKIP if tree.skipped else PASS)
