"""Photographs, raw downloads, files of other tools and checks: how a dataset folder comes about."""
