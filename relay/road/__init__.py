"""What every road from Kafka has in common: consuming → settling."""
