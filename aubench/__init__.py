"""Everything around the library: command line, datasets, studies, reports, inspection, plots and widgets."""
