"""Deliberate faults, each of which some test must notice: a table, and what applies its entries one at a time."""
