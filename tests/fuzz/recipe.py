"""Bytes that say how a valid file is changed: what Hypothesis shrinks, atheris mutates and a long run draws at random.

The same recipe makes the same file, so a finding is kept as its recipe. Where the bytes of a recipe end, its choices
are 0, which is the mildest change.
"""

import copy
import json

# what a value of a header or a text file is replaced by
HOSTILE = (
    *(None, True, 0, -1, 1, 2**31, 2**63, -(2**63), 2**70, 1e308, -1e308, 1e-320, float("nan"), float("inf")),
    *(
        "",
        " ",
        "\0",
        "x" * 3000,
        "NaN",
        "-1",
        "1e400",
        "../../../etc/passwd",
        "/etc/passwd",
        "..",
        "\u202e\ud7ff\U0001f480",
    ),
    *([], {}, [[]], [{}], {"": None}, {"a": {"a": {"a": []}}}, [0] * 300, [1e308, 1e308], ["a", 1, None], 10**400),
)
TEXTS = (
    b"",
    b"\0" * 16,
    b"-1",
    b"nan",
    b"inf",
    b"1e400",
    b"9" * 400,
    b"\\\\\\\\",
    b"\xff" * 64,
    b"1\\2\\3",
    b"x" * 70000,
)
WHOLE = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
    2**63,
    2**64 - 1,
)
HEAD = 512  # bytes in which most headers lie


class Recipe:
    """Choices out of bytes, one after the other."""

    def __init__(self, content):
        self._content = content
        self._place = 0

    def below(self, limit):
        """A whole number from 0 to ``limit`` - 1."""
        width = 1 if limit <= 256 else 2 if limit <= 65536 else 4
        raw = self._content[self._place : self._place + width]
        self._place += width
        return int.from_bytes(raw, "big") % max(limit, 1)

    def of(self, choices):
        """One of ``choices``."""
        return choices[self.below(len(choices))]

    def bytes(self, count):
        raw = self._content[self._place : self._place + count]
        self._place += count
        return raw.ljust(count, b"\0")


def change_bytes(recipe, content):
    """Up to three changes of bytes, most of them near the beginning."""
    content = bytearray(content)
    for _ in range(1 + recipe.below(3)):
        place = recipe.below(min(len(content), HEAD) if recipe.below(2) else len(content))
        _BYTE_CHANGES[recipe.below(len(_BYTE_CHANGES))](recipe, content, place)
    return bytes(content)


def _flip(recipe, content, place):
    if content:
        content[place] ^= 1 << recipe.below(8)


def _whole_number(recipe, content, place):
    width, order = recipe.of((1, 2, 4, 8)), recipe.of(("little", "big"))
    number = recipe.of(WHOLE) % (1 << (8 * width))
    content[place : place + width] = number.to_bytes(width, order)


def _random(recipe, content, place):
    count = 1 + recipe.below(8)
    content[place : place + count] = recipe.bytes(count)


def _remove(recipe, content, place):
    del content[place : place + 1 + recipe.below(64)]


def _repeat(recipe, content, place):
    piece = content[place : place + 1 + recipe.below(64)]
    content[place:place] = piece * (1 + recipe.below(4))


def _cut(recipe, content, place):
    del content[place:]


def _move(recipe, content, place):
    other, count = recipe.below(len(content)), 1 + recipe.below(64)
    content[place : place + count] = content[other : other + count]


_BYTE_CHANGES = (_flip, _whole_number, _random, _remove, _repeat, _cut, _move)


def change_tree(recipe, tree):
    """Up to three changes of what JSON or YAML hold."""
    tree = copy.deepcopy(tree)
    for _ in range(1 + recipe.below(3)):
        places = list(_places(tree))
        if not places:
            return recipe.of(HOSTILE)
        parent, key = recipe.of(places)
        how = recipe.below(6)
        if how < 3:
            parent[key] = copy.deepcopy(recipe.of(HOSTILE))
        elif how == 3:
            del parent[key]
        elif how == 4:
            other, place = recipe.of(places)
            parent[key] = copy.deepcopy(other[place])
        elif isinstance(parent, list):
            parent.insert(recipe.below(len(parent) + 1), copy.deepcopy(parent[key]))
        else:
            parent[str(recipe.of(HOSTILE))] = parent.pop(key)
    return tree


def _places(tree):
    """(container, key) of each value below the top."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from _places(tree[key])


def change_json(recipe, tree):
    """A JSON text: a changed tree, then now and then nesting or changed bytes."""
    how = recipe.below(8)
    if how == 7:
        return change_bytes(recipe, json.dumps(tree).encode())
    text = json.dumps(change_tree(recipe, tree))
    if how == 6:
        depth = recipe.of((10, 990, 100_000))
        text = text.replace("1", recipe.of(("[", '{"a":')) * depth, 1)
    return text.encode("utf-8", "surrogatepass")
