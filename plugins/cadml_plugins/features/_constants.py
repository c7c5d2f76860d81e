"""Constants of the embedding, one row a slot. Written by ``_calibrate.py``; do not edit."""

from __future__ import annotations

from typing import NamedTuple


class Constant(NamedTuple):
    """Centre and scale of a slot, after ln(1 + x) where it is logarithmic."""

    logarithmic: bool
    centre: float
    scale: float


CONSTANTS = {
    "entity_count": Constant(True, 0.0, 1.0),
    "bbox_width": Constant(True, 0.0, 1.0),
    "bbox_height": Constant(True, 0.0, 1.0),
    "bbox_depth": Constant(True, 0.0, 1.0),
    "bbox_volume_estimate": Constant(True, 0.0, 1.0),
    "layer_count": Constant(True, 0.0, 1.0),
    "complexity_high_flag": Constant(False, 0.0, 1.0),
    "norm_width": Constant(False, 0.0, 1.0),
    "norm_height": Constant(False, 0.0, 1.0),
    "norm_depth": Constant(False, 0.0, 1.0),
    "width_height_ratio": Constant(True, 0.0, 1.0),
    "width_depth_ratio": Constant(True, 0.0, 1.0),
    "solids_count": Constant(True, 0.0, 1.0),
    "facets_count": Constant(True, 0.0, 1.0),
    "avg_volume_per_entity": Constant(True, 0.0, 1.0),
    "solids_ratio": Constant(False, 0.0, 1.0),
    "facets_ratio": Constant(False, 0.0, 1.0),
    "top_kind_freq_1": Constant(False, 0.0, 1.0),
    "top_kind_freq_2": Constant(False, 0.0, 1.0),
    "top_kind_freq_3": Constant(False, 0.0, 1.0),
    "top_kind_freq_4": Constant(False, 0.0, 1.0),
    "top_kind_freq_5": Constant(False, 0.0, 1.0),
    "surface_count": Constant(True, 0.0, 1.0),
    "shape_entropy": Constant(False, 0.0, 1.0),
}
