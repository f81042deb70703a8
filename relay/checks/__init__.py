"""Is everything there that a run needs? Settings and live systems in, findings out.

- `finding`: one line of the report
- `kafka`: cluster, topics, consumer group, dead-letter topic
- `tracking`: the API, its token and the datamart
- `disk`: where membership events are gathered into files
- `imports`: the bulk imports, where membership events go to them
"""
