#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 120
# One short pass over all rows of the benchmark: every program runs, all count the same work, and what
# the driver writes can be read.
set -eu

here=$(dirname "$0")
if ! pkg-config --exists tevent libevent_core libevent_pthreads libuv ivykis glib-2.0 ||
	[ ! -e /usr/include/ev.h ]; then
	echo "the peers are not installed: buildtools/bootstrap bench"
	exit 77
fi

BUILD=${TALEV_BUILD:-$here/../../build} "$here/bench.py" --quick --fresh
python3 - "${TALEV_BUILD:-$here/../../build}/tests/bench/quick/bench.json" <<'END'
import json
import sys

rows = json.load(open(sys.argv[1]))['rows']
lost = [id for id, row in rows.items() if row['runs'] and not row['values'].get('talev')
	and not id.endswith(('e', 's'))]
sys.exit('without a figure of talev: %s' % lost if lost else len(rows) < 40)
END
