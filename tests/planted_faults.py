"""A sound dataset folder of drawn faces, and thirty faults to plant in it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from conftest import face_outline

AUS = ("AU01", "AU02", "AU04", "AU06", "AU12", "AU25")
PEOPLE, EACH, SIDE = 30, 5, 128


def draw_face(points: np.ndarray, rng, size: int = SIDE) -> Image.Image:
    """A cartoon of a face at 68 points: skin, brows, eyes, nose, mouth over a ground of its own."""
    top, bottom = rng.integers(60, 200, (2, 3))
    ramp = np.linspace(top, bottom, size)[:, None, :].repeat(size, axis=1) + rng.normal(0, 6, (size, size, 3))
    blots = Image.fromarray(rng.integers(0, 160, (7, 7), dtype=np.uint8)).resize((size, size), Image.BICUBIC)
    ramp += np.asarray(blots, float)[:, :, None] - 80  # light and shade that no other picture has
    picture = Image.fromarray(ramp.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    skin = tuple(int(v) for v in rng.integers(150, 230, 3))

    def polygon(part, colour):
        pen.polygon([tuple(p) for p in points[part]], fill=colour)

    forehead = points[16:26:-1] * (1, 0.6)
    pen.polygon([tuple(p) for p in [*points[:17], *forehead]], fill=skin)
    for brow in (slice(17, 22), slice(22, 27)):
        pen.line([tuple(p) for p in points[brow]], fill=(60, 40, 30), width=3)
    for eye in (slice(36, 42), slice(42, 48)):
        polygon(eye, (20, 20, 20))
    pen.line([tuple(p) for p in points[31:36]], fill=(110, 70, 60), width=2)
    polygon(slice(48, 60), (150, 30, 40))
    return picture


@dataclass
class Fault:
    """One fault: the words (separated by |) of which a finding has one, and its row (None: the whole set)."""

    says: str
    row: int | None = None


class Clinic:
    """The folder and its table; each plant_... method spoils one thing."""

    def __init__(self, root: Path):
        self.root = root
        rng = np.random.default_rng(0)
        rows = []
        for person in range(PEOPLE):
            for n in range(EACH):
                image = f"images/P{person:02d}/{n}.png"
                points = face_outline(SIDE) + rng.normal(0, 0.6, (68, 2)) + rng.normal(0, 3, 2)
                (root / image).parent.mkdir(parents=True, exist_ok=True)
                draw_face(points, rng).save(root / image)
                split = "train" if person < 20 else "val" if person < 25 else "test"
                row = {"image": image, "subject": f"P{person:02d}", "split": split}
                row |= {f"{au}_c": int(rng.random() < 0.35) for au in AUS}
                row["AU12_r"] = float(rng.integers(2, 6) if row["AU12_c"] else rng.integers(0, 2))
                row |= {
                    f"{a}_{k}": round(float(points[k, i]), 3) for i, a in enumerate("xy") for k in range(68)
                }
                rows.append(row)
        self.table = pd.DataFrame(rows).astype(object)
        self.write()

    def write(self) -> None:
        self.table.to_csv(self.root / "manifest.csv", index=False)

    def row(self, person: int, n: int = 0) -> int:
        return person * EACH + n

    def set(self, row: int, **cells) -> None:
        for name, value in cells.items():
            self.table.loc[row, name] = value

    def picture(self, row: int) -> Path:
        return self.root / self.table.loc[row, "image"]

    def points(self, row: int) -> np.ndarray:
        return np.array([[self.table.loc[row, f"{a}_{k}"] for a in "xy"] for k in range(68)], dtype=float)

    def set_points(self, row: int, points: np.ndarray) -> None:
        self.set(
            row, **{f"{a}_{k}": round(float(points[k, i]), 3) for i, a in enumerate("xy") for k in range(68)}
        )

    def plant_all(self) -> list[Fault]:
        """Thirty faults, each on a row of its own or on a column of its own."""
        faults = []

        def fault(says, row=None):
            faults.append(Fault(says, row))
            return row

        # manifest
        self.set(fault("does not exist", self.row(0)), image="images/P00/missing.png")
        self.set(fault("inside it", self.row(0, 1)), image="../elsewhere/secret.png")
        self.set(fault("inside it", self.row(0, 2)), image="/etc/hostname")
        self.set(fault("expected train, val or test", self.row(1)), split="training")
        self.set(fault("subject is empty", self.row(1, 1)), subject="")
        self.set(fault("AU01_c is 9", self.row(1, 2)), AU01_c=9)
        self.set(fault("AU04_c is 999", self.row(1, 3)), AU04_c=999)
        self.set(fault("AU12_r is 7", self.row(1, 4)), AU12_r=7)
        self.set(fault("AU06_c is 'yes'", self.row(2)), AU06_c="yes")
        self.set(fault("landmark cells are empty", self.row(2, 1)), x_5="")
        self.set(fault("a landmark coordinate is 1e+06", self.row(2, 2)), y_7=1e6)
        self.set_points(fault("landmarks span", self.row(2, 3)), self.points(self.row(2, 3)) / SIDE)
        self.set(fault("is in split 'val' here", self.row(20)), subject="P03")
        self.set(fault("may be one person", self.row(21)), subject="p-4")
        # labels
        doubled = self.table.loc[[self.row(5)]].assign(AU02_c=1 - self.table.loc[self.row(5), "AU02_c"])
        self.table = pd.concat([self.table, doubled], ignore_index=True)
        fault("contradict each other in AU02_c", self.row(5))
        fault("is also in row", len(self.table) - 1)
        self.set(fault("AU12 is present with intensity 0", self.row(5, 1)), AU12_c=1, AU12_r=0)
        self.set(fault("AU12 is absent with intensity 2", self.row(5, 2)), AU12_c=0, AU12_r=4)
        self.table["AU15_c"], self.table["AU17_c"], self.table["AU20_c"] = 0, 1, ""
        (
            fault("AU15 is never present"),
            fault("AU17 is present in every one"),
            fault("AU20 is unknown in every row"),
        )
        self.table["AU26_c"] = self.table["AU25_c"]
        fault("AU25 and AU26 are the same")
        # pictures
        self.picture(fault("is empty (0 bytes)", self.row(6))).write_bytes(b"")
        path = self.picture(fault("cannot be read", self.row(6, 1)))
        path.write_bytes(path.read_bytes()[:900])
        Image.new("RGB", (SIDE, SIDE), (90, 90, 90)).save(
            self.picture(fault("one flat colour", self.row(6, 2)))
        )
        Image.new("1", (11_000, 10_000)).save(
            self.picture(fault("more than the limit of 100 mega", self.row(6, 3)))
        )
        self.picture(self.row(26)).write_bytes(self.picture(self.row(7)).read_bytes())
        fault("the same picture in test and train", self.row(26))
        with Image.open(self.picture(self.row(7, 1))) as picture:
            picture.resize((96, 96)).resize((SIDE, SIDE)).convert("RGB").save(
                self.picture(self.row(27)), format="JPEG", quality=60
            )
        fault("the same picture in test and train", self.row(27))
        # landmarks
        flipped = self.points(self.row(8))
        flipped[:, 1] = SIDE - flipped[:, 1]
        self.set_points(fault("from the set's median face", self.row(8)), flipped)
        self.set_points(
            fault("crop is unlike the others|a detector finds the face", self.row(9)),
            self.points(self.row(9)) * 0.45 + (2, 2),
        )
        self.write()
        return faults
