"""Two faces exchange shapes: the steps are the model's own, and alignments are cosines."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from aubench.inspection.playground import open_run
from aubench.inspection.swaps import TENSORS, alignment_of, swap_faces, why_no_swap
from aulib.methods import SUPERVISORS


@pytest.fixture(scope="module")
def full(finished):
    return open_run(finished.full)


def crop(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def test_every_step_of_both_rounds_is_there_for_both_faces(full):
    swap = swap_faces(full, crop(0), crop(1))
    names = [step.name for step in swap.target]
    assert names == ["I^t", "R(F^t)", "S^t", "Z^t", "R(F~^t)", "S~^t", "Z~^t", "R(F^^t)"]
    assert [step.name.replace("t", "x").replace("s", "t").replace("x", "s") for step in swap.source] == names
    assert all(set(step.aus) == set(full.aus) for step in swap.source if step.name.startswith("R("))


def test_every_picture_has_the_size_of_its_tensor_and_every_tensor_of_both_faces_is_traced(full):
    swap, size = swap_faces(full, crop(0), crop(1)), full.model.config.image_size
    sizes = {step.name: step.size for step in swap.source}
    cells, channels = size // 4, full.model.config.channels
    assert sizes["I^s"] == f"3 × {size} × {size}" and sizes["S^s"] == f"68 × {cells} × {cells}"
    assert {sizes[name] for name in ("R(F~^s)", "Z~^s", "R(F^^s)")} == {f"{channels} × {cells} × {cells}"}
    traced = swap.trace.set_index("target")
    assert len(traced) == len(TENSORS) and traced.loc["S~^t", "size"] == sizes["S~^s"]
    assert traced.loc["F~^t", "target made by"].startswith("G of S^s and Z^t")
    assert traced.loc["F~^t", "source made by"].startswith("G of S^t and Z^s")


def test_a_row_has_its_own_shape_read_from_the_face_that_wears_it(full):
    swap, model = swap_faces(full, crop(0), crop(1)), full.model
    images = torch.stack(
        [torch.from_numpy(crop(k)[4:36, 4:36].copy()).permute(2, 0, 1) / 255 for k in (0, 1)]
    )
    with torch.no_grad():
        outputs = model(images, 1, separate=True)
        own = model.separate(outputs["swapped_s"])[1]  # F~^s wears the target's shape
    shown = next(step.picture for step in swap.target if step.name == "S~^t")
    np.testing.assert_allclose(shown, own.sum(1)[0], atol=1e-5)


def test_a_face_that_swaps_with_itself_changes_nothing_between_the_rows(full):
    swap = swap_faces(full, crop(0), crop(0))
    for own, other in zip(swap.source, swap.target, strict=True):
        np.testing.assert_allclose(own.picture, other.picture, atol=1e-4)
    np.testing.assert_allclose(swap.alignment["features"], swap.alignment["features_other"], atol=1e-5)


def test_the_swapped_face_is_decoded_from_g_of_the_other_shape_and_its_own_texture(full):
    swap, model = swap_faces(full, crop(0), crop(1)), full.model
    images = torch.stack(
        [torch.from_numpy(crop(k)[4:36, 4:36].copy()).permute(2, 0, 1) / 255 for k in (0, 1)]
    )
    with torch.no_grad():
        rich = model.encoder(model.standardise(images))
        _, shape, texture = model.separate(rich)
        swapped = model.reconstruction(shape[:1], texture[1:])  # G(S^s, Z^t)
        probability = model.au_head(swapped)[0].sigmoid()[0]
    step = next(step for step in swap.target if step.name == "R(F~^t)")
    np.testing.assert_allclose(list(step.aus.values()), probability, atol=1e-4)


def fake_outputs(first: list[float], second: list[float], other: list[float]) -> dict[str, torch.Tensor]:
    """The same three one-cell features for every supervisor; the other face's second round is `other`."""
    outputs = {}
    for supervisor in SUPERVISORS.values():
        values = (second, other) if supervisor.first.endswith("_s") else (other, second)
        outputs[supervisor.first] = torch.tensor(first).view(1, -1, 1, 1)
        for half, value in zip("st", values, strict=True):
            outputs.setdefault(f"{supervisor.second[:-1]}{half}", torch.tensor(value).view(1, -1, 1, 1))
    return outputs


def test_alignment_is_the_cosine_worked_by_hand(full):
    table = alignment_of(
        replace(full, settings=full.settings | {"supervisors": []}),
        fake_outputs([1.0, 0.0], [1.0, 1.0], [0.0, 2.0]),
    )
    assert list(table["supervisor"]) == list(SUPERVISORS)
    source = table.set_index("supervisor").loc["rich_source"]
    assert source["features"] == pytest.approx(0.5**0.5) and source["features_other"] == pytest.approx(0.0)


def test_only_supervisors_that_were_trained_have_a_projected_number(full):
    settings = full.settings | {"supervisors": ["shape_source"], "alignment": "global"}
    table = swap_faces(replace(full, settings=settings), crop(0), crop(1)).alignment.set_index("supervisor")
    assert list(table.index[table["projected"].notna()]) == ["shape_source"]
    assert table["features"].between(-1, 1).all() and -1 <= table.loc["shape_source", "projected"] <= 1
    l1 = swap_faces(replace(full, settings=settings | {"alignment": "l1"}), crop(0), crop(1)).alignment
    assert isinstance(l1, pd.DataFrame) and l1["projected"].isna().all()


def test_a_method_without_separation_says_so(finished):
    run = open_run(finished.source_only)
    assert "source-only has no separation" in why_no_swap(run)
    with pytest.raises(ValueError, match="no separation"):
        swap_faces(run, crop(0), crop(1))


def test_a_fitted_decoder_is_used_where_the_run_has_one(full, finished, tmp_path):
    from aubench.inspection.decoding import decode_faces, fit_decoder, side_of

    assert not swap_faces(full, crop(0), crop(1)).fitted
    folder = shutil.copytree(finished.full, tmp_path / "run")
    decoder, run = fit_decoder(folder, steps=1, progress=False), open_run(folder)
    swap = swap_faces(run, crop(0), crop(1))
    image = torch.from_numpy(crop(1)[4:36, 4:36].copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        features = run.model.encoder(run.model.standardise(image))
    expected = decode_faces(decoder, features, side_of(image))[0].permute(1, 2, 0)
    shown = next(step.picture for step in swap.target if step.name == "R(F^t)")
    assert swap.fitted
    np.testing.assert_allclose(shown, expected, atol=1e-4)
