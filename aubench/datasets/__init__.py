"""How a dataset folder comes about: photographs, raw downloads, files of other tools, checks.

photographs        a folder of pictures -> a dataset folder with landmarks
london             the London set: 102 people, neutral and smiling
face_finding       one picture file -> one face, cut out or stored
kept_outcomes      what became of each picture, for a repeated call
landmark_detector  faces on a picture, and 68 landmarks of each; carried on to the next picture
videos             frames of a clip, by index or one after the other; a clip written
picture_files      which files below a folder are pictures, and why the others are left
landmark_tables    landmarks from other tools' tables, paired with pictures
converters         raw downloads of AU datasets -> dataset folders
interchange        tables and lists of other code, read and written
doctor             faults of a dataset folder
label_statistics   sizes, base rates, which AUs occur together; some faces
protocol_counts    protocols as text; frames of their test people next to published lists
crash_tolerant     a parallel map that survives the death of a worker
"""
