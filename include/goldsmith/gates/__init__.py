"""Verdicts between the layers."""
