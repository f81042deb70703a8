"""Measurements, side by side. `make bench` runs them; each module can be run by itself."""
