"""From a slider to the picture: how long the playground takes, in the kernel and in a browser.

    python benchmarks/playground_latency.py RUN

writes results/playground_latency.json. In the kernel: from setting an AU slider until picture, evidence and
bars are set, one position after another. In the browser (where there is Chromium): from the key on the slider
to the event that the new picture is loaded, in JupyterLab. Wall-clock times mean little while the machine
computes something else; `cpu_ms` is the processor's own time of the same answers, `load` how busy it was.
"""

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import parser_of

ANSWERS, WARM_UP = 40, 5
WAIT_S = 60

LISTEN = """() => {
    window.loaded = []; window.pressed = 0;
    const image = document.querySelector('.au-face');
    image.addEventListener('load', () => window.loaded.push(performance.now() - window.pressed));
    document.querySelector('.AU12 .noUi-handle').addEventListener(
        'keydown', () => { window.pressed = performance.now(); }, true);
}"""


def in_kernel(run: str) -> dict:
    """Milliseconds from a slider to the answer, by domain: wall-clock and processor time."""
    from aubench.widgets import AUPlayground

    playground, found = AUPlayground(run), {}
    for domain in ("studio", "wild"):
        playground.set_controls(domain=domain, seed=2)
        playground.newest.wait(WAIT_S)
        wall, cpu = [], []
        for number in range(ANSWERS + WARM_UP):
            slider = playground.sliders["AU12" if number % 2 else "AU01"]
            began, used = time.perf_counter(), time.process_time()
            slider.value = (slider.value + 0.7) % 5
            if not playground.newest.wait(WAIT_S):
                raise TimeoutError(f"no answer after {WAIT_S} s")
            wall.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (time.process_time() - used))
        found[domain] = {"wall_ms": summary(wall[WARM_UP:]), "cpu_ms": summary(cpu[WARM_UP:])}
    return found


def in_browser(run: str) -> dict | None:
    """Milliseconds from a key on AU12's slider to the new picture, in JupyterLab; None without Chromium."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import browsing
    from aubench.app import write_app_notebook

    if browsing.chromium() is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "notebooks").mkdir()
        values = {"run": run, "runs_folder": str(Path(run).parent)}
        write_app_notebook(home / "notebooks", values, home / "kept")
        with (
            browsing.jupyterlab(home / "notebooks", home / "server") as address,
            browsing.page_of_browser() as page,
        ):
            browsing.run_all_cells(page, address("playground.ipynb"))
            page.wait_for_selector(".au-bars [data-au=AU12]")
            page.evaluate(LISTEN)
            for number in range(ANSWERS + WARM_UP):
                page.locator(".AU12 .noUi-handle").focus()
                page.keyboard.press("ArrowRight" if number < 45 else "ArrowLeft")
                page.wait_for_function("count => window.loaded.length > count", arg=number)
            loaded = page.evaluate("window.loaded")
    return {"wall_ms": summary(loaded[WARM_UP:])}


def summary(milliseconds: list[float]) -> dict:
    return {
        "median": round(float(np.median(milliseconds)), 1),
        "p95": round(float(np.percentile(milliseconds, 95)), 1),
        "answers": len(milliseconds),
    }


def main() -> None:
    import torch

    from aulib.run import Run

    parser = parser_of(__doc__)
    parser.add_argument("run", help="a finished run")
    run = parser.parse_args().run
    opened = Run(run)
    load_before = os.getloadavg()[0]
    result = {
        "kernel": in_kernel(run),
        "browser": in_browser(str(Path(run).absolute())),
        "conditions": {
            "method": opened.settings["method"],
            "image_size": opened.config.image_size,
            "channels": opened.config.channels,
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "load": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        },
    }
    Path("results/playground_latency.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
