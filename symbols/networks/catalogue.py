"""All networks by name, and the one that a configuration is of."""

from __future__ import division

from .ct import knobs
from .r50 import R50
from .r50_2_5d import R50Slices
from .r50_multimodal import R50MultiModal
from .r101 import R101
from .r101_fusion import R101Fusion
from .r101_multimodal import R101MultiModal
from .us_faster_rcnn import USFasterRCNN
from .us_flow import USFlow

CT_NETWORKS = {
    "r50": R50,
    "r101": R101,
    "r50-2.5d": R50Slices,
    "r101-fusion": R101Fusion,
    "r50-multimodal": R50MultiModal,
    "r101-multimodal": R101MultiModal,
}
US_NETWORKS = {"us-faster-rcnn": USFasterRCNN, "us-flow": USFlow}
NETWORKS = dict(CT_NETWORKS, **US_NETWORKS)


def network_of(config):
    """The network of a configuration; ValueError for a combination that is no row of Table 4, and for GroupNorm."""
    if config["network"]["batch_norm"] == "group":
        raise ValueError("network.batch_norm is 'group': MXNet 1.0 has no GroupNorm, symbols/ has live and frozen")
    if config["model"] in US_NETWORKS:
        return US_NETWORKS[config["model"]]()
    for network in CT_NETWORKS.values():
        if network().fits(config):
            return network()
    raise ValueError(
        "no network has (depth, several slices, fusion, multi_modal) = {}: symbols/ has those of Table 4".format(
            knobs(config)
        )
    )
