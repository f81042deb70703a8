"""Parcels out: lanes, the concurrency limit, verdicts, retries, and the wire."""
