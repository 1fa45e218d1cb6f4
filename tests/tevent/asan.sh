#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 600, PRINTS_TAP
# The points once more, with our library as AddressSanitizer and UBSan see it.
top=$(cd "$(dirname "$0")/../.." && pwd)
asan=$top/build-asan
[ -e "$asan/talev/libtevent.so.0" ] || { echo "there is no libtevent.so.0 in $asan"; exit 77; }
SANITIZE=$asan BACKENDS='standard poll' exec "$top/tests/tevent/points.sh" ours
