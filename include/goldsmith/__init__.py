"""Goldsmith."""
