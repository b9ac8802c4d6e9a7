"""Rendered faces with exact AU labels and landmarks. Imports neither `aulib` nor `aubench`.

sets               a whole set written as a dataset folder, found again by its name
domains            studio and wild: how faces of a domain are drawn at random
factors            single factors of the wild domain
people             who is seen: age, build, ancestry, skin, hair
actions            AUs as mixtures of facial actions, and the prototypes they occur in
heads              the head's vertices from the open face model
landmark_vertices  where the 68 landmarks lie on the head
appearance         what the surface looks like: colours, folds, shine
painting           charts painted on the skin: brows, lips, folds
clutter            what stands behind and before a face
renderer           a face as pixels, labels and landmarks
shading            light on the surface
visibility         what of the surface is seen
moved_regions      where an AU moves what is seen: the ground truth of attention
"""
