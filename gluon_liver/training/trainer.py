"""The network, its optimiser and one update of both, on one device or several, in one process or several.

A step's images are parted evenly among the workers, then among the parts of an accumulated step, then among the
devices of the process. Every loss is a mean over what is sampled of one image, random numbers belong to the image
(:mod:`gluon_liver.nn.random_numbers`), and gradients are summed over all and divided by the images of the whole step:
with frozen BatchNorm it does not matter how the step was parted. Live BatchNorm sees the images of one device alone;
its running statistics are averaged where they are saved or scored.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Generator, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.contrib import amp

from gluon_liver.config.schema import Config
from gluon_liver.errors import TrainingError
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.losses import detection_losses
from gluon_liver.nn.nets import TrainingNet, TrainingOutputs

from .batches import Batch
from .distributed import ALONE, Worker, even_parts
from .mirror import BoundNet
from .mixed_precision import cast_operators, in_float32
from .staging import Share, StagedBatch, Staging
from .step_counts import StepCounts, count_step

NETWORK_INPUTS = ("images", "gt_boxes", "gt_labels", "random_numbers")  # fields of Batch, in the network's order
LOSS_TARGETS = ("rpn_labels", "rpn_targets")


class DetectorTrainer:
    """A detector that learns.

    contexts: the devices of this process, one image or more of each part on each.
    worker: this process among those that train together.
    """

    def __init__(
        self,
        config: Config,
        *,
        classes: Sequence[str],
        phases: int = 1,
        contexts: Sequence[mx.Context],
        worker: Worker = ALONE,
        schedule: Optional[mx.lr_scheduler.LRScheduler] = None,
    ):
        mx.random.seed(config.train.seed)
        if config.parallel.amp:
            cast_operators()
        self.config, self.contexts, self.worker = config, list(contexts), worker
        self.step_count = 0
        self.counts = StepCounts()  # of the last step, sums over all workers
        self._averaged = 0  # the step after which running statistics were
        self.detector = make_detector(config, classes=classes, phases=phases, context=self.contexts)
        self.anchors = self.detector.anchors()
        self._inputs = NETWORK_INPUTS + (("present",) if self.detector.phases > 1 else ())
        fields = self._inputs + LOSS_TARGETS
        self.staging = Staging(self.contexts, accumulate=config.parallel.accumulate, fields=fields)
        self._nets: Dict[int, TrainingNet] = {}
        self._bound: Dict[Tuple[int, mx.Context], BoundNet] = {}
        self._learned = [p for p in self.detector.collect_learned().values() if p.grad_req != "null"]
        if config.parallel.accumulate > 1:
            for parameter in self._learned:
                parameter.grad_req = "add"
        options: Dict[str, Any] = {"wd": config.train.weight_decay}
        if config.train.optimizer == "sgd":
            options["momentum"] = config.train.momentum
        if schedule is not None:
            options["lr_scheduler"] = schedule
        kvstore = worker.trainer_options(config.parallel)
        self.optimizer = gluon.Trainer(self._learned, config.train.optimizer, options, **kvstore)
        if config.parallel.amp:
            amp.init_trainer(self.optimizer)

    def share(self, indices: Sequence[int]) -> List[int]:
        """Those of a step's images that this worker takes."""
        return even_parts(indices, self.worker.count)[self.worker.rank]

    def ahead(self, batches: Iterable[Batch]) -> Generator[StagedBatch, None, None]:
        """The batches for :meth:`step`, on GPUs the next one on its way while one is trained on."""
        return self.staging.ahead(batches)

    def step(self, batch: Union[Batch, StagedBatch], *, learning_rate: float) -> Dict[str, float]:
        """One update from this worker's images; returns the losses, means over the images of all workers.

        Raises :class:`TrainingError`, in all workers and before the update, when a loss or the gradient is not finite.
        """
        self._share_parameters()
        losses, counts = self._gradients(batch if isinstance(batch, StagedBatch) else self.staging.stage(batch))
        if self.worker.updates_on_server:
            self._require_finite(losses, 0.0)
            self.optimizer.step(1)
        else:
            self.optimizer.allreduce_grads()
            together = self.worker.total({**losses, **counts})  # one message for both
            losses, counts = ({name: together[name] for name in own} for own in (losses, counts))
            self._require_finite(losses, self._clip())
            self.optimizer.set_learning_rate(learning_rate)
            self.optimizer.update(1)  # gradients are those of a mean over images already
        if self.config.parallel.accumulate > 1:
            for parameter in self._learned:
                parameter.zero_grad()
        self.step_count += 1
        self.counts = StepCounts(**counts)
        return losses

    def average_statistics(self) -> None:
        """Give all devices of all workers the mean of their running statistics; each worker must call it.

        Live BatchNorm makes those of a device from its own images, and training does not read them: what is scored and
        saved must be the same whichever device it is taken from.
        """
        devices = len(self.contexts) * self.worker.count
        if self.config.network.batch_norm != "live" or devices == 1 or self._averaged == self.step_count:
            return
        learned = self.detector.collect_learned().items()
        statistics = [one for name, one in learned if name.endswith(("running_mean", "running_var"))]
        mx.nd.waitall()  # they change in the backward pass
        sums = [np.sum([data.asnumpy() for data in one.list_data()], axis=0, dtype="float64") for one in statistics]
        means = self.worker.total_of(np.concatenate([array.ravel() for array in sums])) / devices
        for one, mean in zip(statistics, np.split(means, np.cumsum([array.size for array in sums])[:-1])):
            one.set_data(mx.nd.array(mean.reshape(one.shape)))
        self._averaged = self.step_count

    def _share_parameters(self) -> None:
        """Give the parameters to the KVStore and wait until all devices have them from there, before the first step.

        Trainer does so by itself, without waiting: on a busy machine a server may get this worker's request for a
        parameter after all gradients, and answer with their sum, which then is the parameter.
        """
        if not self.optimizer._kv_initialized:
            self.optimizer._init_kvstore()
        if self.optimizer._params_to_init:
            self.optimizer._init_params()
            mx.nd.waitall()

    def _gradients(self, batch: StagedBatch) -> Tuple[Dict[str, float], Dict[str, float]]:
        """Leave the gradients of this worker's images on its devices; returns its share of the losses, and its counts.

        To read them is to wait for the forward pass; the backward pass is queued by then.
        """
        images = self.config.train.batch_size
        losses_by_name: Dict[str, List[mx.nd.NDArray]] = {}
        covered, classes = [], []
        for parts in batch.parts:
            totals, bound = [], []
            with autograd.record():
                for context, part in zip(self.contexts, parts):
                    outputs, losses, net = self._forward(part, context)
                    covered.append(outputs.covered)
                    classes.append(outputs.class_targets)
                    for name, values in losses.items():
                        losses_by_name.setdefault(name, []).append(values)
                    totals.append(mx.nd.add_n(*losses.values()).sum() / images)
                    bound.append(net)
                self._backward(totals)
            for net in filter(None, bound):
                net.backward()
        values = {
            name: float(sum(one.asnumpy().sum(dtype="float64") for one in parts)) / images
            for name, parts in losses_by_name.items()
        }
        counts = count_step(batch.batch, *(np.concatenate([one.asnumpy() for one in of]) for of in (covered, classes)))
        return dict(values, total=sum(values.values())), vars(counts)

    def _backward(self, totals: List[mx.nd.NDArray]) -> None:
        if self.config.parallel.amp:
            with amp.scale_loss(totals, self.optimizer) as scaled:
                autograd.backward(scaled)
        else:
            autograd.backward(totals)

    def _forward(
        self, share: Share, context: mx.Context
    ) -> Tuple[TrainingOutputs, Mapping[str, mx.nd.NDArray], Optional[BoundNet]]:
        arrays = share.take()
        inputs, targets = ([arrays[name] for name in names] for names in (self._inputs, LOSS_TARGETS))
        net, bound, mirror = self._net(len(share)), None, self.config.train.mirror
        if mirror or context.device_type == "cpu":
            key = len(share), context
            bound = self._bound.setdefault(key, BoundNet(net, context=context, mirror=mirror))
        outputs = (bound or net)(*inputs)
        return outputs, detection_losses(in_float32(outputs), *targets), bound

    def _net(self, size: int) -> TrainingNet:
        """The training graph for a number of images on a device; the parameters are the same in all."""
        if size not in self._nets:
            net = TrainingNet(self.detector, batch_size=size)
            net.targets.initialize(ctx=self.contexts)
            net.hybridize(static_alloc=True, static_shape=True)
            self._nets[size] = net
        return self._nets[size]

    def _clip(self) -> float:
        """Scale the gradient, on all devices, to ``train.clip_norm`` at most; returns its length before."""
        if self.config.parallel.amp:
            return 0.0  # not finite in steps that the loss scaler leaves out
        gradients = [parameter.grad(self.contexts[0]) for parameter in self._learned]
        squares = mx.nd.multi_sum_sq(*gradients, num_arrays=len(gradients)).asnumpy()
        norm, limit = math.sqrt(float(squares.sum(dtype="float64"))), self.config.train.clip_norm
        if limit is not None and limit < norm < math.inf:
            for parameter in self._learned:
                for gradient in parameter.list_grad():
                    gradient *= limit / norm
        return norm

    def _require_finite(self, losses: Mapping[str, float], norm: float) -> None:
        broken = ["the loss " + name for name, value in losses.items() if not math.isfinite(value) and name != "total"]
        if not math.isfinite(norm):
            broken.append("the gradient")
        if broken:
            what = " and ".join(broken) + (" is" if len(broken) == 1 else " are") + " not finite; nothing was updated"
            raise TrainingError(f"step {self.step_count + 1}: {what}. Lower train.learning_rate{self._or_clip()}")

    def _or_clip(self) -> str:
        """The other remedy, where it is not taken already and may be."""
        parallel = self.config.parallel
        taken = self.config.train.clip_norm is not None or parallel.amp or parallel.kvstore == "dist_async"
        return "" if taken else " or set train.clip_norm"
