"""Batches loaded image by image in threads, several batches ahead of the one that is trained on.

Threads, not processes: nearly all of an image's time goes by inside OpenCV, NumPy and zlib, which let other threads
run, and a batch of several phases is too large to be handed from process to process.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Generator, List, Sequence, Tuple

import cv2

from gluon_liver.system.runtime import compute_threads

from .batches import Batch, BatchArrays

MOST_WORKERS = 8  # by default
AHEAD_BYTES, MOST_AHEAD = 2**28, 8  # of batches that are loaded ahead, where that keeps all workers busy

Fill = Callable[[BatchArrays, int, int], None]


def default_workers() -> int:
    """As many threads as MXNet computes with, 8 at most."""
    return min(compute_threads(), MOST_WORKERS)


def load_ahead(
    batches: Sequence[Sequence[int]], *, start: Callable[[int], BatchArrays], fill: Fill, workers: int
) -> Generator[Batch, None, None]:
    """The batches in their order, each image of them loaded by one of ``workers`` threads.

    start: makes the arrays of a batch of so many images. fill: loads the image of a number into a row of them.

    What ``fill`` raises is raised where its batch is due. Close the iterator to end the threads: images that have been
    begun are finished first.
    """
    left = deque(batches)
    coming: Deque[Tuple[BatchArrays, List[Future]]] = deque()
    ahead = 1
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # of an image: images are what is parted among the cores
    pool = ThreadPoolExecutor(workers, thread_name_prefix="load-images")
    try:
        while left or coming:
            while left and len(coming) <= ahead:
                numbers = left.popleft()
                ahead = max(ahead, _keep_busy(len(numbers), workers))
                arrays = start(len(numbers))
                coming.append((arrays, [pool.submit(fill, arrays, *image) for image in enumerate(numbers)]))
            arrays, images = coming[0]
            for image in images:
                image.result()
            coming.popleft()
            batch = arrays.batch()
            ahead = max(_keep_busy(len(batch), workers), min(AHEAD_BYTES // batch.images.nbytes, MOST_AHEAD))
            yield batch
    finally:
        for _, images in coming:
            for image in images:
                image.cancel()
        pool.shutdown()
        cv2.setNumThreads(before)


def _keep_busy(images: int, workers: int) -> int:
    """How many batches of so many images to load ahead, so that no worker rests while the next batch is finished."""
    return -(-workers // images) + 1
