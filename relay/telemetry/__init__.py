"""Facts (typed) → a log line and its metrics, together; health; tracing."""
