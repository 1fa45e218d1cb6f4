#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The outer shape of the tree: line lengths, stray spaces, licence lines, what may stand where."""

import fnmatch
import re

from check_support import house

TOP_LEVEL = set("""
    wscript lib include tests man buildtools README.md LICENSE NEWS.md configure Makefile
    .ci .clang-format .gitignore""".split())
COLUMNS = 100
LICENCE = "/* SPDX-License-Identifier: BSD-2-Clause */"

# Split, so that this file does not find itself.
LATER = re.compile(r"\b(" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX"]) + r")\b")
WAF_AUTHOR = "Thomas " "Nagy"


def of_git(tree):
    if not (tree.top / ".git").exists() or not house.have("git"):
        return None
    done = house.run("git", "-C", tree.top, "ls-files", "-z", "-co", "--exclude-standard")
    if done.returncode != 0:
        return None
    return [tree.top / name for name in done.stdout.split("\0") if name]


def of_walk(tree):
    """Without git, as in a release: everything that .gitignore does not name."""
    ignore = tree.top / ".gitignore"
    patterns = [line.strip("/") for line in ignore.read_text().split()] if ignore.exists() else []

    def walk(folder):
        for path in sorted(folder.iterdir()):
            if path.name == ".git" or any(fnmatch.fnmatch(path.name, one) for one in patterns):
                continue
            if path.is_dir() and not path.is_symlink():
                yield from walk(path)
            else:
                yield path

    return walk(tree.top)


def check_c(tree, path, lines):
    if not lines or lines[0] != LICENCE:
        tree.finding(path, 1, f"the first line must be {LICENCE}")
    for number, line in enumerate(lines, 1):
        columns = len(line.expandtabs(8))
        if columns > COLUMNS:
            tree.finding(path, number, f"{columns} columns: break it before {COLUMNS}")


def check_text(tree, path, text):
    # Only \n ends a line here: a form feed inside one is itself a stray space.
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    else:
        tree.finding(path, len(lines), "the last line has no newline at its end")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            tree.finding(path, number, "space at the end of the line")
        later = LATER.search(line)
        if later:
            tree.finding(path, number, f"“{later.group()}”: do it now, or open an issue")
    if path.suffix in (".c", ".h"):
        check_c(tree, path, lines)


# A room without neighbours whose door would have the name of the public header that it implements.
OTHER_DOORS = {"tevent": "context.h"}


def check_rooms(tree):
    for room in tree.glob_dirs("lib"):
        door = room / OTHER_DOORS.get(room.name, f"{room.name}.h")
        if any(room.rglob("*.[chS]")) and not door.exists():
            tree.finding(door, 1, f"the room {room.name} needs its door, lib/{room.name}/"
                         f"{room.name}.h: what it owns, who may call it, from which thread")


def check(tree):
    listed = of_git(tree)
    files = sorted(path for path in (of_walk(tree) if listed is None else listed)
                   if path.is_file() or path.is_symlink())
    strangers = {tree.rel(path).parts[0] for path in files} - TOP_LEVEL
    for name in sorted(strangers):
        tree.finding(name, 1, "does not belong at the top level: " + " ".join(sorted(TOP_LEVEL)))
    for path in files:
        if any(part.startswith("waflib") or part.startswith(".waf")
               for part in tree.rel(path).parts):
            tree.finding(path, 1, "part of waf: it is fetched, never copied into the tree")
            continue
        if path.is_symlink():
            continue
        data = path.read_bytes()
        if WAF_AUTHOR.encode() in data or b"\n#==>\n" in data:
            tree.finding(path, 1, "a copy of waf: it is fetched, never copied into the tree")
            continue
        if b"\0" not in data and data:
            check_text(tree, path, data.decode(errors="replace"))
    check_rooms(tree)


GOOD = {
    ".gitignore": "/build/\n*.pyc\n",
    "build/x.c": "whatever  ",
    "README.md": "talev\n",
    "lib/core/core.h": LICENCE + "\n",
    "lib/core/core.c": LICENCE + "\nint\tx; /* mkstemp XXXXXX */\n",
    "tests/data.bin": "\0 no newline  ",
}


def self_test(try_tree):
    def bad(what, path, text, *expected):
        try_tree(what, {**GOOD, path: text}, *expected)

    head = LICENCE + "\n"
    try_tree("a good tree", GOOD)
    bad("a long line", "lib/core/x.c", head + "\t" * 12 + "12345\n", "lib/core/x.c:2: 101 columns")
    bad("no licence", "lib/core/x.h", "int x;\n", "lib/core/x.h:1: the first line must be")
    bad("a stray space", "man/x.3", ".Nm x\n.Nd y \n", "man/x.3:2: space at the end")
    bad("a stray carriage return", "wscript", "x\r\n", "wscript:1: space at the end")
    bad("work left", "lib/core/x.c", head + "/* TO" "DO */\n", "lib/core/x.c:2: “TO" "DO”")
    bad("no newline", "README.md", "a\nb", "README.md:2: the last line has no newline")
    bad("a stranger", "notes.txt", "x\n", "notes.txt:1: does not belong at the top level")
    bad("waf", "buildtools/waflib/Build.py", "x\n", "buildtools/waflib/Build.py:1: part of waf")
    bad("waf renamed", "buildtools/w", f"# {WAF_AUTHOR}\n", "buildtools/w:1: a copy of waf")
    bad("no door", "lib/attic/x.c", head, "lib/attic/attic.h:1: the room attic needs its door")


if __name__ == "__main__":
    house.main(check, self_test)
