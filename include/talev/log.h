/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TALEV_LOG_H
#define TALEV_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

enum talev_log_level {
	TALEV_LOG_FATAL,   /* misuse; the abort hook is called next */
	TALEV_LOG_ERROR,   /* something did not work and nobody else was told */
	TALEV_LOG_WARNING, /* a mistake of the program that talev worked around */
	TALEV_LOG_INFO,    /* what is worth knowing when one looks for something */
};

/* Gets one line without newline, valid during the call. */
typedef void (*talev_log_fn_t)(enum talev_log_level level, const char *message, void *private_data);

/* Gets the reason, with the locations involved. */
typedef void (*talev_abort_fn_t)(const char *reason);

/* Where messages of the whole process go; NULL puts back the default, which writes everything up
 * to WARNING to stderr. Set it before other threads use talev. */
void talev_set_log_fn(talev_log_fn_t fn, void *private_data);

/* What happens on detected misuse; NULL puts back the default, abort(3). If fn returns, the call
 * that was misused fails with an error. Set it before other threads use talev. */
void talev_set_abort_fn(talev_abort_fn_t fn);

#ifdef __cplusplus
}
#endif

#endif
