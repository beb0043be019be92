"""Whether an exported run computes on this machine's GPU what MXNet computed, and how many images a second.

    python check_onnx_gpu.py DIR

DIR is a folder that `export RUN --onnx` made. Needs numpy and onnxruntime-gpu alone, fetches nothing, and runs without
gluon_liver. Ends with one line that begins with `result:`, and with the exit code 0 where the GPU's detections are
MXNet's, 1 where they are not, 2 for a folder that cannot be used, 3 on a machine whose GPU onnxruntime cannot use.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SAME, OTHER, UNUSABLE, NO_GPU = 0, 1, 2, 3
CUDA = "CUDAExecutionProvider"
SCORE, PIXELS = 1e-3, 0.05  # of differences between float32 on a GPU and on a CPU, whose sums have other orders
INT8_SCORE = 0.05  # of int8 against MXNet's float32, of likely detections; only told
BATCHES = 1, 2, 4, 8, 16
SECONDS = 2.0  # that each batch is timed for at least


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder that export --onnx made")
    parser.add_argument("--gpu", type=int, default=0, metavar="N", help="which GPU (default: 0)")
    args = parser.parse_args()
    try:
        import onnxruntime
    except ImportError:
        return end(NO_GPU, "onnxruntime is not installed: pip install onnxruntime-gpu")
    print(f"onnxruntime {onnxruntime.__version__}, providers: {', '.join(onnxruntime.get_available_providers())}")
    for line in cards():
        print(f"card: {line}")
    try:
        manifest = json.loads((args.folder / "manifest.json").read_text(encoding="utf-8"))
        with np.load(args.folder / "check.npz") as file:
            stored = dict(file)
    except (OSError, ValueError) as error:
        return end(UNUSABLE, f"{args.folder} is no folder of export --onnx with a check.npz: {error}")
    precision = manifest.get("precision", "float32")
    print(f"graphs: {manifest['checkpoint']['name']}, {precision}, opset {manifest.get('opset')}")
    if CUDA not in onnxruntime.get_available_providers():
        return end(NO_GPU, "no GPU was used: this onnxruntime has no CUDA; pip install onnxruntime-gpu in its place")
    if not cards():
        return end(NO_GPU, "no GPU was used: nvidia-smi shows none on this machine")
    session = open_session(onnxruntime, args.folder / "detector.onnx", args.gpu)
    if session is None:
        return end(NO_GPU, "no GPU was used: onnxruntime loaded no CUDA and took the CPU; see its message")
    print(f"provider: {session.get_providers()[0]}, GPU {args.gpu}")
    image = image_of(stored)
    found = dict(zip((one.name for one in session.get_outputs()), session.run(None, feeds(session, image, stored, 1))))
    same = compare(found, stored, precision)
    for batch in BATCHES:
        try:
            rate = images_per_second(session, feeds(session, image, stored, batch))
        except Exception as error:  # onnxruntime's own have no other base
            print(f"batch {batch:2d}: not possible: {(str(error).splitlines() or ['?'])[0]}")
            break
        print(f"batch {batch:2d}: {rate:.2f} images/s")
    if not same:
        return end(OTHER, "the GPU's detections are NOT those that MXNet gave")
    return end(SAME, f"the GPU's detections are those that MXNet gave ({precision})")


def end(code, text):
    """Print the last line."""
    print(f"result: {text}")
    return code


def cards():
    """Name, driver and memory of each GPU as nvidia-smi tells them; none where there is no such program."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode().strip().splitlines() if done.returncode == 0 else []


def open_session(onnxruntime, path, gpu):
    """A session on the GPU; None where onnxruntime took the CPU instead."""
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA's libraries from wheels, where there are some
    # without TensorFloat-32, which keeps 10 bits of each factor
    providers = [(CUDA, {"device_id": str(gpu), "use_tf32": "0"})]
    try:
        session = onnxruntime.InferenceSession(str(path), providers=providers)
    except Exception as error:
        print(f"onnxruntime: {(str(error).splitlines() or ['?'])[0]}")
        return None
    return session if session.get_providers()[0] == CUDA else None


def image_of(stored):
    """The input that check.npz stands for, float32."""
    block, size = int(stored["block"]), int(stored["size"])
    image = stored["coarse"].repeat(block, axis=-1).repeat(block, axis=-2)[..., :size, :size]
    return np.ascontiguousarray(image * stored["scale"] + stored["shift"], dtype=np.float32)


def feeds(session, image, stored, batch):
    """The same image ``batch`` times."""
    inputs = {"image": image, "present": stored.get("present")}
    return {one.name: np.repeat(inputs[one.name], batch, axis=0) for one in session.get_inputs()}


def compare(found, stored, precision):
    """Print how far the detections are from MXNet's, and say whether they are the same."""
    mine, theirs = (detections(one) for one in (found, stored))
    limits = (INT8_SCORE, np.inf) if precision != "float32" else (SCORE, PIXELS)
    left, scores, pixels = list(range(len(theirs))), [0.0], [0.0]
    alone = 0
    for row in mine:
        near = [other for other in left if theirs[other][0] == row[0]]
        apart = [np.abs(theirs[other][2:] - row[2:]).max() for other in near]
        if not near or min(apart) > max(10 * PIXELS, 2.0):
            alone += 1
            continue
        other = near[int(np.argmin(apart))]
        left.remove(other)
        scores.append(abs(theirs[other][1] - row[1]))
        pixels.append(min(apart))
    print(f"detections: {len(mine)} here, {len(theirs)} of MXNet, {alone + len(left)} without a partner")
    print(f"largest differences: score {max(scores):.2g}, corner {max(pixels):.2g} pixels")
    if precision != "float32":
        print(f"int8 graphs are compared with MXNet's float32: scores of {INT8_SCORE:g} apart are usual")
        return bool(np.isfinite(found["check"]).all())
    # boxes whose scores stand at the threshold, or overlap as much as suppression allows, may be in one alone
    few = alone + len(left) <= max(2, len(theirs) // 50)
    return bool(few and max(scores) <= limits[0] and max(pixels) <= limits[1] and np.isfinite(found["check"]).all())


def detections(outputs):
    """(class, score, corners) of the first image."""
    rows = np.concatenate([outputs["classes"][0][:, None], outputs["scores"][0][:, None], outputs["boxes"][0]], axis=1)
    return rows[rows[:, 0] >= 0].astype(np.float64)


def images_per_second(session, inputs):
    """Of at least three runs and SECONDS, after one that does not count."""
    session.run(None, inputs)
    began, runs = time.perf_counter(), 0
    while runs < 3 or time.perf_counter() - began < SECONDS:
        session.run(None, inputs)
        runs += 1
    return runs * len(next(iter(inputs.values()))) / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
