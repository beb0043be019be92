"""The paper's printed numbers, drawings, curves and the page of a run. Nothing here imports MXNet."""
