"""Constants of the embedding, one row a slot. Written by ``_calibrate.py``; do not edit."""

from __future__ import annotations

from typing import NamedTuple


class Constant(NamedTuple):
    """Centre and scale of a slot, after ln(1 + x) where it is logarithmic."""

    logarithmic: bool
    centre: float
    scale: float


CONSTANTS = {
    "entity_count": Constant(True, 3.9277, 0.473),
    "bbox_width": Constant(True, 3.4715, 0.5559),
    "bbox_height": Constant(True, 3.2902, 0.603),
    "bbox_depth": Constant(True, 1.9277, 0.3759),
    "bbox_volume_estimate": Constant(True, 6.4884, 1.5412),
    "layer_count": Constant(True, 0.6568, 0.0796),
    "complexity_high_flag": Constant(False, 0.1345, 0.1888),
    "norm_width": Constant(False, 0.8371, 0.1884),
    "norm_height": Constant(False, 0.7455, 0.1854),
    "norm_depth": Constant(False, 0.3085, 0.1816),
    "width_height_ratio": Constant(True, 0.878, 0.3038),
    "width_depth_ratio": Constant(True, 0.9607, 0.36),
    "solids_count": Constant(True, 0.5748, 0.2093),
    "facets_count": Constant(True, 1.957, 0.3612),
    "avg_volume_per_entity": Constant(True, 3.6115, 1.2217),
    "solids_ratio": Constant(False, 0.0293, 0.0135),
    "facets_ratio": Constant(False, 0.3333, 1.0),
    "top_kind_freq_1": Constant(False, 0.6574, 0.1025),
    "top_kind_freq_2": Constant(False, 0.198, 0.0768),
    "top_kind_freq_3": Constant(False, 0.0944, 0.0371),
    "top_kind_freq_4": Constant(False, 0.0183, 0.0159),
    "top_kind_freq_5": Constant(False, 0.0129, 0.0099),
    "surface_count": Constant(True, 3.9197, 0.4766),
    "shape_entropy": Constant(False, 0.6399, 0.2136),
}
