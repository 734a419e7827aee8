"""Placement: what compute hosts have, and who has claimed how much of it."""
