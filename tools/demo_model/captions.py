"""What is in a scene, in words."""

from __future__ import annotations

from random import Random

from scenes import Scene, Shape

OPPOSITES = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def caption(scene: Scene, random: Random) -> str:
    """What is in a scene, in words; now and then something is left out, or only one word is said."""
    if scene.shapes and random.random() < 0.02:
        shape = random.choice(scene.shapes)
        return random.choice((shape.colour, shape.kind, f"{shape.colour} {shape.kind}"))
    background = _background_words(scene)
    if not scene.shapes:
        return background
    words = [_shape_words(shape, random) for shape in scene.shapes]
    if len(words) == 1:
        text = words[0]
        if scene.position is not None and (scene.position != "in the center" or random.random() < 0.3):
            text += f" {scene.position}"
    else:
        text = _joined(words, scene.relation, random)
    if random.random() < 0.12:
        return text
    return f"{text}, {background}" if random.random() < 0.1 else f"{text} on {background}"


def full_caption(scene: Scene) -> str:
    """All of a scene, in the most usual words."""
    parts = []
    for shape in scene.shapes:
        size = "" if shape.size == "medium" else f"{shape.size} "
        parts.append(_with_article(f"{size}{shape.colour} {shape.kind}"))
    text = f" {scene.relation or 'and'} ".join(parts)
    if scene.position not in (None, "in the center"):
        text += f" {scene.position}"
    background = _background_words(scene)
    return f"{text} on {background}" if text else background


def _with_article(words: str) -> str:
    return f"an {words}" if words.startswith("o") else f"a {words}"


def _shape_words(shape: Shape, random: Random) -> str:
    colour = "" if random.random() < 0.05 else f"{shape.colour} "
    kind = "shape" if random.random() < 0.03 else shape.kind
    size = "" if shape.size == "medium" else f"{shape.size} "
    words = f"{size}{colour}{kind}"
    return words if random.random() < 0.15 else _with_article(words)


def _background_words(scene: Scene) -> str:
    pattern = "" if scene.pattern == "plain" else f"{scene.pattern} "
    return _with_article(f"{pattern}{scene.background} background")


def _joined(words: list[str], relation: str | None, random: Random) -> str:
    first, second = words
    if relation is None or random.random() < 0.06:
        return f"{first} and {second}"
    if random.random() < 0.25:  # the same, seen from the other side
        first, second, relation = second, first, OPPOSITES[relation]
    if relation in ("left of", "right of") and random.random() < 0.3:
        relation = f"to the {relation}"
    return f"{first} {relation} {second}"
