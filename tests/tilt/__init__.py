"""Tests of the Tiltfile, run by a Starlark interpreter with stand-ins for Tilt's functions and rules."""
