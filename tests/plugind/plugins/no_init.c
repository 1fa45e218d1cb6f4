/* SPDX-License-Identifier: BSD-2-Clause */
#include <talev/plugin.h>

TALEV_PLUGIN("no_init", NULL, NULL);
