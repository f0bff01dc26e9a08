"""Replay of recordings: Binance's public trade dumps as an exchange."""
