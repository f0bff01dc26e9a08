"""The typed MarketStream: spec, status, pods, affinity, validation."""
