"""Synthetic studies with known lesions."""
