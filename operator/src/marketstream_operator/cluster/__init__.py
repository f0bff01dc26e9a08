"""The observed cluster and the writes to it: projections, claims, pod problems, watches, apply."""
