"""Processes that work together: how they find each other, and notice who is gone."""
