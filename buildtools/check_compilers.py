#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every source of ours compiles without a warning, with every compiler that is there."""

import ast
import re

from check_support import house

COMPILERS = ["gcc", "clang"]
DEFINES = ["-D_GNU_SOURCE", "-DTALEV_OWNER_CHECKS", '-DTALEV_VERSION="0"', '-DTALEV_PLUGINDIR="/"']


def developer_flags(tree):
    """The flags of ./configure --developer: there is one list of them."""
    wscript = tree.top / "wscript"
    for node in ast.parse(wscript.read_text()).body if wscript.exists() else []:
        if isinstance(node, ast.Assign) and node.targets[0].id == "DEVELOPER":
            return node.value.func.value.value.split()
    return ["-Wall", "-Wextra", "-Werror"]


def check(tree):
    sources = tree.glob("lib/*/*.c", "lib/plugind/plugins/*.c")
    if not sources:
        raise house.Skip(f"no sources in {tree.top}")
    flags = developer_flags(tree) + DEFINES + ["-std=c11", "-fsyntax-only"]
    flags += ["-I" + str(tree.top / d) for d in ("lib", "include")]
    if house.have("pkg-config") and house.run("pkg-config", "--exists", "liburing").returncode == 0:
        flags.append("-DTALEV_URING")
    else:
        sources = [s for s in sources if not s.name.startswith("uring")]
    flags += house.pkg_config("--cflags", "talloc") + house.pkg_config("--cflags", "libbsd")
    for compiler in filter(house.have, COMPILERS):
        done = house.run(compiler, *flags, *map(str, sources), cwd=tree.top)
        for where, line, words in re.findall(
                r"^(\S+?):(\d+):\d+: (?:fatal )?error: (.*)", done.stdout, flags=re.M):
            tree.finding(where, line, f"{compiler}: {words}")


def self_test(try_tree):
    good = {"lib/a/a.c": "int a(int b);\nint a(int b)\n{\n\treturn b;\n}\n"}
    try_tree("good", good)
    try_tree("unused", {**good, "lib/a/b.c": "int b(void);\nint b(void)\n{\n\tint c;\n\treturn 0;\n}\n"},
             "lib/a/b.c:4: gcc")


if __name__ == "__main__":
    house.main(check, self_test)
