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
    """Found by a finding of this check (or one of several, with | between them) whose text names `value`."""

    check: str
    value: str
    row: int | None = None  # that the finding lists; None: the whole set

    def found_in(self, findings: list) -> bool:
        return any(
            f.check in self.check.split("|") and self.value in f.text and self.row in (None, *f.rows)
            for f in findings
        )


class Clinic:
    """The folder and its table, sound at first."""

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
                rows.append(row | _cells(points))
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
        self.set(row, **_cells(points))

    def plant_all(self) -> list[Fault]:
        """Thirty faults, each on a row of its own or on a column of its own."""
        faults = []

        def fault(check: str, value: str, person: int | None = None, n: int = 0, **cells) -> int | None:
            row = None if person is None else self.row(person, n)
            faults.append(Fault(check, value, row))
            self.set(row, **cells)
            return row

        # manifest
        fault("rows", "missing.png", 0, image="images/P00/missing.png")
        fault("rows", "../elsewhere/secret.png", 0, 1, image="../elsewhere/secret.png")
        fault("rows", "/etc/hostname", 0, 2, image="/etc/hostname")
        fault("rows", "'training'", 1, split="training")
        fault("rows", "subject", 1, 1, subject="")
        fault("rows", "AU01_c is 9", 1, 2, AU01_c=9)
        fault("rows", "AU04_c is 999", 1, 3, AU04_c=999)
        fault("rows", "AU12_r is 7", 1, 4, AU12_r=7)
        fault("rows", "AU06_c is 'yes'", 2, AU06_c="yes")
        fault("rows", "1 of 136", 2, 1, x_5="")
        fault("rows", "1e+06", 2, 2, y_7=1e6)
        row = fault("rows", "span", 2, 3)
        self.set_points(row, self.points(row) / SIDE)
        fault("rows", "'P03' is in split 'val'", 20, subject="P03")
        fault("splits", "'P04', 'p-4'", 21, subject="p-4")
        # labels
        doubled = self.table.loc[[self.row(5)]].assign(AU02_c=1 - self.table.loc[self.row(5), "AU02_c"])
        self.table = pd.concat([self.table, doubled], ignore_index=True)
        fault("contradiction", "AU02_c", 5)
        faults.append(Fault("rows", "images/P05/0.png", len(self.table) - 1))
        fault("contradiction", "AU12 is present", 5, 1, AU12_c=1, AU12_r=0)
        fault("contradiction", "AU12 is absent", 5, 2, AU12_c=0, AU12_r=4)
        self.table = self.table.assign(AU15_c=0, AU17_c=1, AU20_c="", AU26_c=self.table["AU25_c"])
        for value in ("AU15 is never", "AU17 is present in every", "AU20 is unknown", "AU25 and AU26"):
            fault("labels", value)
        # pictures
        self.picture(fault("pictures", "an empty file", 6)).write_bytes(b"")
        path = self.picture(fault("pictures", "1.png: unreadable", 6, 1))
        path.write_bytes(path.read_bytes()[:900])
        flat = self.picture(fault("pictures", "2.png is one flat colour", 6, 2))
        Image.new("RGB", (SIDE, SIDE), (90, 90, 90)).save(flat)
        huge = self.picture(fault("pictures", "100 mega", 6, 3))
        Image.new("1", (11_000, 10_000)).save(huge)
        copy = self.picture(fault("duplicates", "P07/0.png", 26))
        copy.write_bytes(self.picture(self.row(7)).read_bytes())
        with Image.open(self.picture(self.row(7, 1))) as picture:
            smaller = picture.resize((96, 96)).resize((SIDE, SIDE)).convert("RGB")
        smaller.save(self.picture(fault("duplicates", "P07/1.png", 27)), format="JPEG", quality=60)
        # landmarks
        flipped = fault("landmarks", "median face", 8)
        self.set_points(flipped, self.points(flipped) * (1, -1) + (0, SIDE))
        beside = fault("crops", "", 9)
        self.set_points(beside, self.points(beside) * 0.45 + (2, 2))
        self.write()
        return faults


def _cells(points: np.ndarray) -> dict[str, float]:
    return {f"{axis}_{k}": round(float(points[k, i]), 3) for i, axis in enumerate("xy") for k in range(68)}
