/* SPDX-License-Identifier: BSD-2-Clause */
#include <bsd/string.h>
#include <stdbool.h>

#include "plugind/log.h"
#include "plugind/tree.h"

/* A string is named by what is in it. */
#define NAME_MAX_SHOWN 48

struct walk {
	char *text;
	size_t limit;
	bool cut;
};

static void walk_chunk(const void *chunk, int depth, int max_depth, int is_reference, void *data)
{
	struct walk *walk = data;
	char name[NAME_MAX_SHOWN + 1];
	char *more;

	(void)max_depth;
	if (!walk->text || walk->cut)
		return;
	if (talloc_get_size(walk->text) > walk->limit) {
		walk->cut = true;
		more = talloc_asprintf_append_buffer(walk->text, "... and more\n");
	} else {
		strlcpy(name, talloc_get_name(chunk), sizeof(name));
		log_clean(name);
		if (is_reference)
			more = talloc_asprintf_append_buffer(
				walk->text, "%*sreference to %s\n", 2 * depth, "", name);
		else
			more = talloc_asprintf_append_buffer(walk->text, "%*s%s  %zu\n", 2 * depth,
				"", name, talloc_get_size(chunk));
	}
	if (!more)
		talloc_free(walk->text);
	walk->text = more;
}

char *tree_text(TALLOC_CTX *mem_ctx, const void *root, size_t limit)
{
	/* Leaves room for the last line. */
	struct walk walk = {.limit = limit > 256 ? limit - 256 : 0};

	walk.text = talloc_asprintf(mem_ctx, "%zu bytes in %zu chunks\n", talloc_total_size(root),
		talloc_total_blocks(root));
	talloc_report_depth_cb(root, 0, -1, walk_chunk, &walk);
	return walk.text;
}
