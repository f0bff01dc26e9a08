"""Tests of the workflows and the files for contributors, and a plugin of pytest for the workflows."""
