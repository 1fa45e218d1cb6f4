/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_TREE_H
#define PLUGIND_TREE_H

#include <stddef.h>
#include <talloc.h>

/* The talloc tree below root, one line a chunk: name and bytes, indented by depth. Ends with a
 * line that says so where it would get much longer than limit. NULL: ENOMEM. */
char *tree_text(TALLOC_CTX *mem_ctx, const void *root, size_t limit);

#endif
