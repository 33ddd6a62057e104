"""Images of a data set as a picture."""

import io
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from archc.train.data import Dataset

_SCALE = 2
_GAP = 4


def grid_png(data: Dataset, split: str, rows: Sequence[Tensor]) -> bytes:
    """Rows of images, by their numbers, as PNG."""
    images = data.split(split)
    lines = []
    for numbers in rows:
        (found,) = images.read([numbers], None, (0, 0))
        bright = (found.cpu() * (255 / max(1, int(found.max())))).to(torch.uint8)
        padded = torch.nn.functional.pad(bright, (0, _GAP, 0, _GAP), value=255)
        lines.append(torch.cat(list(padded), 2))
    grid = torch.cat(lines, 1).expand(3, -1, -1).permute(1, 2, 0)
    picture = Image.fromarray(grid.contiguous().numpy())
    large = picture.resize(
        (picture.width * _SCALE, picture.height * _SCALE), Image.Resampling.NEAREST
    )
    content = io.BytesIO()
    large.save(content, "PNG")
    return content.getvalue()
