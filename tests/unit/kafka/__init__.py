"""Tests of the package streams that need no Kafka."""
