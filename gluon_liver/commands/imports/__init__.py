"""What turns recordings, studies and checkpoints of others into data and runs."""
