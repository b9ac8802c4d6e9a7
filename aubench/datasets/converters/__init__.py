"""Raw downloads of AU datasets -> dataset folders.

convert       the whole way for any set: sessions in parallel, resumable, manifest and report
sessions      what a converter reads a raw set as
frames        one session -> pictures in place and manifest rows
earlier       what was converted before, and whether it still stands
coverage      people, sessions and AUs that labels are missing of
report        what was found against what a whole download holds
trees         folders wherever the download put them, frames whatever their padding
label_tables  label files read strictly, every fault with file and line
mat_files     landmarks from MATLAB files
videos        frames of a video by their exact index
bp4d, bp4dplus, disfa, disfaplus, emotionet, gft, affwild2, rafau, ckplus
              one set each: `find` lists its sessions, `read` reads one, `EXPECTED` says how much there should
                  be

No reader here has met the real files: each is built on what public code of others reads, named in its first
lines, and is tested on invented trees.
"""

CONVERTERS = ("bp4d", "bp4dplus", "disfa", "disfaplus", "emotionet", "gft", "affwild2", "rafau", "ckplus")
