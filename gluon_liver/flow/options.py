"""What may be chosen of LiteFlowNet, its training and its weights, checked before MXNet is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from gluon_liver.config.schema import Config
from gluon_liver.data.splits import MAX_SEED
from gluon_liver.errors import ConfigError
from gluon_liver.files.typed import above, at_least, at_most, limited, multiple_of, within
from gluon_liver.phantoms.options import PhantomOptions

FLOW_MODEL = "us-flow"
MULTIPLE = 32  # of sides of pictures: level 6 of the network is a 32nd of its input
HELD_OUT_SEED = MAX_SEED  # of the flying shapes; no training may take it, and all are scored on the same pairs


@dataclass(frozen=True)
class FlowTraining(PhantomOptions):
    """Options of :func:`train_flow`.

    width: fraction of the channels. size: side of the training pictures, a multiple of 32. matching_steps: of the
    features alone (:mod:`.feature_matching`), before ``steps`` of the whole network. learning_rate: Adam's; in each of
    the two phases it rises over the first ``warmup`` steps and falls to 0 along half a cosine. clip_norm: largest
    length of all gradients together.
    """

    called = "train-flow:"

    width: float = limited(0.25, above(0) & at_most(1))
    size: int = limited(64, multiple_of(MULTIPLE) & within(64, 1024))
    steps: int = limited(2400, at_least(1))
    matching_steps: int = limited(600, at_least(0))
    batch_size: int = limited(4, at_least(1))
    seed: int = limited(0, within(0, HELD_OUT_SEED - 1))
    learning_rate: float = limited(2e-3, above(0))
    warmup: int = limited(30, at_least(0))
    clip_norm: float = limited(100.0, above(0))
    log_every: int = limited(50, at_least(1))

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of ``step``, from 0, of a phase of ``steps``."""
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.learning_rate * rise * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def check_flow(config: Config, path: Optional[Path]) -> None:
    """Raise :class:`ConfigError` where a network has no flow to set from a file, or needs a file and none is given."""
    if config.model != FLOW_MODEL:
        if path is not None:
            raise ConfigError(f"--flow is for the model {FLOW_MODEL}; the configuration's model is {config.model}")
    elif config.flow.estimate == "zero":
        if path is not None:
            raise ConfigError("--flow is not read with flow.estimate zero, which takes no motion: leave it out")
    elif path is None and not config.flow.train:
        made = "made by convert-flow or train-flow, or flow.train true to learn it"
        raise ConfigError(f"the model {FLOW_MODEL} needs --flow FILE, {made}")
