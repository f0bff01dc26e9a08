"""The pure domain: numbers, trades, windows, candles and the ledger of counted ids. No I/O, no clock."""
