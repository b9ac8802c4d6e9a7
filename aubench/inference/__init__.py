"""A trained run used on new faces.

predict      scores on a labelled set; predictions as a table in OpenFace's columns
clips        a clip: who is who, AUs over time, as a table
tracking     faces followed from frame to frame
adapt        a detector adapted to photographs without labels
onnx_export  the detector as one ONNX file, for programs without torch
"""
