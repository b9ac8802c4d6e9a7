"""From runs to a result: summaries, statistics, tables, and the pages that show them."""
