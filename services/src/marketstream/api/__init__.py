"""The HTTP service: candles and live state as JSON, problems as problem+json, and a document that describes both."""
