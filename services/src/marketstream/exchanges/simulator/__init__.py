"""Generated trades of any symbol, as a pure function of seed and time."""
