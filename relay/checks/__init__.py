"""Is everything there that a run needs? Settings and live systems in, findings out.

- `finding`: one line of the report
- `kafka`: cluster, topics, consumer group, dead-letter topic
- `sources`: topics, their formats, and what makes events of them
- `tracking`: the API, its token and the datamart
- `disk`: where membership events are gathered into files
- `imports`: the bulk imports, where membership events go to them
- `segments`: mParticle, S3 and Digital Audience, where the settings name them
"""
