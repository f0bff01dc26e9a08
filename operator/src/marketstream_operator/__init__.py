"""The operator: runs a pair of a producer and a processor for the symbols of each MarketStream."""
