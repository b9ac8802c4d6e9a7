"""Raw downloads of AU datasets -> dataset folders.

convert       any set: sessions in parallel, resumable, manifest and report
raw_session   what a converter reads: sources, sessions, expected figures
raw_tree      folders and files of a download, frames by number
label_tables  label files read strictly; every fault names file and line
mat_files     landmarks from MATLAB files
videos        frames of a video by index
frames        one session -> pictures in place and manifest rows
resume        sessions converted by an earlier call
report        what was found against what a whole download holds
bp4d, bp4dplus, disfa, disfaplus, emotionet, gft, affwild2, rafau, ckplus
              one set each: `find` lists its sessions, `read` reads one, `EXPECTED` says how much there should
                  be

No reader here has met the real files: each is built on what public code of others reads, named in its first
lines, and is tested on invented trees.
"""

CONVERTERS = ("bp4d", "bp4dplus", "disfa", "disfaplus", "emotionet", "gft", "affwild2", "rafau", "ckplus")
