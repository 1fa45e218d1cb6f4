#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The #include lines of the tree show its rooms; this reads exactly those lines.

Fails on an arrow between rooms that the table does not have, a neighbour's header that is not
its door, a public header that needs more than it may, a circle of files, a file grown too long.
"""

import re

from check_support import house

# Who may enter whom, as the design page has it. A room may always use its own headers.
BELOW_CORE = {"life", "base"}
BELOW_EVENT = {"core"} | BELOW_CORE
BELOW_REQUEST = {"event"} | BELOW_EVENT
BELOW_WORK = {"thread", "request"} | BELOW_REQUEST
ARROWS = {
    "base": set(),
    "life": {"base"},
    "core": BELOW_CORE,
    "backend": {"core", "base"},
    "event": BELOW_EVENT,
    "front": {"backend", "event"} | BELOW_EVENT,
    "inspect": BELOW_EVENT,
    "thread": BELOW_REQUEST,
    "request": BELOW_REQUEST,
    "work": BELOW_WORK,
    "loops": {"work"} | BELOW_WORK,
    "stream": {"request"} | BELOW_REQUEST,
    "tls": {"stream", "request"} | BELOW_REQUEST,
    "coro": {"request"} | BELOW_REQUEST,
    "http": {"stream", "coro", "request"} | BELOW_REQUEST,
}
# These are users of the library like any other: public headers, and what is their own.
PUBLIC_ONLY = {"tevent", "plugind", "examples", "bench"}
# Where a second allocation for each event would cost more than the event: the queue is compiled into
# libtevent, of the other it uses the functions of libtalev.
PUBLIC_AND = {"tevent": {"base/timerq.h", "event/fd_inside.h"}}

# lib/<room>/<room>.h is the door. These rooms have more, or have it elsewhere.
DOORS = {
    "core": {"core/core.h", "core/source.h", "core/backend.h"},
}
EVERY_HEADER_IS_A_DOOR = {"base"}
# A room that may come in by one door only.
ONLY_DOOR = {("backend", "core"): {"core/backend.h"}}
# The lowest room knows the vocabulary of the public headers, not the library.
PUBLIC_FOR = {"base": {"talev/time.h", "talev/log.h", "talev/histogram.h", "talev/latency.h"}}

# What a public header may need besides <talev/...> and <talloc.h>.
LIBC = {name + ".h" for name in """
    assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign
    stdarg stdbool stddef stdint stdio stdlib stdnoreturn string threads time uchar wchar wctype
    fcntl netdb poll pthread sched strings unistd arpa/inet net/if netinet/in
    sys/epoll sys/resource sys/socket sys/stat sys/time sys/types sys/uio sys/un sys/wait
    """.split()}

LONGEST = 600

INCLUDE = re.compile(r"^\s*#\s*include\b\s*(.*?)\s*$")
SPELT = re.compile(r'^([<"])([^>"]+)[>"]')


def room_of(path):
    """The room that a file of the tree lives in, None for the public headers."""
    parts = path.parts
    if parts[0] == "lib" and len(parts) > 2:
        return parts[1]
    if parts[:2] == ("tests", "bench"):
        return "bench"
    return "examples" if "examples" in parts[:2] else None


def includes(tree, path):
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        spelt = SPELT.match(found.group(1))
        if spelt:
            yield number, spelt.group(1) == "<", spelt.group(2)
        else:
            tree.finding(path, number, "an #include must spell its header, no macro: "
                         "the line shows the room")


def check_public(tree, angle, name):
    """The include line of a header below include/."""
    if not angle:
        return f'"{name}" in a public header: spell it <talev/x.h>'
    if name.startswith("talev/"):
        return None if (tree.top / "include" / name).exists() else f"<{name}> does not exist"
    if name in LIBC or name == "talloc.h":
        return None
    return (f"<{name}> in a public header: only <talev/x.h>, <talloc.h> and libc "
            "(LIBC in check_arrows.py)")


def check_public_from_room(tree, room, name):
    if name == "talev.h":
        if room in PUBLIC_ONLY:
            return None
        return "<talev.h> is for users: name the public headers that this file needs"
    if not (tree.top / "include" / name).exists():
        return f"<{name}> does not exist in include/"
    if name.startswith("tevent/") and room != "tevent":
        return f"<{name}> is for the drop-in alone"
    if room in PUBLIC_FOR and name not in PUBLIC_FOR[room]:
        allowed = " ".join(sorted(f"<{one}>" for one in PUBLIC_FOR[room]))
        return f"<{name}>: {room} knows of the public headers only {allowed}"
    return None


def check_room(tree, room, rooms, angle, name):
    """The include line of a file that lives in a room; what is wrong with it, or None."""
    first, slash, _ = name.partition("/")
    public = first in ("talev", "tevent")
    if angle:
        if name == "talev.h" or (public and slash):
            return check_public_from_room(tree, room, name)
        if slash and first in rooms and (tree.top / "lib" / name).exists():
            return f'<{name}> is a header of a room: spell it "{name}"'
        return None
    if name == "talev.h" or (first == "talev" and slash):
        return f'"{name}" is public: spell it <{name}>'
    if not slash:
        if name in ("config.h", "talev_config.h"):
            return None
        return f'"{name}" does not show its room: spell it "{room}/{name}"'
    if first == room:
        return None
    if first not in rooms:
        return f'"{name}": there is no room lib/{first}'
    if name in PUBLIC_AND.get(room, ()):
        return None
    if room in PUBLIC_ONLY:
        return f'"{name}": {room} uses public headers only, <talev/x.h>'
    if room not in ARROWS:
        return f"the room {room} is not in the table ARROWS of check_arrows.py"
    if first not in ARROWS[room]:
        allowed = " ".join(sorted(ARROWS[room])) or "no room"
        return f'"{name}": {room} may not use {first} (it may use: {allowed})'
    doors = ONLY_DOOR.get((room, first)) or DOORS.get(first, {f"{first}/{first}.h"})
    if first not in EVERY_HEADER_IS_A_DOOR and name not in doors:
        spelt = " or ".join(sorted(f'"{door}"' for door in doors))
        return f'"{name}" is inside {first}: {room} comes in by the door, {spelt}'
    return None


def report_circles(tree, graph):
    """graph: file -> [(line, file)]. One finding for each include that closes a circle."""
    done, trail = set(), []

    def visit(path):
        trail.append(path)
        for number, target in graph.get(path, ()):
            if target in trail:
                circle = [str(tree.rel(one)) for one in trail[trail.index(target):]]
                tree.finding(path, number, "closes a circle of files: "
                             + " -> ".join(circle + [circle[0]]))
            elif target not in done:
                visit(target)
        trail.pop()
        done.add(path)

    for path in sorted(graph):
        if path not in done:
            visit(path)


def check_umbrella(tree):
    path = tree.top / "include/talev.h"
    if not path.exists():
        return
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"),
                  path.read_text(), flags=re.S)
    for number, line in enumerate(text.splitlines(), 1):
        guard = re.match(r"\s*#\s*(ifndef|define|endif|pragma once)\b", line)
        if line.strip() and not INCLUDE.match(line) and not guard:
            tree.finding(path, number, "the umbrella holds #include lines, nothing else")


def check(tree):
    files = tree.glob("include/**/*.h", "lib/**/*.[chS]", "tests/bench/**/*.[ch]",
                      "tests/examples/**/*.[ch]", "examples/**/*.[ch]")
    if not files:
        raise house.Skip(f"no sources in {tree.top}")
    rooms = {path.name for path in tree.glob_dirs("lib")}
    graph = {}
    for path in files:
        room = room_of(tree.rel(path))
        graph[path] = []
        for number, angle, name in includes(tree, path):
            if name.endswith(".c"):
                tree.finding(path, number, f"{name}: a .c file is compiled, never included")
            if room:
                wrong = check_room(tree, room, rooms, angle, name)
            else:
                wrong = check_public(tree, angle, name)
            if wrong:
                tree.finding(path, number, wrong)
            for root in ("include",) if angle else ("lib", "tests", "."):
                target = tree.top / root / name
                if target.is_file():
                    graph[path].append((number, target))
                    break
        count = len(path.read_text(errors="replace").splitlines())
        if count > LONGEST and tree.rel(path).parts[0] in ("include", "lib"):
            tree.finding(path, LONGEST + 1, f"{count} lines: split it before {LONGEST}")
    report_circles(tree, graph)
    check_umbrella(tree)


GOOD = {
    "include/talev.h": "/* all */\n#include <talev/fd.h>\n#include <talev/time.h>\n",
    "include/talev/time.h": "#include <stdint.h>\n",
    "include/talev/fd.h": "#include <talev/time.h>\n#include <talloc.h>\n",
    "lib/base/base.h": "#include <talev/time.h>\n",
    "lib/base/heap.h": "#include <stddef.h>\n",
    "lib/life/life.h": '#include "base/heap.h"\n',
    "lib/core/core.h": '#include "life/life.h"\n#include <talev/fd.h>\n',
    "lib/core/ready.h": "int ready;\n",
    "lib/core/core.c": '#include "core/core.h"\n#include "core/ready.h"\n',
    "lib/core/source.h": "\n",
    "lib/core/backend.h": "\n",
    "lib/backend/backend.h": "\n",
    "lib/backend/poll.c": '#include "backend/backend.h"\n#include "core/backend.h"\n',
    "lib/event/event.h": "\n",
    "lib/event/fd.c": '# include "core/source.h" /* why */\n#include <sys/epoll.h>\n',
    "lib/plugind/plugind.h": "\n",
    "lib/plugind/main.c": '#include <talev.h>\n#include "plugind/plugind.h"\n',
}


def self_test(try_tree):
    def bad(what, path, text, *expected):
        try_tree(what, {**GOOD, path: text}, *[f"{path}:{words}" for words in expected])

    try_tree("a good tree", GOOD)
    bad("an arrow upwards", "lib/core/up.c", '\n#include "event/event.h"\n',
        '2: "event/event.h": core may not use event (it may use: base life)')
    bad("not by the door", "lib/event/in.c", '#include "core/ready.h"\n',
        '1: "core/ready.h" is inside core')
    bad("backend by the wrong door", "lib/backend/x.c", '#include "core/source.h"\n',
        '1: "core/source.h" is inside core: backend comes in by the door, "core/backend.h"')
    bad("a room not shown", "lib/event/x.c", '#include "event.h"\n',
        '1: "event.h" does not show its room: spell it "event/event.h"')
    bad("a public header in quotes", "lib/event/x.c", '#include "talev/fd.h"\n',
        "1: \"talev/fd.h\" is public")
    bad("a room in angles", "lib/event/x.c", "#include <core/core.h>\n",
        '1: <core/core.h> is a header of a room: spell it "core/core.h"')
    bad("no such public header", "lib/event/x.c", "#include <talev/nil.h>\n",
        "1: <talev/nil.h> does not exist")
    bad("base knows too much", "lib/base/x.c", "#include <talev/fd.h>\n", "1: <talev/fd.h>: base")
    bad("the umbrella in a room", "lib/event/x.c", "#include <talev.h>\n", "1: <talev.h> is for")
    bad("plugind inside", "lib/plugind/x.c", '#include "core/core.h"\n', "1: \"core/core.h\": plug")
    bad("a bench inside", "tests/bench/x.c", '#include "core/core.h"\n', "1: \"core/core.h\": bench")
    bad("a room without a row", "lib/attic/x.c", '#include "core/core.h"\n', "1: the room attic")
    bad("a .c file", "lib/core/x.c", '#include "core/core.c"\n', "1: core/core.c: a .c file")
    bad("a macro", "lib/core/x.c", "#include HEADER\n", "1: an #include must spell")
    bad("a public header wants libbsd", "include/talev/x.h", "#include <bsd/sys/queue.h>\n",
        "1: <bsd/sys/queue.h> in a public header")
    bad("a public header wants a room", "include/talev/x.h", '#include "core/core.h"\n',
        '1: "core/core.h" in a public header')
    bad("code in the umbrella", "include/talev.h", "/*\n */\nint x;\n", "3: the umbrella holds")
    bad("a long file", "lib/core/long.c", "\n" * 601, "601: 601 lines")
    bad("a circle", "include/talev/time.h", "#include <talev/fd.h>\n",
        "1: closes a circle of files: include/talev/fd.h -> include/talev/time.h -> ")


if __name__ == "__main__":
    house.main(check, self_test)
