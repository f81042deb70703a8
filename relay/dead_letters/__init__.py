"""What lies in the dead-letter topic: read, chosen from, and sent on its way again.

- `buried`: a record of the dead-letter topic → what died, where, why, and how often
- `selection`: which of them are meant: by code, class, time, user, position
- `reading`: the topic from a time to its end, without a consumer group
- `replay`: back to the topic that they came from, at a rate
"""
