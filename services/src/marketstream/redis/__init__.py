"""Live state in Redis: the price, the open and the last closed candle, and how fresh they are. The only room that
imports redis."""
