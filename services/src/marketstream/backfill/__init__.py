"""Finds what is missing and fetches it from the exchange's history, beside the live flow and never in front of it."""
