"""Which attribute appears from which microversion on: names for the numbers, so that code reads without the history."""

from __future__ import annotations

Version = tuple[int, int]

EXTENDED_ATTRIBUTES: Version = (2, 3)
LOCKED: Version = (2, 9)
HOST_STATUS: Version = (2, 16)
DESCRIPTION: Version = (2, 19)
TAGS: Version = (2, 26)
NO_PROXIES: Version = (2, 36)
EMBEDDED_FLAVOR: Version = (2, 47)
UUIDS_FOR_HOSTS: Version = (2, 53)
FLAVOR_DESCRIPTION: Version = (2, 55)
NO_PERSONALITY: Version = (2, 57)
FLAVOR_EXTRA_SPECS: Version = (2, 61)
TRUSTED_CERTIFICATES: Version = (2, 63)
GROUP_POLICY: Version = (2, 64)
SERVER_GROUPS: Version = (2, 71)
LOCKED_REASON: Version = (2, 73)
UNIFIED: Version = (2, 75)
SLIM_HYPERVISORS: Version = (2, 88)
HOSTNAME: Version = (2, 90)
PINNED_ZONE: Version = (2, 96)
