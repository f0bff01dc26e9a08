"""One reconcile of one MarketStream: reconciler, conditions, report, topics, drain, freshness, connections, rollout."""
