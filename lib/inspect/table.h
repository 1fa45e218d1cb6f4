/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables for people: a heading, rows, and columns as wide as what is in them. */
#ifndef INSPECT_TABLE_H
#define INSPECT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <talev/time.h>
#include "base/out.h"

#define TABLE_COLUMNS 12

struct table {
	const char **cells; /* the first row is the heading; below it, all text that was made */
	size_t rows;
	unsigned columns;
	unsigned right;  /* bits of columns: numbers */
	unsigned hidden; /* bits of columns */
	bool failed;
};

/* With room for so many rows besides the heading. right: as above. */
void table_init(struct table *table, TALLOC_CTX *mem_ctx, const char *const *heading,
	unsigned columns, unsigned right, size_t rows);
/* A row, empty; NULL: no memory. */
const char **table_row(struct table *table);
/* text, or if it could not be made "", and the table has failed. */
const char *table_text(struct table *table, const char *text);
/* Writes the table, and frees it. */
void table_put(struct out *out, struct table *table);

/* Below the table. */
const char *table_number(struct table *table, uint64_t number);
/* t >= 0, cut to what a reader takes in at a glance. */
const char *table_duration(struct table *table, talev_time_t t);
/* Names come from anywhere; a terminal must not take them for commands. */
const char *table_name(struct table *table, const char *name);

/* The same, for who has no table. NULL: ENOMEM. */
char *inspect_duration(TALLOC_CTX *mem_ctx, talev_time_t t);
char *inspect_printable(TALLOC_CTX *mem_ctx, const char *string);

#endif
