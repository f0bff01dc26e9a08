"""The operator: a MarketStream resource becomes running producer/processor pairs."""
