"""A fake Binance on loopback, with both protocols and with faults on request.

Its trades come from a recording or from a generator. To run it by hand: `python -m tests.harness.binance --help`.

    server.py   one port for both protocols, and the faults of connections
    stream.py   the WebSocket side
    rest.py     the REST side
    limits.py   the request weight
    faults.py   the faults of single frames
    market.py   one symbol: its trades so far, and the queries for them
    sources.py  the trades, recorded or generated
    clock.py    the exchange's time
"""
