#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# TIMEOUT: 60
# usage: tests/samba/ldb.sh    (TEVENT=system: with the system's library)
# The tools of ldb, whose library nests loops: what is added is found.
need="ldbadd ldbsearch ldbmodify ldbdel"
. "$(dirname "$0")/setup"

db=$work/test.ldb
for i in $(seq 200); do
	printf 'dn: cn=user%d,dc=talev\ncn: user%d\nobjectClass: user\ncolour: %s\n\n' "$i" "$i" \
		"$([ $((i % 4)) = 0 ] && echo red || echo blue)"
done >"$work/users"
with ldbadd -H "$db" "$work/users" >"$work/log/ldbadd" 2>&1 || fail "ldbadd"
grep -q 'Added 200 records' "$work/log/ldbadd" || fail "ldbadd added something else"

found() {
	with ldbsearch -H "$db" "$@" cn >"$work/log/ldbsearch" 2>&1 || fail "ldbsearch $*"
	grep -c '^dn: ' "$work/log/ldbsearch"
}
[ "$(found '(colour=red)')" = 50 ] || fail "ldbsearch finds something else"
[ "$(found '(&(colour=blue)(cn=user1*))')" = 84 ] || fail "ldbsearch finds something else"
say "200 records added and found"

printf 'dn: cn=user1,dc=talev\nchangetype: modify\nreplace: colour\ncolour: red\n' >"$work/change"
with ldbmodify -H "$db" "$work/change" >"$work/log/ldbmodify" 2>&1 || fail "ldbmodify"
with ldbdel -H "$db" cn=user4,dc=talev >"$work/log/ldbdel" 2>&1 || fail "ldbdel"
[ "$(found '(colour=red)')" = 50 ] || fail "one more and one less are 50"
say "a record changed, one deleted"

with env LD_DEBUG=libs ldbsearch -H "$db" '(cn=user1)' 2>"$work/libs" >/dev/null
used=$(sed -n 's,.*calling init: \(.*/libtevent\.so.*\),\1,p' "$work/libs" | head -1)
[ -n "$used" ] || fail "ldbsearch has used no libtevent"
case $used in
"${library:-/lib/}"*) say "ldbsearch has used $used" ;;
*) fail "ldbsearch has used $used" ;;
esac
