"""Tests of the chart and of the images: what Helm renders, and what a real Kubernetes API says to it."""
