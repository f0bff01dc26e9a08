"""The HTTP service: candles and live state over REST and WebSocket, and the dashboard."""
