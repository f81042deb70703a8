"""Fates → offsets: frontier, offset map, dead letters."""
