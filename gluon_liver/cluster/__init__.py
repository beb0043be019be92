"""Processes of a distributed job: started together, watched, ended together. Nothing here imports MXNet."""
