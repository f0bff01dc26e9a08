"""One reconcile of one MarketStream: from its spec and the observed objects to writes and a status."""
