"""Brokers for tests: Apache Kafka wherever this machine can run it, the embedded one else."""
