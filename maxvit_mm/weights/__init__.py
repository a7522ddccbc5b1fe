"""Checkpoints: read safely, recognised, translated, loaded whole. Other rooms import from here.

In reading order:

    archive         checksums, by which damaged files are known
    checkpoint      a stranger's file, read without running code from it
    wrappings       where other people's scripts keep the tensors in it
    whole           files written whole, or not at all
    file            its tensors and what our converter wrote about them, read and written whole
    loading         tensors into a network: every one, or an error that names them
    detector        a whole detector's checkpoint: every tensor accounted for
    translation     another implementation's names and layouts, line by line
    tensorflow, timm, torchvision, own
                    one file for each origin of weights: its names, as such lines
    mmpretrain      a whole classifier under the names of MMPretrain's
    origins         all of them, and how to tell them apart
    architecture    which MaxViT some tensors belong to
    normalization   how the images were normalised that they were trained on
    conversion      released weights into ours, complete or an error
"""

from .architecture import Architecture
from .checkpoint import CheckpointError
from .conversion import Converted, convert, to_mmpretrain, to_timm
from .detector import check_detector, load_detector, refuse_exported
from .file import Weights, read_weights, write_weights
from .loading import load_completely, shorten
from .normalization import IMAGE_SIZES, NORMALIZATIONS
from .origins import recognise
from .translation import COUNTER
from .whole import draft_of, drafts_in

__all__ = [
    "COUNTER",
    "IMAGE_SIZES",
    "NORMALIZATIONS",
    "Architecture",
    "CheckpointError",
    "Converted",
    "Weights",
    "check_detector",
    "convert",
    "draft_of",
    "drafts_in",
    "load_completely",
    "load_detector",
    "read_weights",
    "recognise",
    "refuse_exported",
    "shorten",
    "to_mmpretrain",
    "to_timm",
    "write_weights",
]
