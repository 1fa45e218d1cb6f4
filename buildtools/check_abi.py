#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares what the built library exports with the list of what it promised to export.

buildtools/abi/<library>-<version>.sigs holds one line for each function which that release brought,
`name: result (parameters)`, and is the version node that it lives in, TALEV_<version>. --update
rewrites the list of the version in wscript, the release that is being made, from the public
headers. The older lists are promises.

buildtools/abi/<library>-private.names holds what our other libraries of the same version use besides,
in the node TALEV_PRIVATE_<version>. It is no promise to anybody.
"""

import re
import tempfile

from check_support import house

LISTS = "buildtools/abi"
# Whose list a public header belongs to; what is not named is the first library's.
LIBRARY_OF = {
    "job": "talev-loops", "loops": "talev-loops", "loops_snapshot": "talev-loops",
    "move": "talev-loops", "pool": "talev-loops", "retire": "talev-loops", "watchdog": "talev-loops",
    "work": "talev-loops",
    "stream": "talev-net", "listener": "talev-net", "dgram": "talev-net",
    "coro": "talev-co", "http": "talev-http",
}
# What --update says at the head of a list.
HEAD = "# What {} brought; buildtools/check_abi.py --update rewrites the newest of these lists.\n"

UPDATE = "run buildtools/check_abi.py --update if that is meant"

DECLARED = re.compile(r"/\* (.*?):(\d+):\S+ \*/ (?!static\b)(?:extern )?(.*);")


class Signatures:
    """One checked-in list."""

    def __init__(self, path):
        self.path = path
        self.library, _, version = path.stem.rpartition("-")
        self.version = tuple(int(part) for part in version.split("."))
        self.node = f"{self.library.upper().replace('-', '_')}_{version}"
        self.names = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            name, colon, proto = line.partition(": ")
            if colon and not line.startswith("#"):
                self.names[name] = (number, proto)


def lists_of(tree):
    """library -> its lists, oldest first."""
    libraries = {}
    for path in tree.glob(f"{LISTS}/*-[0-9]*.sigs"):
        one = Signatures(path)
        libraries.setdefault(one.library, []).append(one)
    for lists in libraries.values():
        lists.sort(key=lambda one: one.version)
    return libraries


def private_of(tree, library):
    """name -> (list, line number)"""
    path = tree.top / LISTS / f"{library}-private.names"
    if not path.exists():
        return {}
    return {name: (path, number) for number, name in enumerate(path.read_text().splitlines(), 1)
            if name and not name.startswith("#")}


def declared(tree, library):
    """name -> (header, line, prototype without the names of parameters), as gcc reads them."""
    headers = [path for path in tree.glob("include/talev/*.h")
               if LIBRARY_OF.get(path.stem, "talev") == library]
    with tempfile.NamedTemporaryFile(mode="r", suffix=".txt") as seen:
        source = "".join(f"#include <talev/{path.name}>\n" for path in headers)
        flags = house.pkg_config("--cflags", "talloc")
        # strict C11 hides POSIX; gnu11 adds nothing to our prototypes.
        done = house.run("gcc", "-xc", "-std=gnu11", "-fsyntax-only", "-w", "-aux-info", seen.name,
                         f"-I{tree.top}/include", *flags, "-", input=source, cwd=tree.top)
        if done.returncode != 0:
            tree.finding("include/talev", 1, "gcc cannot read the public headers: " + done.stdout)
            return {}
        text = seen.read()
    found = {}
    for path, line, proto in DECLARED.findall(text):
        if not path.startswith(f"{tree.top}/include/talev/"):
            continue
        if path.rpartition("/")[2] not in {header.name for header in headers}:
            continue
        name = re.search(r"(\w+) \(", proto)
        # A name of ours; the rest of gcc's line is the type around it.
        name = re.search(r"\b(_?talev_\w+) \(", proto) or name
        spelt = (proto[:name.start(1)] + proto[name.end(1):].lstrip()).strip()
        found[name.group(1)] = (path, line, " ".join(spelt.split()))
    return found


def exported(library):
    """name -> (kind of symbol, version node) from the dynamic symbols."""
    done = house.run("nm", "-D", "--defined-only", "--with-symbol-versions", library)
    if done.returncode != 0:
        raise house.Skip(f"nm {library}: {done.stdout.strip()}")
    symbols = {}
    for line in done.stdout.splitlines():
        kind, name = line.split()[-2:]
        name, _, node = name.replace("@@", "@").partition("@")
        if kind != "A":     # the nodes themselves
            symbols[name] = (kind, node)
    return symbols


def check_declared(tree, lists, headers):
    """Returns name -> (list, line number), of all lists together."""
    promised = {}
    for one in lists:
        newest = one is lists[-1]
        for name, (number, proto) in one.names.items():
            if name in promised:
                first = promised[name][0].path.name
                tree.finding(one.path, number, f"{name} is already in {first}: a symbol has one "
                             "node")
                continue
            promised[name] = (one, number)
            if name not in headers:
                tree.finding(one.path, number, f"{name} is listed but no public header declares it"
                             + (f": {UPDATE}" if newest else ", and a release keeps its symbols"))
            elif headers[name][2] != proto:
                path, line, now = headers[name]
                tree.finding(path, line, f"{name} is `{now}` but {one.path.name}:{number} has "
                             f"`{proto}`" + (f": {UPDATE}" if newest else ", a promise"))
    for name, (path, line, _) in sorted(headers.items()):
        if name not in promised:
            tree.finding(path, line, f"{name} is declared but not in {lists[-1].path.name}: "
                         f"{UPDATE}")
    return promised


def imported(library):
    """The names that a library wants from others."""
    done = house.run("nm", "-D", "--undefined-only", library)
    return {line.split()[-1].partition("@")[0] for line in done.stdout.splitlines() if line}


def check_private(tree, private, node, symbols, others):
    """Takes the private ones out of symbols. others: what our other libraries import, or None."""
    for name, (path, number) in private.items():
        if name.lstrip("_").startswith("talev_"):
            tree.finding(path, number, f"{name} has the name of a public function")
        elif name not in symbols:
            tree.finding(path, number, f"{name} is listed but the library does not have it")
        elif symbols[name][1] != node or symbols[name][0] not in "TW":
            tree.finding(path, number, f"{name} is exported as “{symbols[name][1]}”, "
                         f"nm calls it {symbols[name][0]}: it must be a function in {node}")
        elif others is not None and name not in others:
            tree.finding(path, number, f"{name}: none of our other libraries uses it")
        symbols.pop(name, None)


def check_exported(tree, newest, promised, headers, symbols):
    for name, (one, number) in promised.items():
        if name not in symbols:
            path, line, _ = headers.get(name, (one.path, number, ""))
            tree.finding(path, line, f"{name} is promised but the library does not export it: "
                         "write it, or take it out of header and list")
        elif symbols[name][1] != one.node:
            tree.finding(one.path, number, f"{name} is exported in the node "
                         f"“{symbols[name][1]}”, it must be in {one.node}")
    for name, (kind, _) in sorted(symbols.items()):
        if name in promised:
            continue
        path, line, _ = headers.get(name, (newest.path, 1, ""))
        what = "" if kind in "TWi" else f" (data, nm calls it {kind}: only functions are exported)"
        tree.finding(path, line, f"{name} is exported{what} but not in the list: hide it, or "
                     "declare it in a public header and list it")


def check(tree):
    libraries = lists_of(tree)
    if not libraries:
        if tree.glob("include/talev/*.h"):
            tree.finding(f"{LISTS}/talev-0.1.0.sigs", 1, "the list of exported symbols is missing: "
                         "run buildtools/check_abi.py --update")
            return
        raise house.Skip(f"no public headers in {tree.top}")
    for program in ("gcc", "nm"):
        if not house.have(program):
            raise house.Skip(f"{program} is not installed")
    for name, lists in libraries.items():
        headers = declared(tree, name)
        promised = check_declared(tree, lists, headers)
        library = tree.library(name)
        if library:
            symbols = exported(library)
            prefix, _, version = lists[-1].node.rpartition("_")
            others = [other for other in libraries if other != name]
            others += ["tevent"] if tree.glob("lib/tevent/*.c") else []
            others = [tree.library(other) for other in others]
            check_private(tree, private_of(tree, name), f"{prefix}_PRIVATE_{version}", symbols,
                          set().union(*map(imported, others)) if others and all(others) else None)
            check_exported(tree, lists[-1], promised, headers, symbols)
        else:
            tree.skip(f"no lib{name}.so in {tree.build}: build first")


def unreleased(tree):
    """The version that the next --update is about, as the wscript has it."""
    wscript = tree.top / "wscript"
    found = wscript.exists() and re.search(r"^VERSION\s*=\s*['\"]([\d.]+)['\"]",
                                           wscript.read_text(), flags=re.M)
    return found.group(1) if found else None


def update(tree):
    version = unreleased(tree)
    libraries = lists_of(tree)
    wanted = {LIBRARY_OF.get(path.stem, "talev") for path in tree.glob("include/talev/*.h")}
    for name in sorted(wanted | set(libraries)):
        lists = libraries.get(name, [])
        path = tree.top / LISTS / f"{name}-{version}.sigs" if version else lists[-1].path
        kept = {one for older in lists if older.path != path for one in older.names}
        brought = {one: proto for one, (_, _, proto) in sorted(declared(tree, name).items())
                   if one not in kept}
        if brought or path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_text(HEAD.format(path.stem) + "".join(
                f"{one}: {proto}\n" for one, proto in brought.items()))
            print(f"{tree.rel(path)}: {len(brought)} functions")


def build_library(code, script):
    """Builds a small library into the tree, with a version script as ours has one."""
    def prepare(tree):
        tree.build.mkdir()
        (tree.build / "x.map").write_text(script)
        house.run("gcc", "-xc", "-", "-shared", "-fPIC", "-w", f"-I{tree.top}/include",
                  f"-Wl,--version-script={tree.build}/x.map", "-o",
                  tree.build / "libtalev.so.0.2.0", input=code, check=True)
    return prepare


def self_test(try_tree):
    script = "TALEV_0.1.0 { global: talev_a; local: *; };\n" \
             "TALEV_0.2.0 { global: _talev_b; } TALEV_0.1.0;\n"
    code = "int talev_a(void *p) { return 0; }\nvoid *_talev_b(int a) { return 0; }\n"
    good = {
        "include/talev/a.h": "#include <talloc.h>\nint talev_a(TALLOC_CTX *ctx);\n",
        "include/talev/b.h": "static inline int talev_c(int c)\n{\n\treturn c;\n}\n"
                             "void *_talev_b(int a);\n#define talev_b(a) _talev_b(a)\n",
        f"{LISTS}/talev-0.1.0.sigs": "talev_a: int (TALLOC_CTX *)\n",
        f"{LISTS}/talev-0.2.0.sigs": "# a head\n_talev_b: void *(int)\n",
    }
    new = f"{LISTS}/talev-0.2.0.sigs"

    def bad(what, changed, *expected, code=code, script=script):
        try_tree(what, {**good, **changed}, *expected, prepare=build_library(code, script))

    bad("a good library", {})
    bad("changed", {"include/talev/b.h": "void *_talev_b(long a);\n"},
        "include/talev/b.h:1: _talev_b is `void *(long int)` but talev-0.2.0.sigs:2 has")
    bad("not listed", {new: ""},
        "include/talev/b.h:5: _talev_b is declared but not in talev-0.2.0.sigs",
        "include/talev/b.h:5: _talev_b is exported but not in the list")
    bad("not declared", {"include/talev/b.h": "\n"},
        f"{new}:2: _talev_b is listed but no public header declares it")
    bad("twice", {new: "talev_a: int (TALLOC_CTX *)\n_talev_b: void *(int)\n"},
        f"{new}:1: talev_a is already in talev-0.1.0.sigs")
    bad("broken promise", {"include/talev/a.h": "int talev_a(int a);\n"},
        "include/talev/a.h:1: talev_a is `int (int)` but talev-0.1.0.sigs:1 has `int (TALLOC_CTX "
        "*)`, a promise")
    bad("a promise forgotten", {"include/talev/a.h": "\n"},
        f"{LISTS}/talev-0.1.0.sigs:1: talev_a is listed but no public header declares it, and a")
    bad("missing", {}, "include/talev/b.h:5: _talev_b is promised but the library does not export",
        code="int talev_a(void *p) { return 0; }\n")
    bad("wrong node", {}, f"{new}:2: _talev_b is exported in the node “TALEV_0.1.0”, it must",
        script="TALEV_0.1.0 { global: *talev_*; local: *; };\n")
    bad("a stranger", {}, f"{new}:1: talev_d is exported (data, nm calls it",
        code=code + "int talev_d;\n", script=script.replace("talev_a;", "talev_a; talev_d;"))
    private = f"{LISTS}/talev-private.names"
    script += "TALEV_PRIVATE_0.2.0 { global: box_*; };\n"
    code += "int box_a(void) { return 0; }\nint box_b;\n"
    bad("a private one", {private: "# ours\nbox_a\n"}, f"{new}:1: box_b is exported (data",
        code=code, script=script)
    bad("private, but", {private: "box_a\nbox_b\nbox_c\ntalev_a\n"},
        f"{private}:2: box_b is exported as “TALEV_PRIVATE_0.2.0”, nm calls it",
        f"{private}:3: box_c is listed but the library does not have it",
        f"{private}:4: talev_a has the name of a public function", code=code, script=script)
    try_tree("no list", {"include/talev/a.h": "\n"}, "the list of exported symbols is missing")


if __name__ == "__main__":
    house.main(check, self_test, {"--update": update})
