"""Candles and progress in PostgreSQL. The only room that imports asyncpg."""
