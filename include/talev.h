/* SPDX-License-Identifier: BSD-2-Clause */
#include <talev/child.h>
#include <talev/context.h>
#include <talev/fd.h>
#include <talev/finalize.h>
#include <talev/immediate.h>
#include <talev/inspect.h>
#include <talev/log.h>
#include <talev/loop.h>
#include <talev/plugin.h>
#include <talev/proxy.h>
#include <talev/ref.h>
#include <talev/signal.h>
#include <talev/sim.h>
#include <talev/source.h>
#include <talev/time.h>
#include <talev/timer.h>
#include <talev/trace.h>
