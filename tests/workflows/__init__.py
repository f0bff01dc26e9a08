"""Tests of the workflows of GitHub Actions, and what those need of pytest."""
