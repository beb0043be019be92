"""What the networks are made of: functions from symbols to symbols, their constants, and the targets of a training."""
