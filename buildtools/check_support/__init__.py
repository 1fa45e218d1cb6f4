# SPDX-License-Identifier: BSD-2-Clause
"""What the house checks have in common. Each check is a script check_<thing>.py beside this."""
