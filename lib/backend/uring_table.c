/* SPDX-License-Identifier: BSD-2-Clause */
/* What the uring backend knows of each descriptor. */
#include "backend/uring.h"

struct entry *uring_find_or_make(struct uring_backend *ub, int fd)
{
	struct entry *e = uring_find(ub, fd);
	uint32_t page = (uint32_t)fd / URING_PAGE;

	if (e != NULL)
		return e;
	if (page >= ub->page_count) {
		uint32_t count = ub->page_count > 0 ? ub->page_count : 4;
		struct entry **pages;

		while (count <= page)
			count *= 2;
		pages = talloc_realloc(ub, ub->pages, struct entry *, count);
		if (pages == NULL)
			return NULL;
		for (uint32_t i = ub->page_count; i < count; i++)
			pages[i] = NULL;
		ub->pages = pages;
		ub->page_count = count;
	}
	e = talloc_zero_array(ub->pages, struct entry, URING_PAGE);
	if (e == NULL)
		return NULL;
	ub->pages[page] = e;
	for (uint32_t i = 0; i < URING_PAGE; i++)
		e[i].fd = (int)(page * URING_PAGE + i);
	return uring_find(ub, fd);
}

void uring_place(struct uring_backend *ub, struct entry *e, enum uring_place where)
{
	ub->placed += (where != URING_NONE) - (e->place != URING_NONE);
	if (e->place == URING_MAYBE) {
		TAILQ_REMOVE(&ub->maybe, e, link);
		ub->maybe_count--;
	} else if (e->place == URING_ARM) {
		TAILQ_REMOVE(&ub->arm, e, link);
	}
	e->place = where;
	if (where == URING_MAYBE) {
		TAILQ_INSERT_TAIL(&ub->maybe, e, link);
		ub->maybe_count++;
	} else if (where == URING_ARM) {
		TAILQ_INSERT_TAIL(&ub->arm, e, link);
	}
}

void uring_forget(struct uring_backend *ub, struct entry *e)
{
	uring_place(ub, e, URING_NONE);
	e->events = 0;
	e->serial = 0;
	e->again = false;
	e->news = 0;
}

void uring_each(struct uring_backend *ub, void (*fn)(struct uring_backend *ub, struct entry *e))
{
	for (uint32_t page = 0; page < ub->page_count; page++)
		for (uint32_t i = 0; ub->pages[page] != NULL && i < URING_PAGE; i++)
			if (ub->pages[page][i].events != 0)
				fn(ub, &ub->pages[page][i]);
}
