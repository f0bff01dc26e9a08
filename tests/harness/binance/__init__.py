"""An exchange for the tests, on loopback: it speaks Binance's WebSocket and REST, from a recording or from generated
trades, with faults on request. By hand: `python -m tests.harness.binance --help`.

    server.py   one port, both protocols; what a test asks for
    stream.py   the WebSocket side, and rest.py the REST side with limits.py
    faults.py   what goes wrong with the frames of trades
    market.py   one symbol: what has happened so far, and how it can be asked
    sources.py  where the trades come from, and clock.py when they happen
"""
