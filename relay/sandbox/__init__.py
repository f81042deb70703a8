"""Stand-ins for the outside world, over real sockets, with faults on demand.

Imports nothing of the roads.
"""
