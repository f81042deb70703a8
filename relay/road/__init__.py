"""What every road from Kafka has in common: consuming → custody → settling, and the loop."""
