"""What stands on a topic → app events: formats make documents of bytes, mappings events of those.

formats/    record bytes → documents, a file for each format; pure
registry/   schemas from a schema registry, fetched once and cached
mapping/    the mapping language: documents → app events, written in YAML
presets/    mappings for what others' products put on Kafka, as files in that language
"""
