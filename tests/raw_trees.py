"""Miniature raw downloads with the quirks of the real ones: a few frames a session, noise pictures, invented
labels."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from aulib.landmarks import to_49
from conftest import face_outline

SIDE = 64
BP4D_HEADER = list(range(0, 29))  # 0 is the frame, column k is AU k
PLUS_AUS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 27, 28)  # compact


def picture(path: Path, seed: int, size: int = SIDE) -> Path:
    """A noise picture; the suffix says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="PNG" if path.suffix.lower() == ".png" else "JPEG", quality=95)
    return path


def video(path: Path, num: int, size: int = SIDE) -> Path:
    """A video whose frame n is grey with brightness 10 + 8 n, which identifies it."""
    return video_of(path, [np.full((size, size, 3), 10 + 8 * n, np.uint8) for n in range(num)])


def video_of(path: Path, pictures: list[np.ndarray]) -> Path:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg" if path.suffix == ".avi" else "mpeg4", rate=20)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if path.suffix == ".avi" else "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def text(path: Path, content: str, encoding: str = "utf-8", newline: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.replace("\n", newline).encode(encoding))
    return path


def face(n: int) -> np.ndarray:
    """(49, 2) pixels as MATLAB counts them, moved by a tenth of n % 40 so that each frame's are its own."""
    return to_49(face_outline(SIDE)) + 1 + n % 40 / 10


def tracks(path: Path, frames: list[int], lost: list[int], field: str, modern: bool) -> Path:
    """A `fit` struct array: MATLAB 5, or 7.3 with references as MATLAB writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not modern:
        fit = np.zeros((1, len(frames)), dtype=[("frame", object), (field, object), ("headPose", object)])
        for i, n in enumerate(frames):
            fit[0, i]["frame"] = np.uint8(n) if n < 256 else np.uint16(n)
            fit[0, i][field] = np.empty((0, 0)) if n in lost else face(n)
            fit[0, i]["headPose"] = np.zeros((3, 1), np.float32)
        savemat(path, {"fit": fit})
        return path
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        store, group = file.create_group("#refs#"), file.create_group("fit")
        for name in ("frame", field):
            references = []
            for i, n in enumerate(frames):
                if name == field and n in lost:
                    entry = store.create_dataset(f"{name}{i}", data=np.array([0, 0], np.uint64))
                    entry.attrs["MATLAB_empty"] = 1
                else:
                    value = np.array([[float(n)]]) if name == "frame" else face(n).T
                    entry = store.create_dataset(f"{name}{i}", data=value)
                references.append(entry.ref)
            data = np.array(references, dtype=h5py.ref_dtype)[:, None]
            group.create_dataset(name, data=data, dtype=h5py.ref_dtype)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def bp4d_labels(frames: list[int], seed: int = 0, header=BP4D_HEADER, nines: tuple = ()) -> str:
    """A label file: values 0 and 1 by chance; (row, AU) of `nines` is 9."""
    rng = np.random.default_rng(seed)
    lines = [",".join(map(str, header))]
    for row, frame in enumerate(frames):
        cells = [int(rng.random() < 0.4) for _ in header[1:]]
        for at, au in nines:
            if at == row:
                cells[header.index(au) - 1] = 9
        lines.append(",".join(map(str, [frame, *cells])))
    return "\n".join(lines) + "\n"


def write_bp4d(
    root: Path, subjects=("F001", "F002", "M001", "M002", "F003"), frames_per_session: int = 4
) -> Path:
    """Five people, T1 and T2: padded and bare names, MATLAB 5 and 7.3, 9s, a BOM, CRLF, a lost track, a
    gap."""
    for s, subject in enumerate(subjects):
        for task in ("T1", "T2"):
            first = 643 if task == "T1" else 2440
            coded = list(range(first, first + frames_per_session))
            labels = bp4d_labels(coded, seed=s, nines=((0, 1), (1, 12)))
            quirk = {"F002": dict(encoding="utf-8-sig"), "M001": dict(newline="\r\n")}.get(subject, {})
            text(root / f"AUCoding/AU_OCC/{subject}_{task}.csv", labels, **quirk)
            there = range(first - 2, first + frames_per_session + 2)  # pictures that nobody coded, too
            for n in there:
                if (subject, n) == ("F003", first + 1):
                    continue  # a gap
                name = f"{n:04d}" if subject.startswith("F") else f"{n}"
                suffix = ".JPG" if subject == "M002" else ".jpg"
                picture(root / f"2D+3D/{subject}/{task}/{name}{suffix}", n)
            text(root / f"2D+3D/{subject}/{task}/._{first:04d}.jpg", "resource fork of a Mac\n")
            lost = [first + 2] if (subject, task) == ("F001", "T1") else []
            mat = root / f"2DFeatures/{subject}_{task}.mat"
            tracks(mat, list(there), lost, "pred", modern=subject != "M001")
            for au in (6, 12):
                rows = "".join(f"{n},{9 if n == first else (n + au) % 6}\n" for n in coded)
                text(root / f"AUCoding/AU_INT/AU{au:02d}/{subject}_{task}_AU{au:02d}.csv", rows)
    text(root / "AUCoding/readme.txt", "codes\n")
    return root


def write_bp4dplus(root: Path, subjects=("F001", "F082", "M058")) -> Path:
    """Compact headers, coded frame n is picture n - 1, tracks by `pts_2d`, lost frames empty."""
    for s, subject in enumerate(subjects):
        coded = [1, 2, 3, 4, 5, 6]
        text(root / f"AUCoding/AU_OCC/{subject}_T1.csv", bp4d_labels(coded, s, [0, *PLUS_AUS], ((2, 24),)))
        for n in range(6):
            picture(root / f"2D+3D/{subject}/T1/{n:04d}.jpg", 10 * s + n)
        text(root / f"Physiology/{subject}/T1/BP_mmHg.txt", "80\n")
        tracks(root / f"2DFeatures/{subject}_T1.mat", coded, [4] if s == 0 else [], "pts_2d", modern=False)
    return root


DISFA_AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def write_disfa(root: Path, subjects=("SN001", "SN002", "SN003", "SN004", "SN005"), num: int = 6) -> Path:
    """Videos and extracted pictures by turns; 66 points, two ways of naming them; one landmark file is
    missing."""
    for s, subject in enumerate(subjects):
        for au in DISFA_AUS:
            rows = "".join(f"{n},{(n * au + s) % 6}\n" for n in range(1, num + 1))
            text(root / f"ActionUnit_Labels/{subject}/{subject}_au{au}.txt", rows)
        if s % 3 == 0:
            video(root / f"Videos_LeftCamera/LeftVideo{subject}_comp.avi", num)
            video(root / f"Videos_RightCamera/RightVideo{subject}_comp.avi", num)
        elif s % 3 == 1:
            for n in range(num):
                picture(root / f"images/{subject}/{n}.png", n)
        else:
            for n in range(1, num + 1):
                picture(root / f"Images/Left/LeftVideo{subject}_comp.avi/frame-{n}.jpg", n)
        for n in range(1, num + 1):
            name = f"{subject}_{n - 1:04d}_lm.mat" if s < 3 else f"l0{n:04d}_lm.mat"
            path = root / "Landmark_Points" / subject / "tmp_frame_lm" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if (s, n) != (1, 2):
                points = np.delete(face_outline(SIDE), [60, 64], axis=0) + 1 + n / 10
                savemat(path, {"pts": points})
    return root


def write_disfaplus(root: Path) -> Path:
    """Three people, one of them nested twice; comments; an AU whose file leaves a frame out."""
    for s, subject in enumerate(("SN001", "SN003", "SN004")):
        trial = "Y_Surprise_TrailNo_1"
        for au in DISFA_AUS:
            rows = [f"{n:03d}.jpg {(n + au + s) % 6}" for n in range(4)]
            if au == 26:
                rows.pop()
            inner = f"{subject}/{subject}" if s == 2 else subject
            text(root / f"Labels/{inner}/{trial}/AU{au}.txt", "# frame intensity\n" + "\n".join(rows) + "\n")
        for n in range(4):
            picture(root / f"Images/{subject}/{trial}/{n:03d}.jpg", 10 * s + n)
    return root


def write_emotionet(root: Path) -> Path:
    """An automatic file with TABs and 999, a workbook with quotes, ADLD's lists, a picture that was never
    fetched."""
    import pandas as pd

    rng = np.random.default_rng(0)
    lines = []
    for n in range(1, 13):
        name = f"N_0000000001_{n:05d}.jpg"
        codes = [str(rng.choice([0, 1, 999], p=[0.5, 0.3, 0.2])) for _ in range(60)]
        lines.append("\t".join([f"http://host/N_0000000001/{name}", f"http://elsewhere/{n}.jpg", *codes]))
        if n != 5:
            picture(root / f"optimization_set/N_0000000001/{name}", n)
    text(root / "dataFile_0001.txt", "\n".join(lines) + "\n")
    rows = []
    for n in range(20, 26):
        name = f"N_0000000002_{n:05d}.jpg"
        picture(root / f"optimization_set/N_0000000002/{name}", n)
        codes = {f"'AU {au}'": int(rng.random() < 0.5) for au in (1, 2, 4, 5, 6, 9, 12, 17, 20, 25, 26, 43)}
        rows.append({"URL": f"http://host/N_0000000002/{name}'", "URL_orig": "http://x"} | codes)
    pd.DataFrame(rows).to_excel(root / "emotionet_facs_24600.xlsx", index=False)
    for kind, numbers in (("val", (1, 2)), ("test", (3, 4, 6))):
        paths = [f"EmotioNet/optimization_set/N_0000000001/N_0000000001_{n:05d}.jpg\n" for n in numbers]
        text(root / f"list/EmotioNet_{kind}_path.txt", "".join(paths))
    return root


def write_gft(root: Path) -> Path:
    """Three people, -999 for unknown; pictures, a video, and one with neither."""
    for s, subject in enumerate(("001A", "001B", "002C", "003A")):
        rows = ["frame,AU1,AU2,AU4,AU6,AU10,AU12,AU14,AU15,AU23,AU24"]
        for n in range(1, 5):
            codes = [-999 if (n + k) % 7 == 0 else (n + k + s) % 2 for k in range(10)]
            rows.append(",".join(map(str, [n, *codes])))
        text(root / f"annotations/{subject}.csv", "\n".join(rows) + "\n")
        if s == 1:
            video(root / f"video/{subject}.mp4", 4)
        elif s != 3:
            for n in range(1, 5):
                picture(root / f"frames/{subject}/{n:05d}.jpg", 10 * s + n)
    return root


def write_affwild2(root: Path) -> Path:
    """Training and validation videos, a space after the header, -1 rows, frames that were never cropped."""
    names = {
        "Train_Set": ("1-30-1280x720", "10-60-1280x720_right", "video 3", "46"),
        "Validation_Set": ("video1",),
    }
    for folder, videos in names.items():
        for v, name in enumerate(videos):
            rows = ["AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26 "]
            for n in range(5):
                codes = [-1] * 12 if n == 1 else [(n + k + v) % 2 for k in range(12)]
                codes[3] = -1 if n == 2 else codes[3]
                rows.append(",".join(map(str, codes)))
            text(root / f"annotations/AU_Detection_Challenge/{folder}/{name}.txt", "\n".join(rows) + "\n")
            if name == "46":
                video(root / f"batch1/{name}.mp4", 5)
            else:
                for n in (1, 2, 3, 5):
                    picture(root / f"cropped_aligned/{name}/{n:05d}.jpg", 10 * v + n)
    text(root / "annotations/EXPR_Recognition_Challenge/Train_Set/46.txt", "Neutral,Anger\n0\n")
    return root


def write_rafau(root: Path) -> Path:
    """AUs of one side, null, spaces at the end, an AU that aulib does not name, a picture that is missing."""
    lines = ["0001.jpg 1+4+25", "0002.jpg L10+12 ", "0003.jpg null", "0004.jpg 39+R12  ", "0005.jpg 1+2+5+26"]
    lines += [f"{n:04d}.jpg 6+12" for n in range(6, 14)]
    text(root / "RAFAU_label.txt", "\n".join(lines) + "\n")
    for n in range(1, 13):
        picture(root / f"aligned/{n:04d}_aligned.jpg", n)
        if n % 2:
            picture(root / f"original/{n:04d}.jpg", n)
    return root


def write_ckplus(root: Path) -> Path:
    """Exponent notation, intensity 0 = not coded, a sequence without AUs, one without landmarks."""
    for s, (subject, sequence) in enumerate(
        (subject, sequence) for subject in ("S005", "S010", "S011", "S999") for sequence in ("001", "002")
    ):
        stem = f"{subject}_{sequence}_000000{11 + s}"
        aus = [(1, 3), (12, 0), (25, 5), (38, 1)] if s != 3 else []
        lines = "".join(f"   {au:.7e}   {strength:.7e}\n" for au, strength in aus) or "\n"
        text(root / f"FACS/{subject}/{sequence}/{stem}_facs.txt", lines)
        for n in (1, 11 + s):
            picture(root / f"cohn-kanade-images/{subject}/{sequence}/{subject}_{sequence}_{n:08d}.png", s)
        if s != 2:
            points = "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in face_outline(SIDE))
            text(root / f"Landmarks/{subject}/{sequence}/{stem}_landmarks.txt", points)
    return root
