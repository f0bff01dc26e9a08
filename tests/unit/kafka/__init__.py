"""Tests of the package kafka that need no Kafka."""
