"""Compute: flavors, key pairs, servers and their life on hosts."""
