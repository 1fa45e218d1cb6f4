#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each row of tests/loops/ROWS is a test: one that runs, and has the row in its name."""

import re

from check_support import house

ROWS = "tests/loops/ROWS"
ROW = re.compile(r"([A-Z])(\d+) (later: )?\S.*")
# As main() lists them: a function that is not listed does not run.
LISTED = re.compile(r"\b(?:JOB_)?TEST\((([a-z])0*(\d+)_\w+)\)", re.IGNORECASE)


def rows_of(tree):
    """row -> (line, may it be missing)"""
    rows = {}
    for number, line in enumerate((tree.top / ROWS).read_text().splitlines(), 1):
        if line.startswith("#"):
            continue
        found = ROW.fullmatch(line)
        if not found:
            tree.finding(ROWS, number, "is no row: a letter, a number, and what is to be tested")
            continue
        row = found.group(1) + found.group(2)
        if row in rows:
            tree.finding(ROWS, number, f"{row} is there already")
        rows[row] = number, bool(found.group(3))
    return rows


def check(tree):
    rows = rows_of(tree)
    letters = {row[0] for row in rows}
    named = set()
    for path in tree.glob("tests/loops/test_*.c", "tests/work/test_*.c"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name, letter, digits in LISTED.findall(line):
                row = letter.upper() + digits
                named.add(row)
                if row not in rows and letter.upper() in letters:
                    tree.finding(path, number, f"{name}: {ROWS} has no {row}")
    for row, (number, later) in rows.items():
        if row not in named and not later:
            tree.finding(ROWS, number, f"no test that runs is named {row.lower()}_...")


GOOD = {
    ROWS: "# rows\nL1 one\nJ12 twelve\nW1 later: a watchdog\n",
    "tests/loops/test_x.c": "\t\tTEST(l01_one),\n\t\tTEST(a_line_1),\n",
    "tests/work/test_y.c": "\t\tJOB_TEST(J12_twelve),\n",
}


def self_test(try_tree):
    def bad(what, path, text, *expected):
        try_tree(what, {**GOOD, path: text}, *expected)

    try_tree("a good tree", GOOD)
    bad("not listed", "tests/loops/test_x.c", "static void l01_one(void **state)\n",
        f"{ROWS}:2: no test that runs is named l1_...")
    bad("an unknown row", "tests/work/test_z.c", "\t\tTEST(l02_two),\n",
        f"tests/work/test_z.c:1: l02_two: {ROWS} has no L2")
    bad("no row", ROWS, "L1 one\nJ12 twelve\nwhatever\n", f"{ROWS}:3: is no row")
    bad("a row twice", ROWS, "L1 one\nJ12 twelve\nL1 one\n", f"{ROWS}:3: L1 is there already")


if __name__ == "__main__":
    house.main(check, self_test)
