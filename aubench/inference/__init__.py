"""A trained run used on new faces.

predict      scores on a labelled set; predictions as a table in OpenFace's columns
adapt        a detector adapted to photographs without labels
onnx_export  the detector as one ONNX file, for programs without torch
"""
