"""Rendered faces with exact AU labels and landmarks. Imports neither `aulib` nor `aubench`.

sets               a set written as a dataset folder and found again by name
domains            studio and wild: how faces of a domain are sampled
clips              people who move, with labels of every frame
factors            single factors of the domain shift
people             identities: age, build, ancestry, skin, hair
actions            AUs as mixtures of facial actions, and prototypical expressions
heads              the head's vertices from the open face model
landmark_vertices  the 68 landmarks on the head
appearance         from a person to vertices, masks and paint
painting           charts painted on the skin: brows, beard, folds
clutter            shade, backgrounds, occluders, image degradations
renderer           a face as pixels and landmarks
shading            light and skin
visibility         normals and the rasteriser
files              atomic files and folders, and the cache
moved_regions      where an AU changes the visible surface: ground truth for attention
"""
