/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that is to run on a backend that cannot be here has nothing to say, and says why. */
#include "support/support.h"
#include <stdio.h>

#define SKIP 77

static bool is_here(const char *backend)
{
	const char **names = talev_backend_list(NULL);
	bool found = false;

	for (int i = 0; names && names[i]; i++)
		found = found || strcmp(names[i], backend) == 0;
	talloc_free(names);
	return found;
}

__attribute__((constructor)) static void skip_without_backend(void)
{
	struct talev_context *ev;
	const char *backend = test_backend();

	if (is_here(backend))
		return;
	ev = talev_context_init_byname(NULL, backend);
	printf("no backend %s in this build, or on this kernel: %s\n", backend,
		ev ? "forbidden" : strerror(errno));
	fflush(stdout);
	_exit(SKIP);
}
