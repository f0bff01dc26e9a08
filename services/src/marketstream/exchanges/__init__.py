"""Exchanges behind one contract (base.py): a replay of recordings, a simulator, and the real ones."""
