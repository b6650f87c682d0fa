"""Spec and manifest become a plan: every node, its layer, its task id and its edges."""
