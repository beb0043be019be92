"""What the papers claim, tested where the mechanism is known to be on or off. See docs/evidence.md."""
