"""The pure domain: numbers, trades, windows, candles, the ledger of counted ids. No input or output, no clock."""
