"""The processor turns trades in Kafka into candles in PostgreSQL and live state in Redis."""
