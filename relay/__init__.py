"""App events from Kafka to the mediarithmics tracking API: each user in order, nothing lost."""

__version__ = "0.1.0"
