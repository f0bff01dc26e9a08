"""Exchanges behind one contract.

base.py       the contract: the events of a feed, and what an exchange must offer
errors.py     the errors of every exchange
registry.py   the exchange that the settings name
clock.py      time as a parameter
refusals.py   counting and logging of invalid trades
binance/      Binance spot, live
replay/       recordings of trades
simulator/    generated trades
"""
