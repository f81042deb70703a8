"""Membership events on a topic → `USER_SEGMENT` imports: the second road, fed by Kafka.

In reading order:

- `policy`: what is decided about it, as frozen values
- `mapping`: record → changes of membership, or why not
- `batches`: changes wait by member, are gathered into files, and taken apart when a file fails
- `engine`: joins these decisions and owns all state of the road; does no I/O
- `importer`: under which names files are imported, and after whose files
- `loop`: records in, files out, dead letters and commits; the only place with tasks
- `status`: the engine's state → health, metrics, /status, the line of each interval

It has a consumer group of its own, so that an import that takes an hour holds up no activity.
"""
