"""The deadlines that keep late writers out, in one place."""

LEASE_SECONDS = 10.0
"""A worker may put for this long after its driver last renewed its lease."""

PUT_DEADLINE = 8.0
"""A put that is not in place after this long is given up; shorter than the lease."""

LATE_WRITE_SECONDS = LEASE_SECONDS + PUT_DEADLINE
"""After this long without a renewal nothing more can arrive from a worker."""

HEARTBEAT_LOCAL = 1.0
HEARTBEAT_REMOTE = 5.0
"""Seconds between two heads."""
