"""Is an AU's evidence where the AU is? `python benchmarks/attention_regions.py RUN [RUN ...]`.

Measures runs on the same rendered test faces that show each AU: share of attention inside the region the AU
moves, for evidence maps and integrated gradients, against chance (the region's area), against the evidence
of the other AUs in the same place, and against the best that maps of so few cells could do; and deletion
and insertion curves against random maps. Writes results/attention.json.
"""

from pathlib import Path

import pandas as pd
from record import parser_of

from aubench.inspection.attention_study import (
    curve_areas,
    curve_table,
    explain,
    map_table,
    present_faces,
    region_means,
    true_regions,
)
from aufaces.moved_regions import SHARE_OF_PEAK
from aulib.files import write_json
from aulib.run import Run


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("runs", nargs="+", help="run folders; each is named by its folder")
    parser.add_argument("--faces", default="synthetic:wild", help="a rendered set")
    parser.add_argument("--per-au", type=int, default=20, help="faces of each AU")
    parser.add_argument("--seed", type=int, default=0, help="of the random maps")
    parser.add_argument("--out", type=Path, default=Path("results/attention.json"))
    arguments = parser.parse_args()
    config = Run(arguments.runs[0]).config
    aus = list(config.aus)
    faces = present_faces(arguments.faces, config, aus, arguments.per_au)
    regions = true_regions(faces, aus, config)
    tables, curves = [], []
    for run in arguments.runs:
        explained = explain(Run(run), faces, aus, arguments.per_au)
        tables.append(map_table(explained, faces, regions))
        curves.append(curve_table(explained, faces, regions, arguments.seed))
    means = region_means(pd.concat(tables))
    areas = curve_areas(pd.concat(curves))
    settings = {"faces": arguments.faces, "n": len(faces), "per_au": arguments.per_au, "seed": arguments.seed}
    result = {"settings": settings | {"region_share_of_peak": SHARE_OF_PEAK}, "inside": {}, "curves": {}}
    for (run, kind), group in means.groupby(["run", "map"], sort=False):
        columns = ["inside", "low", "high", "area", "best", "others", "n"]
        per_au = {row["au"]: row[columns].dropna().round(4).to_dict() for _, row in group.iterrows()}
        mean = group[["inside", "area", "best", "others"]].mean().dropna().round(4).to_dict()
        above = int((group["low"] > group["area"]).sum())
        found = {"mean": mean, "aus_above_chance": above, "per_au": per_au}
        result["inside"].setdefault(run, {})[kind] = found
    for row in areas.itertuples():
        own = result["curves"].setdefault(row.run, {}).setdefault(row.curve, {"n": row.n})
        own[row.map] = round(row.area, 4)
    write_json(arguments.out, result)
    for run, kinds in result["inside"].items():
        for kind, found in kinds.items():
            print(run, kind, found["mean"], f"{found['aus_above_chance']} of {len(aus)} AUs above chance")
    print(areas.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
