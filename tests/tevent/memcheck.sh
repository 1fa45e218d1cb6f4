#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 600, PRINTS_TAP
# The points once more, with our library under memcheck.
command -v valgrind >/dev/null || { echo "valgrind is not installed"; exit 77; }
VALGRIND=1 BACKENDS=standard exec "$(dirname "$0")/points.sh" ours
