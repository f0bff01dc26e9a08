"""From trades in Kafka to candles in PostgreSQL and live state in Redis."""
