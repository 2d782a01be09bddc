"""Masked means, contrast, and the two enhancers."""
