# SPDX-License-Identifier: BSD-2-Clause
"""Reads as much of a mdoc page as the checks need. What it does not know it leaves to mandoc."""

import re

from check_support import header

ESCAPES = {
    "e": "\\", "&": "", "-": "-", " ": " ", "~": " ", "0": " ", "'": "´", "`": "`", ".": ".",
    "(dq": '"', "(aq": "'", "(cq": "’", "(oq": "‘", "(rs": "\\", "(ti": "~", "(ha": "^",
    "(ga": "`", "(ba": "|", "(en": "–", "(em": "—", "(mi": "−", "(lq": "“", "(rq": "”", "(sh": "#",
    "(at": "@", "(Do": "$", "(lB": "[", "(rB": "]", "(lC": "{", "(rC": "}", "(sl": "/", "(pl": "+",
    "|": "", "^": "", ":": "", "/": "", "%": "", ",": "",
}
ESCAPE = re.compile(r"\\(\[[^]]*\]|\(..|\*?.)", flags=re.S)


class Unknown(Exception):
    """An escape that means nothing in a program."""


def plain(text):
    """The characters that the reader sees."""
    def one(found):
        key = found.group(1)
        if key.startswith("["):
            key = "(" + key[1:-1]
        if key not in ESCAPES:
            raise Unknown(found.group())
        return ESCAPES[key]
    return ESCAPE.sub(one, text)


def words(line):
    """The arguments of a macro line, quotes undone."""
    out, text = [], re.sub(r'\\".*', "", line)
    for quoted, bare in re.findall(r'"((?:[^"]|"")*)"?|(\S+)', text):
        out.append(plain(bare or quoted.replace('""', '"')))
    return out


class Page:
    def __init__(self, path):
        self.path = path
        self.name, _, self.section = path.name.rpartition(".")
        self.title = None
        self.sections = {}      # heading -> line number
        self.names = {}         # .Nm in NAME -> line number
        self.headers = {}       # .In in SYNOPSIS -> line number
        self.prototypes = []    # header.Prototype, of the SYNOPSIS
        self.references = []    # (line number, name, section)
        self.literals = []      # (line number, heading, [(number, line)])
        self.broken = []        # (line number, what is wrong)
        self.read(path.read_text(errors="replace").splitlines())

    def read(self, lines):
        heading, block, function, result = None, None, None, ()
        for number, line in enumerate(lines, 1):
            if block is not None:
                if re.match(r"\.\s*Ed\b", line):
                    self.literals.append(block)
                    block = None
                else:
                    block[2].append((number, line))
                continue
            found = re.match(r"\.\s*(\w\w)\b\s*(.*)", line)
            if not found:
                continue
            macro = found.group(1)
            try:
                args = words(found.group(2))
            except Unknown:
                continue
            if macro == "Dt":
                self.title = (number, args)
            elif macro == "Sh":
                heading = " ".join(args)
                self.sections[heading] = number
            elif macro == "Bd" and {"-literal", "-unfilled"} & set(args):
                block = (number, heading, [])
            elif macro == "Nm" and heading == "NAME" and args:
                self.names[args[0]] = number
            elif heading == "SYNOPSIS" and macro in ("In", "Ft", "Fn", "Fo", "Fa", "Fc"):
                if macro == "In":
                    self.headers[args[0]] = number
                elif macro == "Ft":
                    result = header.tokens(" ".join(args))
                elif macro == "Fn" and args:
                    self.prototype(args[0], result, args[1:], number)
                elif macro == "Fo" and args:
                    function = (args[0], result, [], number)
                elif macro == "Fa" and function:
                    function[2].extend(args)
                elif macro == "Fc" and function:
                    self.prototype(*function)
                    function = None
            self.references += [(number, *pair) for pair in references(macro, args)]
        if block is not None:
            self.broken.append((block[0], "this .Bd has no .Ed"))

    def prototype(self, name, result, params, line):
        params = [header.tokens(param) for param in params] or [("void",)]
        self.prototypes.append(header.Prototype(name, result, params, self.path, line))


def references(macro, args):
    """.Xr name section, also where another macro calls it."""
    called = [macro, *args]
    for at, word in enumerate(called[:-2]):
        if word == "Xr":
            yield called[at + 1], called[at + 2]


def program(block):
    """The C text of a literal block, with one line of it for each line of the page."""
    out = []
    for number, line in block[2]:
        if line.startswith('.\\"'):
            continue
        if line.startswith((".", "'")):
            raise Unknown(f"{number}: a macro inside a program: {line}")
        try:
            out.append(f"{plain(line)}\n")
        except Unknown as escape:
            raise Unknown(f"{number}: the escape {escape} inside a program") from None
    return "".join(out)
