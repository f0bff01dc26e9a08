"""Trades in, exact candles out."""
