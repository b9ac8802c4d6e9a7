"""Who is who in a clip: faces followed from frame to frame (ours).

Every DETECT_EVERY frames all faces are looked for; in between the landmarks of each face are carried on.
While nobody is seen, all frames are searched.
Faces are given to those who are followed, or were lost before, by place and look (scipy's assignment); a face
that is nobody's is a new person's. Where two faces cover one another, the one that no longer looks like
itself is hidden, and lost until it is seen again. Where a film is cut, all are lost.
"""

from dataclasses import dataclass, fields

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

from aubench.datasets.landmark_detector import box_around, find_faces, follow_points, overlap, points_in
from aulib.crops import CropSpec, crop_face, crop_matrix

CODE_VERSION = 9  # raise it when the faces found in a clip would change
DETECT_EVERY = 5  # frames
OVERLAP = 0.3  # of two boxes, intersection over union, from which two faces cannot both be seen
NEAR = 0.75  # of its size, within which a face that is followed is found again
COVERED = 0.15  # from which one face may hide the other
UNLIKE = 0.15  # mean difference of two looks, of 1, from which a face is not that of the one who is followed
STRANGE = 0.08  # and from which it is nobody's who comes back without a cut
TURNED = 0.22  # or was hidden by another face: light and pose may have changed meanwhile
SCENE = 0.05  # mean difference of two frames, of 1, from which the film is cut between them
SAME = 0.04  # mean difference of two looks, of 1, up to which it is the same person after a cut
MISSES = 3  # looks in a row that find no face where one is followed, until it is lost
SMALLEST, LARGEST = 0.7, 1.4  # of a face carried on, over its size in the frame before
FASTEST = 4.0  # faces move so many of their sizes a second; what jumps farther is somebody else's face
SLACK = 0.1  # of a face's size, that landmarks may move in no time
SOON = 0.3  # seconds between frames up to which a cut is told from motion
WORST = 2.0  # of `_apart`, where it is finite
GAP = 5.0  # seconds after which who comes back is a new person
LOOK = 6  # pixels of a side


@dataclass(eq=False)
class Person:
    """points: (68, 2) pixels, where the face was seen last. speed: (2,) pixels a second of its middle. time:
    seconds, of then. look: (6, 6, 3) the face in colours from 0 to 1. lost: it is not seen at present.
    hidden: it was lost next to another face."""

    face_id: int
    points: np.ndarray
    speed: np.ndarray
    time: float
    look: np.ndarray
    misses: int = 0
    lost: bool = False
    hidden: bool = False


class Tracker:
    """The people of a clip; `update` takes its frames one after the other.

    Args:
        spec: how faces are cut out.
    """

    def __init__(self, spec: CropSpec):
        self.spec = spec
        self.people: list[Person] = []
        self.frames = 0
        self.cut = self.time = -np.inf  # seconds: the film's last cut, its last frame
        self.frame = np.zeros((12, 16, 3), np.float32)  # that frame

    def update(self, picture: Image.Image | None, time: float) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """face_id, crop (S, S, 3) uint8 and matrix (2, 3) from picture to crop, of all faces in a frame."""
        if picture is None:
            return []
        image = np.asarray(picture)
        frame = np.asarray(picture.resize((16, 12), Image.Resampling.BOX), np.float32) / 255
        if time - self.time <= SOON and _unlike(frame, self.frame) > SCENE:
            self.cut = time
            for person in self.people:
                person.lost = True
        self.frame, self.time, crops = frame, time, {}
        followed = [person for person in self.people if not person.lost]
        for person in followed:
            crops[person.face_id] = self._carry_on(person, picture, image, time)
        self._hide_covered(crops)
        for person in (one for one in followed if one.lost):
            own = box_around(person.points)
            others = [box_around(one.points) for one in followed if one is not person]
            person.hidden = any(overlap(own, box) > 0 for box in others)
        if self.frames % DETECT_EVERY == 0 or not any(not person.lost for person in self.people):
            self._look_for_faces(picture, image, time, crops)
        self.frames += 1
        shown = [person for person in self.people if not person.lost]
        return [(person.face_id, *crops[person.face_id]) for person in shown]

    def state(self) -> dict[str, np.ndarray]:
        """Arrays from which `restore` goes on with the same result."""
        columns = {field.name: [getattr(one, field.name) for one in self.people] for field in fields(Person)}
        own = {name: getattr(self, name) for name in ("frames", "cut", "time", "frame")}
        return {f"tracker_{name}": np.array(value) for name, value in own.items()} | {
            name: np.array(values) for name, values in columns.items()
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.frames, self.frame = int(state["tracker_frames"]), state["tracker_frame"]
        self.cut, self.time = float(state["tracker_cut"]), float(state["tracker_time"])
        rows = zip(*(state[field.name] for field in fields(Person)), strict=True)
        self.people = [
            Person(int(number), points, speed, float(time), look, int(misses), bool(lost), bool(hidden))
            for number, points, speed, time, look, misses, lost, hidden in rows
        ]

    def _cut(self, picture: Image.Image, points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Crop and matrix; None if the landmarks are no face's, or lie outside of the picture."""
        middle = points.mean(0)
        if (middle < 0).any() or (middle > np.array(picture.size)).any():
            return None
        try:
            matrix = crop_matrix(points, self.spec)
        except ValueError:
            return None
        return crop_face(picture, matrix, self.spec), matrix

    def _carry_on(self, person: Person, picture: Image.Image, image: np.ndarray, time: float) -> tuple | None:
        """Crop and matrix of a face in the next frame; None if it is lost."""
        elapsed = max(time - person.time, 1e-3)
        points = follow_points(image, person.points)
        before = max(np.ptp(person.points, axis=0).max(), 1e-6)
        size = np.ptp(points, axis=0).max() / before
        jump = np.linalg.norm(points.mean(0) - person.points.mean(0)) / before
        jumped = jump > SLACK + FASTEST * elapsed
        cut = None if jumped or not SMALLEST < size < LARGEST else self._cut(picture, points)
        if not cut or _unlike(look_of(cut[0]), person.look) > UNLIKE:  # or it is somebody else by now
            person.lost = True
            return None
        moved = (points.mean(0) - person.points.mean(0)) / elapsed
        person.speed = 0.8 * person.speed + 0.2 * moved
        person.points, person.time = points, time
        return cut

    def _hide_covered(self, crops: dict[int, tuple]) -> None:
        """Of two faces at one place, the one that looks less like itself is lost."""
        shown = [person for person in self.people if not person.lost]
        boxes = [box_around(person.points) for person in shown]
        unlike = [_unlike(look_of(crops[one.face_id][0]), one.look) for one in shown]
        for i in range(len(shown)):
            for j in range(i):
                covered, worse = overlap(boxes[i], boxes[j]), i if unlike[i] > unlike[j] else j
                if covered > OVERLAP or (covered > COVERED and unlike[worse] > UNLIKE):
                    shown[worse].lost = True

    def _faces(self, picture: Image.Image, image: np.ndarray) -> list[tuple]:
        """Landmarks, crop and matrix of each face that is found."""
        found = [points_in(image, face) for face in find_faces(image)]
        return [(points, *cut) for points in found if (cut := self._cut(picture, points))]

    def _whose(self, known: list[Person], faces: list[tuple], time: float) -> dict[int, Person]:
        """Index of a face -> who it is; those who are followed choose before those who were lost."""
        found: dict[int, Person] = {}
        for lost in (False, True):
            people = [one for one in known if one.lost == lost]
            free = [face for face in range(len(faces)) if face not in found]
            apart = [
                [_apart(one, faces[face][0], look_of(faces[face][1]), time, self.cut) for face in free]
                for one in people
            ]
            found |= {free[face]: people[person] for person, face in _pairs(np.array(apart))}
        return found

    def _look_for_faces(self, picture: Image.Image, image: np.ndarray, time: float, crops: dict) -> None:
        """Find all faces anew: of those who are followed, of those who come back, and of new people."""
        faces = self._faces(picture, image)
        known = [one for one in self.people if not one.lost or time - one.time <= GAP]
        whose = self._whose(known, faces, time)
        boxes = [box_around(points) for points, *_ in faces]
        for person in known:
            if not person.lost and person not in whose.values():
                person.misses += 1
                person.lost, person.hidden = person.misses >= MISSES, False
        for number, (points, crop, matrix) in enumerate(faces):
            person = whose.get(number)
            if person is None or person.lost:
                shown = [box_around(one.points) for one in self.people if not one.lost]
                covered = max((overlap(boxes[number], box) for box in shown), default=0.0)
                if covered > (0 if person is None else OVERLAP):
                    continue  # part of a face behind another one
            if person is None:
                person = Person(len(self.people), points, np.zeros(2), time, look_of(crop))
                self.people.append(person)
            if person.lost:
                person.speed = np.zeros(2)
            person.points, person.time, person.lost, person.misses = points, time, False, 0
            crops[person.face_id] = crop, matrix
            others = [box for other, box in enumerate(boxes) if other != number]
            if all(overlap(boxes[number], box) < COVERED for box in others):  # nobody else's pixels are in it
                person.look = 0.8 * person.look + 0.2 * look_of(crop)


def look_of(crop: np.ndarray) -> np.ndarray:
    """(6, 6, 3) a crop (S, S, 3) uint8 without its edge, with hair and collar, in colours from 0 to 1."""
    edge = len(crop) // 8
    middle = Image.fromarray(crop[edge:-edge, edge:-edge])
    return np.asarray(middle.resize((LOOK, LOOK), Image.Resampling.BOX), np.float32) / 255


def _apart(person: Person, points: np.ndarray, look: np.ndarray, time: float, since: float) -> float:
    """How far a face is from being this person's, by place and look; infinite if it cannot be. `since` is the
    time of the film's last cut."""
    elapsed = time - person.time
    side = np.ptp(person.points, axis=0).max()
    expected = person.points.mean(0) + person.speed * min(elapsed, 1.0)
    distance = np.linalg.norm(points.mean(0) - expected) / side / (NEAR + FASTEST / 2 * elapsed)
    limit = UNLIKE
    if person.lost:
        limit = SAME if person.time < since else TURNED if person.hidden else STRANGE
    unlike = _unlike(look, person.look)
    return distance + min(unlike / UNLIKE, 1) if distance <= 1 and unlike <= limit else np.inf


def _unlike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


def _pairs(costs: np.ndarray) -> list[tuple[int, int]]:
    """Row and column of the cheapest assignment, without those of infinite cost.

    To leave somebody without a face costs as much as the worst face that could be theirs, not more: else two
    would exchange theirs, if only each had one.
    """
    if not costs.size:
        return []
    rows, columns = linear_sum_assignment(np.minimum(costs, WORST))
    return [
        (row, column) for row, column in zip(rows, columns, strict=True) if np.isfinite(costs[row, column])
    ]
