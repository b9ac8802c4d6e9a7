"""Sphinx settings of the book; `build.py` copies this file next to the gathered pages."""

import re

import aulib

project = "aulib"
author = copyright = "the aulib authors"  # noqa: A001  Sphinx's name
version = release = aulib.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
html_theme = "furo"
html_title = "aulib"
html_static_path = ["_static"]
html_css_files = ["book.css"]
nb_execution_mode = "off"  # `aulib run` has executed them
nb_output_stderr = "remove"  # progress bars, one line per step
nb_render_markdown_format = "myst"
# widgets need a kernel, so a static page shows their picture
nb_mime_priority_overrides = [("html", "image/png", 5)]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# names that __all__ re-exports are documented where they are defined
autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_typehints = "signature"
autosummary_generate = True
autodoc_inherit_docstrings = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # a field of a NamedTuple is documented once
highlight_language = "text"
default_role = "code"  # docstrings quote code in single backticks
suppress_warnings = ["mystnb.unknown_mime_type", "misc.highlighting_failure"]

SYMBOL = re.compile(r"[A-Za-z_][\w.]*")
SECTION = re.compile(r"(Args|Returns|Raises|Yields|Attributes|Shapes|Example):?$")
FIELD = re.compile(r"[a-z_][\w, ^]*: +\S")  # a line such as "images: (N, 3, H, W)" outside a section
SEVERAL = re.compile(r" {2,}(?=[a-z_][\w, ]*: )")  # two blanks separate the fields of a line
COLUMNS = re.compile(r"\S {2,}\S")  # a row of a table aligned with blanks


def lay_out(app, what, name, thing, options, lines):
    """Turn plain docstrings into reStructuredText: fields become lists; tables and examples stay."""
    paragraphs, inside = [], False
    for paragraph in "\n".join(lines).split("\n\n"):
        rows = paragraph.split("\n")
        indented = rows[0].startswith("    ")
        inside = bool(SECTION.match(rows[0].strip())) or (inside and indented)
        if inside:
            paragraphs.append(rows)
        elif FIELD.match(rows[0]):
            text = " ".join(row.strip() if not FIELD.match(row) else f" {row}" for row in rows)
            paragraphs.append([f"- {field}" for field in SEVERAL.split(text.strip())])
        elif indented or sum(bool(COLUMNS.search(row)) for row in rows) > 1:
            paragraphs += [["::"], [f"    {row}" for row in rows]]
        else:
            paragraphs.append(rows)
    lines[:] = "\n\n".join("\n".join(rows) for rows in paragraphs).split("\n")


def link_symbols(app, doctree, docname):
    """Link `losses.landmark_loss`, `Preset.ramp` or `objective.py` in the prose to the API."""
    from docutils import nodes

    domain = app.env.get_domain("py")
    for literal in list(doctree.findall(nodes.literal)):
        if isinstance(literal.parent, nodes.reference):
            continue
        text = literal.astext().removesuffix(".py").replace("/", ".")
        if SYMBOL.fullmatch(text) and (name := symbol_called(text, domain)):
            role = "mod" if name in domain.modules else "obj"
            node = domain.resolve_xref(app.env, docname, app.builder, role, name, literal, literal.deepcopy())
            if node is not None:
                literal.replace_self(node)


def symbol_called(text, domain):
    """Full name of the documented symbol `text`, or None; its module may be left out if unambiguous.

    An attribute without its own entry resolves to its class.
    """
    for name in (text, f"aulib.{text}"):
        if name in domain.modules or name in domain.objects:
            return name
    ends = [name for name in domain.objects if name.endswith(f".{text}")]
    if len(ends) == 1 and (text[0].isupper() or "." in text):
        return ends[0]
    return symbol_called(text.rpartition(".")[0], domain) if "." in text else None


def setup(app):
    app.connect("autodoc-process-docstring", lay_out, priority=400)  # before napoleon
    app.connect("doctree-resolved", link_symbols)
