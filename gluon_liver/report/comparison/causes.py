"""The causes of errors of two arms side by side, as evaluations found them."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np

COUNTED = {"detections": "Detections", "objects": "Objects"}  # keys of errors in results.json -> their name
MISSING = "What went wrong in each run is not known: an older version evaluated {}; evaluate again to see it"


def compared_causes(
    results_a: Sequence[Dict[str, Any]], results_b: Sequence[Dict[str, Any]], names: Sequence[str]
) -> Dict[str, Any]:
    """What comparison.json says of them: counts by cause, means over the runs of an arm.

    Each row is {"of", "cause", "a", "b"}; a cause that neither arm has is left out. missing: why there are none. names:
    of all runs, A's and then B's.
    """
    everything = [*results_a, *results_b]
    older = [name for name, results in zip(names, everything) if not _known(results)]
    if older:
        return {"rows": [], "missing": MISSING.format(" and ".join(dict.fromkeys(older)))}
    settings = [{key: one["errors"].get(key) for key in ("score_threshold", "iou")} for one in everything]
    if any(one != settings[0] for one in settings):
        return {
            "rows": [],
            "missing": "What went wrong was counted at other thresholds in each run; evaluate both again",
        }
    rows: List[Dict[str, Any]] = []
    for of in COUNTED:
        for cause in dict.fromkeys(cause for one in everything for cause in one["errors"][of]):
            sides = [[one["errors"][of].get(cause, 0) for one in arm] for arm in (results_a, results_b)]
            a, b = (float(np.mean(side)) for side in sides)
            if a or b:
                rows.append({"of": of, "cause": cause, "a": round(a, 6), "b": round(b, 6)})
    return {"rows": rows, "missing": None}


def _known(results: Dict[str, Any]) -> bool:
    errors: Optional[Any] = results.get("errors")
    return isinstance(errors, dict) and all(isinstance(errors.get(of), dict) for of in COUNTED)
