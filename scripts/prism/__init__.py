"""Prism measures what compatibility metadata buys a scheduler."""
