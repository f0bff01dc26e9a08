"""The pipeline on one machine: embedded Kafka, PostgreSQL and Redis in a data directory, and the run over them."""
