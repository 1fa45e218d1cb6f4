#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every public header stands alone, in C11 and in C++17, for every compiler that is there."""

import re

from check_support import house

# _POSIX_C_SOURCE because the library's own words are POSIX (pid_t, siginfo_t), which -std=c11 hides.
WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
LANGUAGES = [
    ("C11", ["gcc", "clang"], ["-xc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wstrict-prototypes"]),
    ("C++17", ["g++", "clang++"], ["-xc++", "-std=c++17"]),
]


def compile_alone(tree, path, name, flags):
    for language, compilers, options in LANGUAGES:
        for compiler in filter(house.have, compilers):
            done = house.run(compiler, *WARNINGS, *options, *flags, f"-I{tree.top}/include", "-",
                             input=f"#include <{name}>\n" * 2, cwd=tree.top)
            if done.returncode == 0:
                continue
            said = re.search(r"(\S+?):(\d+):\d+: (?:fatal )?error: (.*)", done.stdout)
            where, line, words = said.groups() if said else (path, 1, done.stdout.strip())
            if where == "<stdin>":
                where, line = path, 1
            tree.finding(where, line, f"<{name}> alone as {language} with {compiler}: {words}")


def check(tree):
    headers = tree.glob("include/talev.h", "include/*/*.h")
    if not headers:
        raise house.Skip(f"no public headers in {tree.top}")
    flags = house.pkg_config("--cflags", "talloc")
    for path in headers:
        compile_alone(tree, path, path.relative_to(tree.top / "include"), flags)

    umbrella = tree.top / "include/talev.h"
    if not umbrella.exists():
        tree.finding(umbrella, 1, "must exist and include every include/talev/*.h")
        return
    named = re.findall(r"^\s*#\s*include\s*<(.*)>", umbrella.read_text(), flags=re.M)
    for path in tree.glob("include/talev/*.h"):
        name = str(path.relative_to(tree.top / "include"))
        if name not in named:
            tree.finding(umbrella, 1, f"must include <{name}>")


def self_test(try_tree):
    guard = "#ifndef {0}_H\n#define {0}_H\n{1}\n#endif\n"
    good = {
        "include/talev.h": "#include <talev/a.h>\n",
        "include/talev/a.h": guard.format("A", "#include <stdint.h>\nextern uint32_t talev_a;"),
    }
    try_tree("good headers", good)
    try_tree("not alone", {**good, "include/talev/a.h": guard.format("A", "uint32_t talev_a(int);")},
             "include/talev/a.h:3: <talev/a.h> alone as C11", "alone as C++17")
    try_tree("only C", {**good, "include/talev/a.h": guard.format("A", "int talev_a(int class);")},
             "include/talev/a.h:3: <talev/a.h> alone as C++17")
    try_tree("no guard", {**good, "include/talev/a.h": "struct talev_a { int b; };\n"},
             "include/talev/a.h:1: <talev/a.h> alone as C11")
    try_tree("forgotten", {**good, "include/talev.h": "#ifndef X\n#endif\n"},
             "include/talev.h:1: must include <talev/a.h>")


if __name__ == "__main__":
    house.main(check, self_test)
