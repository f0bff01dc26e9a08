"""Find missing trades and fetch them from the exchange's history, in parallel to the live flow, never delaying it."""
