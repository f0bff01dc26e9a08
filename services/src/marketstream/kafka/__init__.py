"""Trades in Kafka, a topic of one partition for each symbol. The only room that imports aiokafka."""
