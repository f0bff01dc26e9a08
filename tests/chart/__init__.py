"""Tests of the chart and the images: rendered by Helm, and applied to a real Kubernetes API."""
