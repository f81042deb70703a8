"""The road of one event: consuming → decoding → mapping → sending → settling."""
