"""`relay dlq`: dead letters listed, counted and sent again."""
