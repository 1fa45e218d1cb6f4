/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_DETACH_H
#define PLUGIND_DETACH_H

/* Goes on in a child without terminal, in /; the parent stays until detach_ready() was called and
 * exits with 0, or with 1 if the child ends before. Call it before there is any other thread or
 * talev context. -1: logged. */
int detach(void);

/* The daemon serves: lets the parent go and gives up stderr. */
void detach_ready(void);

#endif
