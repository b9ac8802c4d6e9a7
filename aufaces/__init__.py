"""Rendered faces with known action units: what they do (actions), how they look (appearance), where they
are seen (domains), how they become pixels (renderer) and how a set is written (sets)."""
