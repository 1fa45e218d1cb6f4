/* SPDX-License-Identifier: BSD-2-Clause */
#include "front/front.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <talev/sim.h>

/* Best first; sim is only for who asks for it. */
static const struct backend_ops *const backends[] = {
	&backend_epoll,
#ifdef TALEV_URING
	&backend_uring,
#endif
	&backend_poll,
	&backend_sim,
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

/* By whoever runs the program, who should not have to know how it names its backend. */
static bool uring_forbidden(void)
{
	const char *no = secure_getenv("TALEV_NO_URING");

	return no != NULL && strcmp(no, "") != 0 && strcmp(no, "0") != 0;
}

static bool is_uring(const char *name)
{
	return strcmp(name, "uring") == 0;
}

static bool listed(const struct backend_ops *ops)
{
#ifdef TALEV_URING
	if (ops == &backend_uring)
		return !uring_forbidden() && uring_works();
#endif
	(void)ops;
	return true;
}

static const struct backend_ops *find(const char *name)
{
	if (is_uring(name) && uring_forbidden())
		return backends[0];
	for (size_t i = 0; i < BACKENDS; i++)
		if (strcmp(backends[i]->name, name) == 0)
			return backends[i];
	errno = is_uring(name) ? EOPNOTSUPP : EINVAL;
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
	size_t n = 0;

	if (names == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < BACKENDS; i++)
		if (listed(backends[i]))
			names[n++] = backends[i]->name;
	names[n] = NULL;
	return names;
}
