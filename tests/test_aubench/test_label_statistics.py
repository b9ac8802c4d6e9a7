"""Base rates and co-occurrence count annotated frames only; some faces are drawn by the seed alone."""

import numpy as np
import pandas as pd
import pytest

from aubench.datasets import label_statistics
from aulib.dataset import read_dataset
from conftest import write_tiny_set


def labelled(folder, **columns):
    table = pd.read_csv(folder / "manifest.csv").assign(**columns)
    table.to_csv(folder / "manifest.csv", index=False)
    return read_dataset(folder)


def test_unknown_labels_count_neither_way(tmp_path):
    data = labelled(write_tiny_set(tmp_path / "set"), AU12_c=[1] * 3 + [0] * 9 + [np.nan] * 12)
    row = label_statistics.base_rates({"it": data}).set_index("au").loc["AU12"]
    assert (row["base_rate"], row["support"], row["frames"]) == (0.25, 3, 12)


def test_cooccurrence_is_a_share_of_the_frames_with_the_first_au(tmp_path):
    data = labelled(write_tiny_set(tmp_path / "set", n=4), AU06_c=[1, 1, 1, 0], AU12_c=[1, 0, np.nan, 1])
    rates = label_statistics.cooccurrence(data).set_index(["given", "also"])["rate"]
    assert rates["AU06", "AU12"] == pytest.approx(1 / 2)  # of two frames with AU06 where AU12 is known
    assert rates["AU12", "AU06"] == pytest.approx(1 / 2)
    assert rates["AU12", "AU12"] == 1


def test_some_faces_depend_on_the_seed_alone(tiny_set):
    data = read_dataset(tiny_set)
    first, again, other = (label_statistics.some_faces(data, 5, seed) for seed in (0, 0, 1))
    assert first["table"].equals(again["table"]) and not first["table"].equals(other["table"])
    np.testing.assert_array_equal(first["images"], again["images"])
    assert first["images"].shape[0] == 5 and np.isfinite(first["landmarks"]).all()
