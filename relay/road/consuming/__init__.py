"""Kafka in: records to the pipeline, and which partitions to pause."""
