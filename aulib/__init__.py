"""Facial action units in the wild: labelled laboratory faces in, AU probabilities of wild faces out.

The map, one line per module (none is imported here, so that `import aulib` is quick):

faces
    labels                 AU names, occurrence / intensity / unknown, weights from base rates
    landmarks              layouts of 68 and 49 points, AU centres
    converting             raw downloads of licensed sets -> dataset folders, with a report
    interchange            files of OpenFace, py-feat, JAA-Net, ADLD and ME-GraphAU, read and written
    protocols              the field's folds and splits as named, frozen lists
    protocol_counts        frames of a protocol's test people beside those of the field's lists
    datasets               the dataset folder: read, check, select a split
    manifest_checks        what a manifest must satisfy; each fault with its row
    cropping               faces aligned once into a memory-mapped array, landmarks carried along
    pictures               one picture file as RGB pixels
    photographs            any folder of pictures -> dataset folder
    prepared_pictures      one photograph -> a stored picture with landmarks, or the reason why not
    surviving_pool         a process pool that one bad file cannot stop
    detector               68 landmarks on a picture (extra `landmarks`)
    landmark_tables        landmarks from the CSV of OpenFace, py-feat and the like
    synthetic              rendered faces with AU labels: actions, appearance, domains, renderer, sets
    checking               the label doctor: everything that can be wrong with a dataset folder
    describing             what a dataset's labels say, as tables: base rates, which AUs occur together
    loaders                augmentation that moves image and landmarks together; paired domain batches
model
    networks               the parts: encoder, landmark and AU heads, texture, reconstruction, adversaries
    model                  how the parts are wired; `forward` returns every named output
    losses                 losses with labels, reconstruction and adversarial losses: plain functions
    supervisors            the contrastive supervisors, one signature, one table
    alignments             which alignments and negatives there are, and which go together
    objective              every unweighted term by name; the one place where weights are applied
    gradients              each term's share of the gradient of what all terms train
    methods                the rungs of the ladder as values
    landmark_classifier    the landmarks-only rival's small network, fitted to given landmarks
    interrupts             Ctrl-C waits for the end of a step
    shared_start           the steps before the rounds, taken once by all runs that share them
    processes              several processes train as one
    training               step, validation on the source, checkpoint, resume
    runs                   from names to a run folder: data in, one method trained, all written
    checkpoints            a finished run's model on disk and back
    reading                a model reads faces: probabilities, landmarks, scores
    metrics                F1-frame, AUC, skew-normalised F1, NME, intervals over subjects
    probing                what a trained model holds inside: AUs and domain in F, S, Z; do the rounds agree
use
    face_finding           one picture file -> one face crop, without a dataset folder
    predicting             a run and faces in, scores or a table out
    onnx_export            a run's detector for programs without torch
    shown_faces            which faces a figure shows: kept by the run, or of a dataset
    decoding               a decoder fitted to a finished run: features -> colour picture
    swapping               shapes and textures exchanged between faces, and what follows which
    probes                 inputs built to fail
    picture_measures       PSNR, SSIM, GMSD
    explaining             evidence maps, integrated gradients, landmark responses
    rollout                attention rollout of a transformer encoder
    attention_measures     share inside a region, deletion and insertion curves
    attention_study        the measurement over runs and rendered faces, as tables
    plots                  every figure; functions return it and never show it
    results                runs -> tables with spread
    run_values             what one run measured, as values to set side by side
    summaries              a study's runs -> one small summary, kept as JSON, and back
    comparisons            paired differences over seeds, intervals, Holm's correction
    equal_time             equal steps or equal time: which it was, and the study of the other
    verdicts               one comparison in words: helps, hurts, no difference, not enough evidence
    answers                a study's question answered in words, decided by its numbers
    rounds_in_words        of the answer: do supervisors help reconstruction, do the rounds come nearer
    rivals_in_words        of the answer: the whole method against rivals, and with one choice changed
    idleness_in_words      of the answer: do the supervisors still pull at anything
    side_studies           beside the study: positions as samples, learning curves
    tables                 a study's table: Markdown, LaTeX, CSV
    playing                controls -> rendered face -> what a run reads from it
    two_rounds             two faces exchange shapes, both rounds, and how well each supervisor aligns them
    factor_faces           studio faces with one factor of wild at a time, as a model reads them
    side_by_side           runs of a folder side by side, AU by AU, on the same faces
    widgets                instruments for notebook and app: playground, photograph, swaps, runs
    serving                the playground as an app on this machine
    folds                  a protocol by name: what source and target are in each fold, all folds trained
    fold_scores            runs of a protocol's folds -> their mean
    parameters             a notebook's parameters cell as a signature
    known_names            what the library's tables hold, without importing them
    running                notebooks as strict functions of their parameters
    kernels                one notebook in a fresh kernel, and the true cause when it fails
    warm_kernels           kernels forked from a process that has everything imported
    run_lock               one run folder, one runner
    code_version           which library code shapes a run
    study                  a YAML file -> the runs of a study, their ids and states
    study_engine           the runs of a study done, each once, on workers of dask
    study_workers          these workers: local, a standing cluster, SLURM
    study_table            what a study is at, in a terminal
    study_watch            the same in a notebook, to start and to watch
    demo                   the main job, studio to wild
    course                 what the course's notebooks use beside the rest: checks of exercises, own figures
    readme                 the results in README.md and docs/, written from committed ones
    commands               what the subcommands of `aulib` do, a module a group
    __main__               `python -m aulib` is the command `aulib`
    cli                    the command `aulib`: its options, and the groups put together
    torchvision_operators  makes torchvision importable beside a CPU build of torch
"""

__version__ = "0.1.0"
