"""What the tests and the bench start around the relay. Imports nothing of the relay itself."""
