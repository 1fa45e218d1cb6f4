/* SPDX-License-Identifier: BSD-2-Clause */
/* The profile, inside the room. */
#ifndef REQUEST_PROFILE_H
#define REQUEST_PROFILE_H

#include "request/req.h"

TAILQ_HEAD(profile_list, talev_req_profile);

struct talev_req_profile {
	struct talev_req *req; /* NULL once it has gone */
	struct talev_req_profile *above;
	TAILQ_ENTRY(talev_req_profile) link; /* among those of above, in the order of creation */
	struct profile_list below;
	struct talev_req_profile_info info;
};

#endif
