"""Binance spot: the live feed over WebSocket, the history over REST.

What is said here of the protocol is from Binance's public documentation, "Binance Spot API": its chapters WebSocket
Streams, REST API and Error Codes. Wherever a module relies on a rule of it, the module names the chapter.
"""
