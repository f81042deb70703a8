"""The production pipeline under virtual time, with a simulated broker and API, and a judge."""
