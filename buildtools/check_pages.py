#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The manual says what the headers say, mandoc can read it, and its programs run.

A program is a literal block (in README.md: a ```c block) with int main( in it; if
tests/man/<page>.out is there, what the page's programs print must equal it. A literal block with
TALEV_PLUGIN and no main is compiled as a shared object.
"""

import re
import tempfile

from check_support import example, header, house, mdoc

SECTIONS_OF_3 = ["NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES", "ERRORS", "THREADS",
                 "EXAMPLES", "HISTORY", "SEE ALSO"]
MAP = "talev.7"


def lint(tree, pages):
    if not house.have("mandoc"):
        tree.skip("mandoc is not installed")
        return
    for page in pages:
        done = house.run("mandoc", "-Tlint", "-Wwarning", page.path)
        for line in done.stdout.splitlines():
            found = re.match(r"mandoc: (.*?):(\d+):\d+: (.*)", line)
            if found:
                tree.finding(found.group(1), found.group(2), f"mandoc: {found.group(3)}")
            elif line.strip():
                tree.finding(page.path, 1, line)


def check_shape(tree, pages):
    known = {(page.name, page.section) for page in pages}
    known |= {(name, page.section) for page in pages for name in page.names}
    for page in pages:
        for line, text in page.broken:
            tree.finding(page.path, line, text)
        if page.title and page.title[1][:2] != [page.name.upper(), page.section]:
            tree.finding(page.path, page.title[0],
                         f"the title must be .Dt {page.name.upper()} {page.section}")
        for wanted in SECTIONS_OF_3 if page.section == "3" else ["NAME", "DESCRIPTION"]:
            if wanted not in page.sections:
                tree.finding(page.path, 1, f"the section {wanted} is missing")
        for line, name, section in page.references:
            ours = re.fullmatch(r"_?talev(_\w+|d|ctl|d\.conf)?", name)
            if ours and (name, section) not in known:
                tree.finding(page.path, line, f".Xr {name} {section}: there is no such page")
    for top in pages:
        if top.path.name == MAP:
            shown = {(name, section) for _, name, section in top.references}
            for page in pages:
                if page is not top and (page.name, page.section) not in shown:
                    tree.finding(page.path, 1, f"{MAP}, the map of all pages, does not show it")


def check_names(tree, pages, headers, shown):
    """Every function is on one page, and the pages name nothing else."""
    named = {}
    for page in pages:
        if page.section == "3":
            for name, line in page.names.items():
                named.setdefault(name, []).append((page, line))
    for name, proto in sorted(shown.items()):
        places = named.get(name, [])
        if not places:
            tree.finding(proto.path, proto.line, f"{name} is in the NAME section of no man/*.3")
        for page, line in places[1:]:
            tree.finding(page.path, line, f"{name} is already on {places[0][0].path.name}: "
                         "one page each")
    for name, places in named.items():
        for page, line in places:
            if name not in {**shown, **headers.capitals} and name != page.name:
                tree.finding(page.path, line, f".Nm {name}: no public header declares it")
    return {name: places[0][0] for name, places in named.items()}


def check_synopsis(tree, page, headers, shown):
    for name, line in page.headers.items():
        if name.startswith("talev") and not (tree.top / "include" / name).exists():
            tree.finding(page.path, line, f".In {name}: there is no such header")
    for proto in page.prototypes:
        wanted = {**headers.typedefs, **headers.capitals, **shown}.get(proto.name)
        where = (page.path, proto.line)
        if wanted is None:
            tree.finding(*where, f"{proto.name} is in no public header")
        elif isinstance(wanted, header.Macro):
            if len(proto.params) != len(wanted.params):
                tree.finding(*where, f"{proto.name} takes {len(proto.params)} parameters here, "
                             f"{len(wanted.params)} at {tree.rel(wanted.path)}:{wanted.line}")
        elif (proto.result, proto.params) != (wanted.result, wanted.params):
            tree.finding(*where, f"`{proto}` here, `{wanted}` at "
                         f"{tree.rel(wanted.path)}:{wanted.line}")
        if wanted is not None and page.headers:
            name = str(wanted.path.relative_to(tree.top / "include"))
            if not {name, "talev.h"} & set(page.headers):
                tree.finding(*where, f"{proto.name} needs .In {name} in this SYNOPSIS")


def check_functions(tree, pages):
    headers = header.Headers(tree)
    shown = headers.for_users()
    for macro, proto in headers.unclear:
        tree.finding(macro.path, macro.line, f"{macro.name} takes {len(macro.params)} parameters, "
                     f"{proto.name} {len(proto.params)} (not one more, for the call site): "
                     "write the prototype for the pages inside #ifdef TALEV_DOC")
    home = check_names(tree, pages, headers, shown)
    for page in pages:
        if page.section == "3":
            check_synopsis(tree, page, headers, shown)
    for name, page in home.items():
        if name in shown and name not in {proto.name for proto in page.prototypes}:
            tree.finding(page.path, page.names[name],
                         f"{name} is missing from the SYNOPSIS: `{shown[name]}`"
                         if isinstance(shown[name], header.Prototype) else
                         f"{name} is missing from the SYNOPSIS")
    # The list of exported symbols and this reader of headers watch each other.
    for path in tree.glob("buildtools/abi/talev-*.sigs"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            name = line.partition(":")[0]
            if not line.startswith("#") and name not in headers.functions and home:
                tree.finding(path, number, f"{name} was not found in the public headers")


def programs_of_page(tree, page):
    for block in page.literals:
        raw = "\n".join(line for _, line in block[2])
        if not (example.is_program(raw) or example.is_plugin(raw)):
            continue
        try:
            yield block[0] + 1, mdoc.program(block)
        except mdoc.Unknown as why:
            line, _, text = str(why).partition(": ")
            tree.finding(page.path, line, text)


def programs_of_readme(path):
    text = path.read_text()
    for found in re.finditer(r"^```c\n(.*?)^```$", text, flags=re.S | re.M):
        if example.is_program(found.group(1)) or example.is_plugin(found.group(1)):
            yield text.count("\n", 0, found.start(1)) + 1, found.group(1)


def check_programs(tree, compiler, path, programs):
    printed, ran = "", 0
    for line, text in programs:
        with tempfile.TemporaryDirectory(prefix="talev-example-") as folder:
            built = compiler.compile(text, folder, example.is_plugin(text), path, line)
            if not built:
                return
            if example.is_program(text):
                said = compiler.run(built, path, line)
                if said is None:
                    return
                printed += said
                ran += 1
    wanted = tree.top / "tests/man" / f"{path.stem if path.suffix == '.md' else path.name}.out"
    if wanted.exists() and wanted.read_text() != printed:
        tree.finding(wanted, 1, f"the example on {path.name} printed something else:\n{printed}"
                     if ran else f"{path.name} has no program that could print it")


def check_examples(tree, pages):
    todo = []
    for page in pages:
        programs = list(programs_of_page(tree, page))
        if page.section == "3" and "EXAMPLES" in page.sections and not programs:
            tree.finding(page.path, page.sections["EXAMPLES"], "EXAMPLES must hold a whole "
                         "program (.Bd -literal with int main) or plugin (TALEV_PLUGIN)")
        todo.append((page.path, programs))
    readme = tree.top / "README.md"
    if readme.exists():
        todo.append((readme, list(programs_of_readme(readme))))
    if any(programs for _, programs in todo):
        compiler = example.Compiler(tree)
        for path, programs in todo:
            check_programs(tree, compiler, path, programs)


def check(tree):
    paths = tree.glob("man/*.[1-8]")
    if not paths and not tree.glob("include/talev/*.h"):
        raise house.Skip(f"no pages and no public headers in {tree.top}")
    pages = [mdoc.Page(path) for path in paths]
    lint(tree, pages)
    check_shape(tree, pages)
    check_functions(tree, pages)
    check_examples(tree, pages)


HEADER = """\
struct talev_a; /* A handler. */
typedef void (*talev_a_handler_t)(struct talev_a *a, void *private_data);
__attribute__((format(printf, 1, 2)))
void talev_say(const char *format, ...);
struct talev_a *_talev_add_a(void *ctx, talev_a_handler_t handler, const char *where);
#define talev_add_a(ctx, handler) \\
	_talev_add_a(ctx, handler, #handler)
void *_talev_make(void *ctx, unsigned int size, const char *type, const char *where);
#define talev_make(ctx, type) ((type *)_talev_make(ctx, sizeof(type), #type, __FILE__))
#ifdef TALEV_DOC
type *talev_make(void *ctx, type);
#endif
#define TALEV_TWICE(word) word word
"""
PAGE = r""".Dd January 1, 2024
.Dt TALEV_A 3
.Os
.Sh NAME
.Nm talev_add_a ,
.Nm talev_make ,
.Nm talev_say ,
.Nm TALEV_TWICE
.Nd a page
.Sh SYNOPSIS
.In talev/a.h
.Ft typedef void
.Fn (*talev_a_handler_t) "struct talev_a *a" "void *private_data"
.Ft struct talev_a *
.Fo talev_add_a
.Fa "void *ctx"
.Fa "talev_a_handler_t handler"
.Fc
.Ft type *
.Fn talev_make "void *ctx" type
.Ft void
.Fn talev_say "const char *format" ...
.Fn TALEV_TWICE "word"
.Sh DESCRIPTION
See
.Xr talev_a 3 .
.Sh RETURN VALUES
None.
.Sh THREADS
All.
.Sh EXAMPLES
.Bd -literal
#include <talev/a.h>

int main(void)
{
	talev_say("a line\en");
	return 0;
}
.Ed
.Sh ERRORS
None.
.Sh SEE ALSO
.Xr talloc 3
.Sh HISTORY
First in 0.1.0.
"""


def build_library(tree):
    tree.build.mkdir()
    text = "#include <stdarg.h>\n#include <stdio.h>\nvoid talev_say(const char *format, ...) " \
           "{ va_list ap; va_start(ap, format); vprintf(format, ap); va_end(ap); }\n"
    house.run("gcc", "-xc", "-", "-shared", "-fPIC", "-Wl,-soname,libtalev.so.0", "-o",
              tree.build / "libtalev.so.0.1.0", input=text, check=True)


def self_test(try_tree):
    good = {"include/talev/a.h": HEADER, "man/talev_a.3": PAGE,
            "tests/man/talev_a.3.out": "a line\n",
            "README.md": "# x\n```c\nint main(void) { return 0; }\n```\n"}

    def bad(what, old, new, *expected, path="man/talev_a.3"):
        if old not in good[path]:
            raise house.SelfTestFailed(f"{what}: {path} has no “{old}”")
        try_tree(what, {**good, path: good[path].replace(old, new, 1)}, *expected,
                 prepare=build_library)

    try_tree("good pages", good, prepare=build_library)
    bad("lint", ".Nd a page", ".Nd a page\n.Bogus", "man/talev_a.3:10: mandoc: ")
    bad("no NAME", ".Nm talev_make ,\n", "", "include/talev/a.h:11: talev_make is in the NAME")
    bad("a stranger", ".Nm TALEV_TWICE", ".Nm talev_nil",
        "man/talev_a.3:8: .Nm talev_nil: no public header declares it")
    bad("another prototype", "const char *format", "char *format",
        "man/talev_a.3:22: `void talev_say(char *format, ...)` here, "
        "`void talev_say(const char *format, ...)` at include/talev/a.h:3")
    bad("a wrapped function changed", "talev_a_handler_t handler, ",
        "const void *handler, ", "man/talev_a.3:15: `struct talev_a *talev_add_a(void *ctx, "
        "talev_a_handler_t handler)` here, `struct talev_a *talev_add_a(void *ctx, const void "
        "*handler)` at include/talev/a.h:5", path="include/talev/a.h")
    bad("a macro that hides more", "const char *where);\n#define talev_add_a", "int line, "
        "const char *where);\n#define talev_add_a", "include/talev/a.h:6: talev_add_a takes 2 param",
        path="include/talev/a.h")
    bad("another handler", '"void *private_data"', '"void *data"', "man/talev_a.3:13: `typedef")
    bad("no SYNOPSIS", ".Fn talev_say", ".\\\" talev_say", "talev_say is missing from the SYNOPSIS")
    bad("no header", ".In talev/a.h", ".In talev/b.h", "man/talev_a.3:11: .In talev/b.h: there",
        "talev_say needs .In talev/a.h in this SYNOPSIS")
    bad("no THREADS", ".Sh THREADS\n", "", "man/talev_a.3:1: the section THREADS is missing")
    bad("wrong title", "TALEV_A 3", "TALEV_B 3", "man/talev_a.3:2: the title must be .Dt TALEV_A")
    bad("no such page", ".Xr talev_a 3", ".Xr talev_b 3", ".Xr talev_b 3: there is no such page")
    bad("no program", "int main(", "int other(", "EXAMPLES must hold a whole program")
    bad("does not compile", "return 0;", "return nil;", "man/talev_a.3:38: the example does not c")
    bad("fails", "return 0;", "return 3;", "man/talev_a.3:33: the example exits with 3")
    bad("crashes", "return 0;", "__builtin_trap();", "man/talev_a.3:33: the example dies of SIG")
    bad("prints something else", r"a line\en", r"b line\en", "tests/man/talev_a.3.out:1: the ex")
    bad("a plugin that does not compile", ".Sh ERRORS", ".Bd -literal\nTALEV_PLUGIN(\n.Ed\n"
        ".Sh ERRORS", "man/talev_a.3:42: the example does not compile")
    bad("README", "return 0", "return 1", "README.md:3: the example exits with 1", path="README.md")
    second = PAGE.replace("TALEV_A 3", "TALEV_B 3")
    start = ".Dd January 1, 2024\n.Dt TALEV 7\n.Os\n.Sh NAME\n.Nm talev\n.Nd start\n" \
            ".Sh DESCRIPTION\nSee\n.Xr talev_a 3 .\n"
    try_tree("a map", {**good, "man/talev.7": start}, prepare=build_library)
    try_tree("a map without a page", {**good, "man/talev.7": start.replace("talev_a", "talloc")},
             "man/talev_a.3:1: talev.7, the map of all pages, does not show it",
             prepare=build_library)
    try_tree("two pages", {**good, "man/talev_b.3": second}, "talev_say is already on talev_a.3",
             prepare=build_library)


if __name__ == "__main__":
    house.main(check, self_test)
