"""Live state in Redis: the price, the open and the last closed candle, and the live status of each symbol.

The only package that imports redis.
"""
