"""Trades in Kafka, a topic of one partition for each symbol. The only package that imports aiokafka."""
