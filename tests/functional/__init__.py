"""Drives a running cloud (`make cloud`) with openstacksdk, the `openstack` command and real guests."""
