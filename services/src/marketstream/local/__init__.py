"""The whole pipeline on one machine, with embedded Kafka, PostgreSQL and Redis in a data directory."""
