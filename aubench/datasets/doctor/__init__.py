"""Find the faults of a dataset folder without stopping at the first.

examine          the whole check, and its report as text
findings         one finding: which check, how bad, which rows
manifest_cells   the manifest read tolerantly, and the faults of its cells
labels           AUs never or always present, contradictions, base rates against published ones
splits           people and pictures in two splits
fingerprints     every picture opened once: readable, flat, too small, its fingerprints
duplicates       one picture under two names
landmark_shapes  landmarks in another order, mirrored, tilted, or stuck
crops            crops whose eyes are not where they should be
"""
