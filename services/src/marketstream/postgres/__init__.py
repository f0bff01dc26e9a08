"""Candles and progress in PostgreSQL. The only package that imports asyncpg."""
