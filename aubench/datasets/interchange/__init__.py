"""Tables and lists of other code, read and written, so that work done for it is not lost.

tables     CSV files of OpenFace 2 and py-feat
lists      JAA-Net's and ADLD's list files, and ME-GraphAU's
folders    those <-> dataset folders, pictures included
left_out   what a dataset folder cannot hold of an imported file

The readers return tables with manifest columns (image, AU01_c, AU01_r, x_0 ...) in float64 and whatever else
the file holds. Reading and writing back gives the same values; what a format cannot hold is an error.
"""

FORMATS = ("openface", "pyfeat", "jaanet", "megraphau")
