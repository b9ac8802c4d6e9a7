"""From two dataset folders to a run folder; target labels must not change a run."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from aubench.study.notebook_runner import notebook_path
from aubench.study.parameters import declared_parameters
from aulib import training
from aulib.batches import Faces, faces_of
from aulib.crops import ADLD_CROP, crop_dataset, crop_of
from aulib.dataset import read_dataset
from aulib.evaluate import intensity_curves, predict_batches
from aulib.files import code_version
from aulib.methods import METHODS, PRESETS
from aulib.metrics import au_scores
from aulib.run import Run
from aulib.run_config import RunConfig
from aulib.train_run import label_weights, train_run
from conftest import TINY_AUS, write_tiny_set
from tiny import TINY_VALUES, published_weights

SMALL = TINY_VALUES | {"separation_starts": 0.3, "average": 0.9}


def run(source, target, out, method: str = "full", **options) -> dict:
    arguments = {"steps": 4, "batch_size": 3, "precision": "32-true", "progress": False} | SMALL | options
    return train_run(str(source), str(target), method, out_dir=str(out), **arguments)


def rewrite(folder, change) -> None:
    table = pd.read_csv(folder / "manifest.csv")
    change(table).to_csv(folder / "manifest.csv", index=False)


def weights_of(run_folder) -> dict:
    return load_file(run_folder / "model.safetensors")


def same_weights(first, second) -> bool:
    one, two = weights_of(first), weights_of(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def permuted(table: pd.DataFrame) -> pd.DataFrame:
    order = np.random.default_rng(0).permutation(len(table))
    for au in TINY_AUS:
        table[f"{au}_c"] = 1 - table[f"{au}_c"].to_numpy()[order]
    return table


def emptied(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{f"{au}_c": np.nan for au in TINY_AUS})


def removed(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=[f"{au}_c" for au in TINY_AUS])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A source, a target, the target with other labels, and the runs of `full` on source -> each target."""
    root = tmp_path_factory.mktemp("sets")
    write_tiny_set(root / "source")
    write_tiny_set(root / "target", seed=1)
    for change in (permuted, emptied, removed):
        write_tiny_set(root / change.__name__, seed=1)
        rewrite(root / change.__name__, change)
    run(root / "source", root / "target", root / "run")
    return root


class TestTargetLabels:
    @pytest.mark.parametrize("change", ["permuted", "emptied", "removed"])
    def test_permuted_target_labels_do_not_change_a_run(self, change, folders, tmp_path):
        run(folders / "source", folders / change, tmp_path)
        assert same_weights(tmp_path, folders / "run")
        assert (tmp_path / "predictions_source_test.csv").read_bytes() == (
            folders / "run" / "predictions_source_test.csv"
        ).read_bytes()
        ours, theirs = (
            pd.read_csv(f / "history.csv").drop(columns="seconds") for f in (tmp_path, folders / "run")
        )
        pd.testing.assert_frame_equal(ours, theirs)

    @pytest.mark.parametrize("method", sorted(METHODS.keys() - {"full", "oracle"}))
    def test_permuted_target_labels_do_not_change_any_other_method(
        self, method, folders, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(training, "CONFIDENT", 0.5)  # a teacher of two steps is sure of nothing else
        for name in ("target", "permuted"):
            run(folders / "source", folders / name, tmp_path / name, method, steps=2)
        assert same_weights(tmp_path / "target", tmp_path / "permuted")
        if METHODS[method].teaches:
            assert pd.read_csv(tmp_path / "target" / "history.csv")["au_teacher"].any()

    def test_the_oracle_learns_from_target_labels(self, folders, tmp_path):
        for name in ("target", "permuted"):
            run(folders / "source", folders / name, tmp_path / name, "oracle", steps=2)
        assert not same_weights(tmp_path / "target", tmp_path / "permuted")

    def test_target_labels_score_the_finished_run(self, folders, tmp_path):
        metrics = run(folders / "source", folders / "permuted", tmp_path)
        before = json.loads((folders / "run" / "metrics.json").read_text())
        assert metrics["target.mean.auc"] != before["target.mean.auc"]
        assert metrics["source.mean.auc"] == before["source.mean.auc"]


class TestRunFolder:
    def test_run_folder_has_exactly_the_documented_files(self, folders):
        names = {path.name for path in (folders / "run").iterdir()}
        assert names == {
            "config.json", "model.safetensors", "metrics.json", "history.csv", "samples.npz", "fit",
            "predictions_source_test.csv", "predictions_target_test.csv",
        }  # fmt: skip

    def test_metrics_have_the_keys_of_evaluate_for_each_domain(self, folders):
        metrics = json.loads((folders / "run" / "metrics.json").read_text())
        for domain in ("source", "target"):
            for key in (
                "mean.f1",
                "mean.auc_low",
                "mean.f1_norm_high",
                "per_au.AU12.f1",
                "landmarks.nme",
                "n",
            ):
                assert f"{domain}.{key}" in metrics
        assert metrics.keys() >= {"seconds", "peak_memory_mb", "selected_step", "validation_f1"}
        assert metrics["target.n"] == (read_dataset(folders / "target").splits == "test").sum()

    def test_predictions_are_those_that_were_scored(self, folders):
        table = pd.read_csv(folders / "run" / "predictions_target_test.csv")
        data = read_dataset(folders / "target")
        rows = data.rows("test")
        assert list(table["image"]) == list(data.table["image"].iloc[rows])
        probability = table[[f"{au}_p" for au in TINY_AUS]].to_numpy()
        truth = table[[f"{au}_true" for au in TINY_AUS]].to_numpy()
        assert (truth == data.occurrence[rows]).all()
        assert (table[[f"{au}_c" for au in TINY_AUS]].to_numpy() == (probability >= 0.5)).all()
        metrics = json.loads((folders / "run" / "metrics.json").read_text())
        scores = au_scores(probability, truth, data.subjects[rows], list(TINY_AUS), 1)
        assert metrics["target.mean.f1"] == pytest.approx(scores["mean.f1"], nan_ok=True)

    def test_the_model_loaded_from_it_gives_the_written_predictions(self, folders):
        run = Run(folders / "run")
        model, settings = run.model, run.settings
        assert model.config.aus == TINY_AUS
        samples = np.load(folders / "run" / "samples.npz")
        for domain in ("source", "target"):
            images = samples[f"{domain}_images"]
            faces = Faces(images, np.arange(len(images)), samples[f"{domain}_landmarks"], None)
            reading = predict_batches(model, faces, settings[f"read_{domain}_from"])
            table = pd.read_csv(folders / "run" / f"predictions_{domain}_test.csv").set_index("image")
            written = table.loc[list(samples[f"{domain}_names"]), [f"{au}_p" for au in TINY_AUS]].to_numpy()
            np.testing.assert_allclose(reading.probability, written, atol=2e-3)

    def test_settings_say_what_was_run(self, folders):
        settings = Run(folders / "run").settings
        assert (settings["method"], settings["steps"], settings["batch_size"], settings["seed"]) == (
            "full",
            4,
            3,
            0,
        )
        assert METHODS["full"].weights.items() - settings["weights"].items() == {("texture_flatness", 0.3)}
        assert settings["preset_values"]["channels"] == 8
        assert settings["data_versions"] == {
            name: read_dataset(folders / name).version for name in ("source", "target")
        }
        assert settings["code"] == code_version() and settings["precision"] == "32-true"

    def test_settings_are_what_the_config_resolved_to(self, folders):
        settings = Run(folders / "run").settings
        given = {"steps": 4, "batch_size": 3, "precision": "32-true"} | SMALL
        config = RunConfig.of(settings["source"], settings["target"], **given)
        resolved = json.loads(json.dumps(config.resolved))
        assert {name: settings[name] for name in resolved} == resolved


class TestOptions:
    def test_bf16_autocast_trains_much_the_same_weights(self, folders, tmp_path):
        for precision in ("bf16-mixed", "32-true"):
            run(folders / "source", folders / "target", tmp_path / precision, precision=precision, steps=2)
        half, single = (
            pd.read_csv(tmp_path / precision / "history.csv") for precision in ("bf16-mixed", "32-true")
        )
        assert half["total"].dropna().tolist() == pytest.approx(single["total"].dropna().tolist(), rel=0.05)
        assert not same_weights(tmp_path / "bf16-mixed", tmp_path / "32-true")

    def test_the_first_weights_of_another_network_are_refused(self, folders, finished, tmp_path):
        with pytest.raises(ValueError, match="the first weights are of another network"):
            run(
                folders / "source",
                folders / "target",
                tmp_path,
                method="multitask",
                steps=1,
                begins_with=finished.full,
            )

    def test_a_timm_backbone_serves_as_encoder(self, folders, tmp_path):
        run(folders / "source", folders / "target", tmp_path, steps=2, backbone="mobilenetv3_small_050")
        assert Run(tmp_path).config.backbone == "mobilenetv3_small_050"
        assert any(name.startswith("encoder.backbone.") for name in weights_of(tmp_path))

    def test_both_encoders_begin_with_the_weights_of_their_backbone(self, folders, tmp_path):
        weights = published_weights("mobilenetv3_small_050", tmp_path / "learned.safetensors")
        how = {"backbone": "mobilenetv3_small_050", "backbone_weights": str(tmp_path / "learned.safetensors")}
        how |= {"method": "multitask", "share_extraction": False, "backbone_rate": 0.0, "steps": 2}
        run(folders / "source", folders / "target", tmp_path / "run", **how)
        same = set()
        for name, value in weights_of(tmp_path / "run").items():
            encoder, _, inner = name.partition(".backbone.model.")
            if inner.endswith("conv_pw.weight") and torch.equal(value, weights[inner]):
                same.add(encoder)
        assert same == {"encoder", "au_encoder"}

    def test_a_missing_file_of_weights_is_named_before_any_face_is_read(self, tmp_path):
        how = {"backbone": "resnet10t", "backbone_weights": str(tmp_path / "none.pth")}
        with pytest.raises(
            FileNotFoundError, match="no file .*none.pth, expected one of weights under timm's"
        ):
            run(tmp_path / "no source", tmp_path / "no target", tmp_path / "run", **how)

    def test_a_backbone_with_weights_learns_at_a_tenth_of_the_rate_unless_told(self):
        def rate(**given) -> float | None:
            return RunConfig.of("a", "b", **given).resolved["preset_values"]["backbone_rate"]

        learned = {"backbone": "resnet18", "backbone_weights": "timm"}
        assert rate() is None and rate(backbone="resnet18") == 1.0
        assert rate(**learned) == 0.1 and rate(**learned, backbone_rate=0.5) == 0.5
        with pytest.raises(ValueError, match="backbone_weights need a backbone"):
            RunConfig.of("a", "b", backbone_weights="timm")

    def test_share_extraction_false_trains_a_second_encoder(self, folders, tmp_path):
        run(folders / "source", folders / "target", tmp_path, steps=2, share_extraction=False)
        assert any(name.startswith("au_encoder.") for name in weights_of(tmp_path))

    def test_forty_nine_landmarks_at_au_centres_in_colour(self, folders, tmp_path):
        run(
            folders / "source", folders / "target", tmp_path, steps=2,
            num_landmarks=49, au_centres=True, colour="rgb", augment="crop-flip", schedule="linear",
        )  # fmt: skip
        config = Run(tmp_path).config
        assert (config.num_landmarks, config.au_centres, config.colour) == (49, True, "rgb")

    def test_target_without_labels_or_test_split_is_enough(self, folders, tmp_path):
        write_tiny_set(tmp_path / "photographs", labelled=False, seed=3)
        rewrite(tmp_path / "photographs", lambda table: table.assign(split="train"))
        metrics = run(folders / "source", tmp_path / "photographs", tmp_path / "run", steps=2)
        assert "source.mean.f1" in metrics and not any(key.startswith("target.") for key in metrics)
        assert not (tmp_path / "run" / "predictions_target_test.csv").exists()

    def test_target_with_other_aus_is_scored_on_those_it_shares(self, folders, tmp_path):
        write_tiny_set(tmp_path / "other", seed=4)
        rewrite(tmp_path / "other", lambda table: table.rename(columns={"AU06_c": "AU04_c"}))
        metrics = run(folders / "source", tmp_path / "other", tmp_path / "run", "source-only", steps=2)
        assert np.isnan(metrics["target.per_au.AU06.f1"]) and "target.per_au.AU04.f1" not in metrics
        assert metrics["target.mean.aus"] <= 3

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"method": "ful"}, "unknown method 'ful'"),
            ({"preset": "quick"}, "unknown preset 'quick'"),
            ({"precision": "16-mixed"}, "'16-mixed'.*auto, 32-true, bf16-mixed"),
            ({"supervisors": ["shape"]}, r"unknown supervisors \['shape'\]"),
            ({"method": "multitask", "weights": {"cycle": 1.0}}, r"'multitask'.*\['cycle'\]"),
        ],
    )
    def test_unknown_names_are_refused(self, options, words, folders, tmp_path):
        with pytest.raises(ValueError, match=words):
            run(folders / "source", folders / "target", tmp_path, **options)

    def test_unknown_weight_and_unknown_size_are_refused(self, folders, tmp_path):
        with pytest.raises(KeyError, match="au_sorce"):
            run(folders / "source", folders / "target", tmp_path, weights={"au_sorce": 1.0})
        with pytest.raises(TypeError, match="chan"):
            run(folders / "source", folders / "target", tmp_path, chan=3)

    def test_a_source_with_intensities_gives_their_curves(self, folders, tmp_path):
        source = shutil.copytree(folders / "source", tmp_path / "source")
        levels = np.random.default_rng(0).uniform(0, 5, 24)
        rewrite(source, lambda table: table.copy().assign(AU12_r=levels, AU43_r=1.0))
        run(source, folders / "target", tmp_path / "run")
        curves = Run(tmp_path / "run").intensity_curves
        model, data = Run(tmp_path / "run").model, read_dataset(source)
        faces = faces_of(data, crop_dataset(data, crop_of(model.config)), "val", model.config)
        read = predict_batches(model, faces, "both").probability[:, [model.config.aus.index("AU12")]]
        assert curves == intensity_curves(read, levels[faces.rows][:, None], ["AU12"])
        assert Run(folders / "run").intensity_curves == {}

    def test_a_source_without_labels_is_refused(self, folders, tmp_path):
        with pytest.raises(ValueError, match="removed has no AU labels"):
            run(folders / "removed", folders / "target", tmp_path)

    @pytest.mark.parametrize(
        ("domain", "split"), [("source", "train"), ("source", "val"), ("target", "train")]
    )
    def test_an_empty_split_is_refused_by_name(self, domain, split, folders, tmp_path):
        write_tiny_set(tmp_path / "set")
        rewrite(tmp_path / "set", lambda table: table[table["split"] != split])
        sets = {"source": folders / "source", "target": folders / "target"} | {domain: tmp_path / "set"}
        with pytest.raises(ValueError, match=f"set has no row of split '{split}'"):
            run(sets["source"], sets["target"], tmp_path / "run")


class TestLabelWeights:
    def test_worked_by_hand(self):
        occurrence = np.array([[1, 1], [0, 1], [0, 1], [0, np.nan], [1, 0]], dtype=np.float32)
        faces = Faces(np.zeros((5, 2, 2, 3)), np.arange(4), np.zeros((5, 68, 2)), occurrence)  # not the last
        au, pos = label_weights(faces, replace(PRESETS["fast"], pos_weight_power=0.5, au_weighting=True))
        # rates 1/4 and 3/3: inverse 4 and 1, made to sum 2; absent / present 3/1 and 0 -> 1 of 3
        assert au.tolist() == pytest.approx([2 * 4 / 5, 2 * 1 / 5])
        assert pos.tolist() == pytest.approx([3**0.5, (1 / 3) ** 0.5])
        unweighted, _ = label_weights(faces, replace(PRESETS["fast"], au_weighting=False))
        assert unweighted.tolist() == [1, 1]


def test_a_run_trains_on_adlds_crops_and_is_read_with_them(tmp_path):
    folder = str(write_tiny_set(tmp_path / "set"))
    given = {"steps": 1, "batch_size": 3, "precision": "32-true", "progress": False, "insides": False}
    values = TINY_VALUES | {"image_size": 176, "margin_size": 200, "crop": "adld"}
    train_run(folder, folder, "source-only", out_dir=str(tmp_path / "run"), **given, **values)
    assert crop_of(Run(tmp_path / "run").config) == ADLD_CROP
    assert Run(tmp_path / "run").samples().images.shape[1:] == (200, 200, 3)
    with pytest.raises(ValueError, match="crop 'adld' is 200 pixels, the run's margin_size is 40"):
        train_run(folder, folder, out_dir=str(tmp_path / "no"), **given, **(TINY_VALUES | {"crop": "adld"}))
    with pytest.raises(ValueError, match="'dlib'.*smooth, adld, jaanet"):
        train_run(folder, folder, out_dir=str(tmp_path / "no"), **given, **(TINY_VALUES | {"crop": "dlib"}))


def test_the_training_notebook_has_the_library_s_defaults():
    declared = declared_parameters(notebook_path("02_train"))
    written = {name: parameter.default for name, parameter in declared.items()}
    chosen = asdict(RunConfig(written["source"], written["target"]))
    shared = written.keys() & chosen.keys()
    assert {name: written[name] for name in shared} == {name: chosen[name] for name in shared}
