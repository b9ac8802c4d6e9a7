"""Find the faults of a dataset folder without stopping at the first.

check        the whole check, and the crops to look at
diagnosis    one finding, and the report of all
manifest     pictures that are not listed, small splits, people who may be in two splits
labels       AUs never or always present, contradictions, base rates against published ones
pictures     every picture opened once: readable, flat, too small, its fingerprints
duplicates   one picture under two names
landmarks    landmarks in another order, mirrored, tilted, or stuck; crops without a face
"""
