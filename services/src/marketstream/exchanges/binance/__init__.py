"""Binance spot: the live feed over WebSocket, the history over REST.

All statements about the protocol come from Binance's public documentation, "Binance Spot API", chapters WebSocket
Streams, REST API and Error Codes. A module that relies on a rule of the protocol names the chapter.
"""
