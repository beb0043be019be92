"""Writes CVAT XML 1.1 as CVAT's own exports have it: meta, tracks with every frame or with keyframes alone, images."""

from __future__ import annotations

SIZE = (64, 48)


def box(frame, corners, *, outside=0, occluded=0, keyframe=1, rotation=None):
    x1, y1, x2, y2 = corners
    turn = "" if rotation is None else f' rotation="{rotation:.2f}"'
    return (
        f'    <box frame="{frame}" keyframe="{keyframe}" outside="{outside}" occluded="{occluded}" xtl="{x1:.2f}" '
        f'ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}"{turn} z_order="0">\n'
        '      <attribute name="sure">yes</attribute>\n    </box>'
    )


def track(number, label, shapes):
    body = "\n".join(shapes)
    return f'  <track id="{number}" label="{label}" source="manual">\n{body}\n  </track>'


def video_xml(tracks, *, source="scan.avi", frames=20, start=0, step=1, size=SIZE, meta=""):
    last = start + (frames - 1) * step
    filtered = f"<frame_filter>step={step}</frame_filter>" if step > 1 else "<frame_filter></frame_filter>"
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id>
      <name>liver</name>
      <size>{frames}</size>
      <mode>interpolation</mode>
      <start_frame>{start}</start_frame>
      <stop_frame>{last}</stop_frame>
      {filtered}
      <labels><label><name>tumor</name><color>#ff0000</color></label></labels>
      <original_size><width>{size[0]}</width><height>{size[1]}</height></original_size>
      <source>{source}</source>{meta}
    </task>
    <dumped>2024-01-01 00:00:00+00:00</dumped>
  </meta>
{chr(10).join(tracks)}
</annotations>
"""


def images_xml(images, size=SIZE):
    """images: (name, shapes as text)."""
    entries = [
        f'  <image id="{number}" name="{name}" width="{size[0]}" height="{size[1]}">\n{shapes}\n  </image>'
        for number, (name, shapes) in enumerate(images)
    ]
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    return head + "\n".join(entries) + "\n</annotations>\n"
