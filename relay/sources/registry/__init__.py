"""Schemas from a registry with Confluent's API: fetched once by id, compiled, cached.

policy.py      addresses, times and limits
client.py      one look-up over HTTP → the schema's text and those it refers to, or why not
waiting.py     after a look-up: done, or when to ask again; pure
compiling.py   text → a reader of values
protoc.py      .proto text → file descriptors, by the Protobuf compiler
loader.py      the loop around them: `resolve(key)` returns when the cache knows the answer
"""
