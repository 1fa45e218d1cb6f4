/* SPDX-License-Identifier: BSD-2-Clause */
#include <tevent/tevent.h>

#define MILLION 1000000

int tevent_timeval_compare(const struct timeval *tv1, const struct timeval *tv2)
{
	if (tv1->tv_sec != tv2->tv_sec)
		return tv1->tv_sec < tv2->tv_sec ? -1 : 1;
	if (tv1->tv_usec != tv2->tv_usec)
		return tv1->tv_usec < tv2->tv_usec ? -1 : 1;
	return 0;
}

struct timeval tevent_timeval_set(uint32_t secs, uint32_t usecs)
{
	return (struct timeval){.tv_sec = secs, .tv_usec = usecs};
}

struct timeval tevent_timeval_zero(void)
{
	return tevent_timeval_set(0, 0);
}

bool tevent_timeval_is_zero(const struct timeval *tv)
{
	return tv->tv_sec == 0 && tv->tv_usec == 0;
}

struct timeval tevent_timeval_current(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return now;
}

struct timeval tevent_timeval_until(const struct timeval *tv1, const struct timeval *tv2)
{
	struct timeval span;

	if (tevent_timeval_compare(tv1, tv2) >= 0)
		return tevent_timeval_zero();
	span.tv_sec = tv2->tv_sec - tv1->tv_sec;
	span.tv_usec = tv2->tv_usec - tv1->tv_usec;
	if (span.tv_usec < 0) {
		span.tv_sec--;
		span.tv_usec += MILLION;
	}
	return span;
}

struct timeval tevent_timeval_add(const struct timeval *tv, uint32_t secs, uint32_t usecs)
{
	struct timeval sum = *tv;

	sum.tv_sec += secs;
	sum.tv_usec += usecs;
	sum.tv_sec += sum.tv_usec / MILLION;
	sum.tv_usec %= MILLION;
	return sum;
}

struct timeval tevent_timeval_current_ofs(uint32_t secs, uint32_t usecs)
{
	struct timeval now = tevent_timeval_current();

	return tevent_timeval_add(&now, secs, usecs);
}
