/* SPDX-License-Identifier: BSD-2-Clause */
#include "front/front.h"

#include <errno.h>
#include <string.h>
#include <talev/sim.h>

/* Best first; sim is only for who asks for it. */
static const struct backend_ops *const backends[] = {
	&backend_epoll,
	&backend_poll,
	&backend_sim,
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static const struct backend_ops *find(const char *name)
{
	for (size_t i = 0; i < BACKENDS; i++)
		if (strcmp(backends[i]->name, name) == 0)
			return backends[i];
	errno = EINVAL;
	return NULL;
}

struct talev_context *_talev_context_init(TALLOC_CTX *mem_ctx, const char *where)
{
	return core_context_create(mem_ctx, backends[0], where);
}

struct talev_context *_talev_context_init_byname(
	TALLOC_CTX *mem_ctx, const char *backend, const char *where)
{
	const struct backend_ops *ops = backend != NULL ? find(backend) : backends[0];

	return ops != NULL ? core_context_create(mem_ctx, ops, where) : NULL;
}

struct talev_context *_talev_sim_init(TALLOC_CTX *mem_ctx, uint64_t seed, const char *where)
{
	struct talev_context *ev = core_context_create(mem_ctx, &backend_sim, where);

	if (ev != NULL)
		sim_set_seed(core_get_backend(ev), seed);
	return ev;
}

const char **talev_backend_list(TALLOC_CTX *mem_ctx)
{
	const char **names = talloc_array(mem_ctx, const char *, BACKENDS + 1);

	if (names == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < BACKENDS; i++)
		names[i] = backends[i]->name;
	names[BACKENDS] = NULL;
	return names;
}
