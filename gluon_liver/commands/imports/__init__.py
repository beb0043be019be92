"""What turns recordings and studies of others into data."""
