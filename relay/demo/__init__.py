"""`relay demo`: the production pipeline between an embedded broker and the sandbox, watched."""
