"""The label doctor: everything that can be wrong with a dataset folder, found without stopping at the first
fault.

doctor          the whole check, and its report as text
findings        one finding: which check, how bad, which rows
manifests       the table read leniently, and what is wrong with its cells
labels          AUs never or always present, contradictions, base rates against published ones
splits          people and pictures that stand in two splits
pictures        every picture opened once: readable, flat, too small, its fingerprints
duplicates      one picture under two names
landmark_shapes landmarks in another order, mirrored, lying, or stuck
crops           crops whose eyes are not where they should be
"""
