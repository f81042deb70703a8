"""Dead letters: read them, select some, send them again.

- `stored`: a record of the dead-letter topic → what died, where, why, and how often
- `selection`: which of them are meant: by code, class, time, user, position
- `reading`: the topic from a time to its end, without a consumer group
- `events`: a letter about some of the events of its record → those events
- `search`: all of it: the letters that are meant, to look at, to count, to send again
- `replay`: back to the topic that they came from, at a rate
"""
