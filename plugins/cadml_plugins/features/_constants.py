"""Constants of the embedding, one row a slot. Written by ``_calibrate.py``; do not edit."""

from __future__ import annotations

from typing import NamedTuple


class Constant(NamedTuple):
    """Centre and scale of a slot, after ln(1 + x) where it is logarithmic."""

    logarithmic: bool
    centre: float
    scale: float


CONSTANTS = {
    "entity_count": Constant(True, 3.9277, 0.4339),
    "bbox_width": Constant(True, 3.4715, 0.5508),
    "bbox_height": Constant(True, 3.2902, 0.5973),
    "bbox_depth": Constant(True, 1.9277, 0.3726),
    "bbox_volume_estimate": Constant(True, 6.4884, 1.5406),
    "layer_count": Constant(True, 0.6568, 0.0758),
    "complexity_high_flag": Constant(False, 0.1345, 0.0962),
    "norm_width": Constant(False, 0.8371, 0.184),
    "norm_height": Constant(False, 0.7455, 0.1797),
    "norm_depth": Constant(False, 0.3085, 0.1816),
    "width_height_ratio": Constant(True, 0.878, 0.2993),
    "width_depth_ratio": Constant(True, 0.9607, 0.3597),
    "solids_count": Constant(True, 0.5748, 0.2071),
    "facets_count": Constant(True, 1.957, 0.3612),
    "avg_volume_per_entity": Constant(True, 3.6115, 1.2139),
    "solids_ratio": Constant(False, 0.0293, 0.0076),
    "facets_ratio": Constant(False, 0.3333, 1.0),
    "top_kind_freq_1": Constant(False, 0.6615, 0.0769),
    "top_kind_freq_2": Constant(False, 0.1957, 0.0414),
    "top_kind_freq_3": Constant(False, 0.0929, 0.0305),
    "top_kind_freq_4": Constant(False, 0.0184, 0.0159),
    "top_kind_freq_5": Constant(False, 0.0127, 0.0073),
    "surface_count": Constant(True, 3.9197, 0.4413),
    "shape_entropy": Constant(False, 0.6329, 0.1504),
}
