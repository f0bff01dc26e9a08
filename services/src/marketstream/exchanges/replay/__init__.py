"""Binance's public trade dumps, replayed as an exchange."""
