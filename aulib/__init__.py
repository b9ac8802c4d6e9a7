"""Facial action units in the wild: labelled laboratory faces in, AU probabilities of wild faces out.

The thin library. `aufaces` renders faces, `aubench` is everything around both. The map, one line per module
(none is imported here, so that `import aulib` is quick):

data
    labels                 AU names, occurrence / intensity / unknown, weights from base rates
    landmarks              layouts of 68 and 49 points, AU centres
    images                 one image file as RGB pixels; luminance
    dataset                the dataset folder: read, check, select a split
    tables                 the one reader of tables (manifests, other tools' CSVs); normal form of names
    manifest               what a manifest must satisfy; each fault with its row
    protocols              the field's folds and splits as named, frozen lists
    crops                  faces aligned once into a memory-mapped array, landmarks carried along
    batches                Faces of a split; augmentation of image and landmarks together; domain batches
model
    networks               the parts: encoder, landmark and AU heads, texture, reconstruction, adversaries
    erasure                what is linear in shape and AUs leaves the texture, in closed form
    model                  how the parts are wired; `forward` returns every named output
losses
    losses                 losses with labels, reconstruction and adversarial losses: plain functions
    contrastive            InfoNCE between the two rounds of a face; queues of past faces
    objective              every unweighted term by name; the one place where weights are applied
    supervisors            SUPERVISORS as data: the features that each aligns; imports no torch
    methods                METHODS and PRESETS as data: losses with weights, sizes, rates; imports no torch
training
    training               step, validation on the source, checkpoint, resume
    warm_start             the steps before the rounds, taken once by all runs that share them
    distributed            several processes train as one
    run_config             RunConfig: what a run trains, by name, and what the names resolve to
    source_and_target      both domains loaded and cropped; the target's AU labels are dropped
    train_run              names in, run folder out: one method trained, all written
    run                    Run: the one way to open a run folder
results
    evaluate               a model reads faces: probabilities, landmarks, scores
    metrics                MEASURES; F1-frame, AUC, skew-normalised F1, NME, intervals over subjects
    expressions            AUs scored by expressions: contrasts with neutral faces, false alarms, groups
    linear_probes          AUs, landmarks and domain in F, S, Z; how well G rebuilds; do the rounds agree
files
    files                  atomic writes, the cache (of `aufaces.files`), the version of this code
"""

__version__ = "0.1.0"


def pretrained():
    """The detector that comes with the package, as a `Run`.

    weights/README.md says what it learned from, what was measured, and what it is not for.
    """
    from pathlib import Path

    from aulib.run import Run

    return Run(Path(__file__).parent / "weights")
