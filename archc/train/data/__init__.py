"""Data sets, and what becomes of their images in training.

`load_data` gives a `Dataset`, whose batches are tensors on its device; `Augmentation` says how
those to train on are changed.
"""

from archc.train.data.arrays import Origin
from archc.train.data.augmentation import Augmentation
from archc.train.data.catalogue import load_data
from archc.train.data.dataset import Batch, Dataset

__all__ = ["Augmentation", "Batch", "Dataset", "Origin", "load_data"]
