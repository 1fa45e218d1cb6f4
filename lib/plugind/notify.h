/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PLUGIND_NOTIFY_H
#define PLUGIND_NOTIFY_H

/* Tells whoever started the daemon how it is: one datagram to the socket of NOTIFY_SOCKET, if that
 * is set, as sd_notify(3) does. Any thread. */
void notify_send(const char *state);

#endif
