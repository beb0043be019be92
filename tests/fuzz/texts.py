"""Files that people and tools write: labels, class maps, mapping files, phase files, configurations."""

import json

import yaml

from gluon_liver.config.load import load_config
from gluon_liver.labels.class_map import load_class_map
from gluon_liver.labels.ct import load_label_file
from gluon_liver.labels.image_map import load_image_map
from gluon_liver.labels.source import LabelOptions
from gluon_liver.labels.us import load_source_labels
from gluon_liver.phases.rules import load_phase_rules, match_description

from .harness import Target
from .recipe import HOSTILE, change_bytes, change_json, change_tree

_SEGMENTS = (
    [[1, 2, 10, 2, 10, 12]],
    {"size": [48, 64], "counts": [100, 20, 2952]},
)


def _coco(*images):
    """A label file that is taken as it is."""
    boxes = [
        {"image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 12], "iscrowd": 0},
        {"image_id": 2, "category_id": 2, "bbox": [11.5, 2, 10, 12], "attributes": {"rotation": 30}},
        *({"image_id": 3, "category_id": 1, "segmentation": one} for one in _SEGMENTS),
    ]
    return {
        "images": [{"id": i, "width": 64, "height": 48, **one} for i, one in enumerate(images, 1)],
        "annotations": [{"id": i, **one} for i, one in enumerate(boxes, 1)],
        "categories": [{"id": 1, "name": "cyst"}, {"id": 2, "name": "hcc"}],
        "exhaustive": False,
    }


CT_LABELS = _coco(
    {"sop_instance_uid": "1.2.3"},
    {"study": "1.2", "phase": "arterial", "slice": 3},
    {"file_name": "images/p17/arterial/012.png"},
)
US_LABELS = _coco(
    {"video": "a.avi", "frame": 3, "scene": "1", "patient": "P"},
    {"video": "a.avi", "frame": "4", "scene": 2},
    {"file_name": "clip_0003.png"},
)
CLASSES = {"classes": {"cyst": ["simple cyst"], "hcc": None}, "ignore": ["liver"], "leave_out": ["unclear"]}
PHASES = {
    "order": ["non_contrast", "arterial"],
    "reference": "arterial",
    "series": {"1.2.3": "arterial", "1.2.4 part 2": "non_contrast"},
    "folders": {"*/ART*": "arterial"},
    "patterns": {"arterial": ["art", "a+b?"]},
    "join": True,
}
CONFIG = {
    "BASE": "r50",
    "data": {"window": "liver", "size": 64, "augment": {"noise": 1.0}},
    "network": {"width": 0.125, "rpn": {"anchor_sizes": [16, 24]}, "head": {"dropout": 0.2}},
    "train": {"epochs": 2, "learning_rate": 0.1, "decay_epochs": [1]},
}
YAML = {"class-map": CLASSES, "phase-file": PHASES, "config": CONFIG}
MAP = b"file_name,path,slice,phase\na.png,p/a.dcm,1,arterial\nb.png,p/b.dcm,2,arterial\n"


def _json(tree):
    return lambda recipe: change_json(recipe, tree)


def _yaml(tree):
    plain = yaml.safe_dump(tree, sort_keys=False)

    def build(recipe):
        how = recipe.below(8)
        if how == 7:
            return change_bytes(recipe, plain.encode())
        text = yaml.safe_dump(change_tree(recipe, tree), sort_keys=False)
        if how == 6:
            text = (
                "a: &a [x, x]\nb: &b "
                + recipe.of(("[*a, *a]", "[*b]", "{*a : 1}", "*c", "!!python/name:os.system"))
                + "\n"
                + text
            )
        return text.encode("utf-8", "surrogatepass")

    return build


def _map(recipe):
    if recipe.below(2):
        rows = [line.split(b",") for line in MAP.splitlines()]
        recipe.of(rows)[recipe.below(4)] = str(recipe.of(HOSTILE)).encode("utf-8", "surrogatepass")
        return b"\n".join(b",".join(row) for row in rows)
    return change_bytes(recipe, MAP)


def _reads(reader, name):
    def read(content, folder):
        path = folder / name
        path.write_bytes(content)
        return reader(str(path))

    return read


def _phases(path):
    match_description("ARTERIAL aab", load_phase_rules(path))


def _ct_labels(path):
    load_label_file(path, options=LabelOptions(crowd="as-lesion"))


UNCHANGED = {
    "labels-ct": json.dumps(CT_LABELS).encode(),
    "labels-us": json.dumps(US_LABELS).encode(),
    "image-map": MAP,
    **{name: yaml.safe_dump(tree).encode() for name, tree in YAML.items()},
}
TARGETS = [
    Target("labels-ct", _json(CT_LABELS), _reads(_ct_labels, "l.json")),
    Target("labels-us", _json(US_LABELS), _reads(load_source_labels, "l.json")),
    Target("class-map", _yaml(CLASSES), _reads(load_class_map, "c.yaml")),
    Target("image-map", _map, _reads(lambda path: load_image_map(path, ("path", "slice", "phase")), "m.csv")),
    Target("phase-file", _yaml(PHASES), _reads(_phases, "p.yaml")),
    Target("config", _yaml(CONFIG), _reads(load_config, "c.yaml")),
]
