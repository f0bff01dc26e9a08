"""Tests of the Tiltfile: a Starlark interpreter reads it; Tilt's functions are played, and its rules kept."""
