"""Clients of the vendors' HTTP APIs, one file each: calls in, frozen values or errors out."""
