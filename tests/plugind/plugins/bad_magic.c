/* SPDX-License-Identifier: BSD-2-Clause */
#include <talev/plugin.h>

extern const char talev_plugin[64];
const char talev_plugin[64] = "something else of that name";
