"""Two processes that train as one have its losses: whole runs by torchrun, and parts by themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from aulib import distributed
from aulib.batches import take_batch
from tiny import SIZE, tiny_faces
from trained_together import CASES, STEPS, train

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """What two processes wrote that torchrun started."""
    out = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    paths = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, str(HERE / "trained_together.py"), str(out)],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def test_a_start_prints_nothing_on_a_machine_that_trains_in_bf16():
    start = "from aulib.distributed import start; start('bf16-mixed')"
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_one_process(together, tmp_path, case):
    log, _ = train(case, tmp_path)
    alone, both = pd.DataFrame(log), pd.DataFrame(json.loads((together / f"{case}.json").read_text()))
    assert list(both["step"]) == list(alone["step"]) and alone["step"].max() == STEPS - 1
    terms = [name for name in alone if name not in ("seconds", "decoder")]  # the decoder sees other faces
    shares = [name for name in terms if name.startswith("share.")]  # of gradients, whose rounding adds up
    assert shares and terms != shares
    losses = [name for name in terms if name not in shares]
    pd.testing.assert_frame_equal(both[losses], alone[losses], rtol=1e-3, atol=1e-5)
    pd.testing.assert_frame_equal(both[shares], alone[shares], rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_processes_end_with_the_same_weights(together, case):
    first, second = (torch.load(together / f"{case}-{number}.pt") for number in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


class TestShares:
    def test_shares_make_up_the_batch(self, monkeypatch):
        def batch() -> dict:
            return take_batch(tiny_faces(), SIZE, 4, 0, 3, "slight")

        whole = batch()
        monkeypatch.setattr(distributed, "world_size", lambda: 2)
        parts = []
        for number in (0, 1):
            monkeypatch.setattr(distributed, "rank", lambda number=number: number)
            parts.append(batch())
        for name, value in whole.items():
            both = torch.cat([part[name] for part in parts])
            torch.testing.assert_close(both, value, rtol=0, atol=1e-6, equal_nan=True)

    def test_a_batch_that_cannot_be_divided_evenly_is_refused(self, monkeypatch):
        monkeypatch.setattr(distributed, "world_size", lambda: 3)
        with pytest.raises(ValueError, match="batch_size 16.*3 processes"):
            distributed.share_of(16)


class TestSharedBatchNorm:
    @pytest.mark.parametrize("affine", [True, False])
    def test_one_process_equals_torch_s_batch_norm(self, affine):
        torch.manual_seed(0)
        theirs, ours = nn.BatchNorm2d(5, affine=affine), distributed.SharedBatchNorm(5, affine=affine)
        features = 3 + 2 * torch.randn(4, 5, 6, 6)
        inputs = [features.clone().requires_grad_() for _ in range(2)]
        outputs = [norm(x) for norm, x in zip((theirs, ours), inputs, strict=True)]
        for output in outputs:
            output.pow(3).sum().backward()
        torch.testing.assert_close(*outputs)
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(theirs.state_dict(), ours.state_dict())
