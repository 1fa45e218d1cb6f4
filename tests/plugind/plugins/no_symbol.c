/* SPDX-License-Identifier: BSD-2-Clause */
#include <talev/plugin.h>

extern const int talev_plugin_misspelt;
const int talev_plugin_misspelt = 1;
