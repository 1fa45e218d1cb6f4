# SPDX-License-Identifier: BSD-2-Clause
"""Reads the public headers as their users do: prototypes with the names of the parameters.

A function that notes its call site is declared with a leading underscore and one parameter more,
and wrapped by a macro; users see the macro. Where the macro differs from the function by more
than that, the header shows what users may think of as the prototype inside #ifdef TALEV_DOC.
"""

import dataclasses
import re

TOKEN = re.compile(r"\.\.\.|\w+|[^\w\s]")
NAME = r"_?talev_\w+"
MACRO = re.compile(r"^[ \t]*#\s*define\s+((?:talev|TALEV)_\w+)\(([^)]*)\)"
                   r"((?:[^\n]*\\\n)*[^\n]*)", flags=re.M)
ATTRIBUTE = re.compile(r"^(__attribute__|_?TALEV_\w+|_Noreturn|__extension__)$")


@dataclasses.dataclass
class Prototype:
    name: str
    result: tuple       # tokens
    params: list        # of tuples of tokens
    path: object
    line: int
    inline: bool = False
    # Written for the pages, not for the compiler.
    doc: bool = False

    def __str__(self):
        return spell(self.result, self.name, self.params)


@dataclasses.dataclass
class Macro:
    name: str
    params: list
    body: str
    path: object
    line: int


def tokens(text):
    return tuple(TOKEN.findall(text))


def spell_tokens(words):
    out = ""
    for word in words:
        glue = not out or word in ",)[]" or out[-1] in "(*[" or (word == "(" and out[-1] == ")")
        out += word if glue else " " + word
    return out


def spell(result, name, params):
    start = spell_tokens(result)
    inside = ", ".join(spell_tokens(param) for param in params)
    return f"{start}{'' if start.endswith('*') else ' '}{name}({inside})"


def split_params(words):
    """The tokens between the parentheses, cut at the commas that are not nested."""
    params, depth = [[]], 0
    for word in words:
        depth += (word in "([") - (word in ")]")
        if word == "," and depth == 0:
            params.append([])
        else:
            params[-1].append(word)
    return [tuple(param) for param in params]


def blank(found):
    return "\n" * found.group().count("\n") or " "


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.S)


def without_attributes(words):
    """(tokens less __attribute__((x)) and TALEV_PRINTF(1, 2), without extern)."""
    out, at = [], 0
    while at < len(words):
        if ATTRIBUTE.match(words[at]):
            at += 1
            if at < len(words) and words[at] == "(":
                at = closing(words, at) + 1
            continue
        if words[at] != "extern":
            out.append(words[at])
        at += 1
    return tuple(out)


def closing(words, at):
    depth = 0
    for index in range(at, len(words)):
        depth += (words[index] == "(") - (words[index] == ")")
        if depth == 0:
            return index
    return len(words) - 1


def statements(text):
    """(line, text, has a body) for everything at the top level of a header."""
    start, depth, line = 0, 0, 1
    text = re.sub(r'extern\s*"C"\s*\{', blank, text)
    for at, char in enumerate(text):
        if char == "{":
            depth += 1
        elif char == "}":
            depth = max(0, depth - 1)
        function = char == "}" and depth == 0 and re.search(r"\)\s*\{", text[start:at])
        if (char == ";" and depth == 0) or function:
            piece = text[start:at]
            lead = len(piece) - len(piece.lstrip())
            line = text.count("\n", 0, start + lead) + 1
            yield line, piece.strip(), bool(function)
            start = at + 1


def prototype_of(piece, path, line, inline):
    if piece.startswith("typedef"):
        return None
    words = without_attributes(tokens(piece.split("{")[0] if inline else piece))
    words = tuple(word for word in words if word not in ("static", "inline", "__inline__"))
    for at, word in enumerate(words[:-1]):
        if re.fullmatch(NAME, word) and words[at + 1] == "(":
            end = closing(words, at + 1)
            return Prototype(word, words[:at], split_params(words[at + 2:end]), path, line, inline)
    return None


def typedef_of(piece, path, line):
    """typedef void (*talev_fd_handler_t)(...): how the pages show a handler."""
    words = tokens(piece)
    for at, word in enumerate(words):
        if re.fullmatch(NAME, word) and words[at - 2:at] == ("(", "*") and words[at + 1] == ")":
            end = closing(words, at + 2)
            return Prototype(f"(*{word})", words[:at - 2], split_params(words[at + 3:end]), path,
                             line)
    return None


class Headers:
    """Everything that include/talev/*.h offers, by name."""

    def __init__(self, tree):
        self.functions = {}
        self.documented = {}
        self.typedefs = {}
        self.macros = {}        # that look like functions
        self.capitals = {}      # TALEV_X(y): a page may name them
        self.unclear = []       # (Macro, Prototype) of which no page can know the prototype
        self.paths = tree.glob("include/talev/*.h")
        for path in self.paths:
            self.read(path)

    def read(self, path):
        text = without_comments(path.read_text())
        for found in MACRO.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            name, inside, body = found.groups()
            params = [param.strip() for param in inside.split(",") if param.strip()]
            into = self.macros if name.startswith("talev_") else self.capitals
            into[name] = Macro(name, params, body, path, line)

        def for_pages(found):
            inside = "\n" * text.count("\n", 0, found.start(1)) + found.group(1)
            self.read_declarations(inside, path, self.documented)
            return blank(found)

        text = re.sub(r"^[ \t]*#\s*if(?:def\s+TALEV_DOC|\s+defined\(?\s*TALEV_DOC\)?)[ \t]*\n"
                      r"(.*?)^[ \t]*#\s*(?:endif|else)[^\n]*$", for_pages, text, flags=re.S | re.M)
        self.read_declarations(text, path, self.functions)

    def read_declarations(self, text, path, into):
        text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)
        for line, piece, inline in statements(text):
            proto = prototype_of(piece, path, line, inline)
            if proto:
                proto.doc = into is self.documented
                into[proto.name] = proto
                continue
            proto = typedef_of(piece, path, line) if piece.startswith("typedef") else None
            if proto:
                self.typedefs[proto.name] = proto

    def wrapper(self, name):
        """The macro that users write for a function with a leading underscore."""
        own = self.macros.get(name.lstrip("_"))
        for macro in ([own] if own else []) + list(self.macros.values()):
            if re.search(rf"\b{name}\s*\(", macro.body):
                return macro
        return None

    def for_users(self):
        """name -> Prototype as a page must show it, or the Macro where there is none."""
        shown = dict(self.documented)
        for name, proto in self.functions.items():
            macro = self.wrapper(name) if name.startswith("_") else None
            if not macro:
                shown.setdefault(name, proto)
                continue
            if len(macro.params) == len(proto.params) - 1:
                shown.setdefault(macro.name, dataclasses.replace(
                    proto, name=macro.name, params=proto.params[:-1]))
            elif macro.name not in shown:
                self.unclear.append((macro, proto))
                shown[macro.name] = macro
        for name, macro in self.macros.items():
            shown.setdefault(name, macro)
        return shown
