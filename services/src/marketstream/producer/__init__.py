"""The producer: publishes what an exchange's feed brings. It is thin and keeps no state between runs."""
