"""The producer publishes the trades of an exchange's feed. It is thin and keeps no state between runs."""
