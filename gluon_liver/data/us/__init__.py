"""Ultrasound: recordings, scenes of labelled frames, and the prepared data folder."""
