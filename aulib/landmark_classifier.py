"""The landmarks-only rival: its small network is fitted to the given landmarks of the labelled faces [C].

Coordinates are few, so it sees every face a hundred times before the landmark detector's first step. At test
time it reads the landmarks that the detector finds.
"""

import torch

from aulib.batches import Faces
from aulib.landmarks import layout_of
from aulib.networks import LandmarkAUHead
from aulib.objective import Objective

EPOCHS, BATCH, RATE = 100, 64, 3e-3
JITTER = 0.03  # of the face's spread: about a detector's error


def fit_landmark_head(head: LandmarkAUHead, faces: Faces, objective: Objective, seed: int) -> float:
    """Fit the head to the landmarks and occurrences of labelled faces, mirrored at random and jittered.

    Args:
        head: changed in place, on its own device.
        faces: labelled; faces with an unknown landmark are left out.

    Returns:
        the loss of the last epoch.

    Raises:
        ValueError: no face has all its landmarks.
    """
    device = head.layers[0].weight.device
    points = torch.from_numpy(faces.landmarks[faces.rows]).float().to(device)  # (M, K, 2)
    labels = torch.from_numpy(faces.occurrence[faces.rows]).float().to(device)
    complete = points.isfinite().all(-1).all(-1)
    points, labels = points[complete], labels[complete]
    if not len(points):
        raise ValueError("no labelled face has all its landmarks; landmarks-only has nothing to learn from")
    points = points - points.mean(1, keepdim=True)
    points = points / points.square().sum(-1).mean(1).sqrt()[:, None, None]
    mirror = points.new_tensor([-1.0, 1.0])
    flip = list(layout_of(points.shape[1]).flip_index)

    generator = torch.Generator(device).manual_seed(seed)
    batches = -(-len(points) // BATCH)
    optimizer = torch.optim.Adam(head.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * batches)
    training = head.training
    head.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # dropout
        for _ in range(EPOCHS):
            total = 0.0
            for rows in torch.randperm(len(points), generator=generator, device=device).chunk(batches):
                chosen = points[rows]
                mirrored = torch.rand(len(rows), generator=generator, device=device) < 0.5
                chosen = torch.where(mirrored[:, None, None], chosen[:, flip] * mirror, chosen)
                noise = torch.randn(chosen.shape, generator=generator, device=device)
                loss = objective.au_loss(head(chosen + JITTER * noise), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item() * len(rows)
    head.train(training)
    return total / len(points)
