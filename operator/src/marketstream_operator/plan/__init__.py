"""Pure planning: which pairs, which objects, which environment."""
