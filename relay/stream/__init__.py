"""The road of one event: decoding → mapping → sending."""
