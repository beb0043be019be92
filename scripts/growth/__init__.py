"""What scripts/measure_growth.py measures."""
