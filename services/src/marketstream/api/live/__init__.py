"""Live updates over WebSocket: subscriptions, snapshots and frames."""
