"""The playground and the lessons in a real browser: JupyterLab and the app, by keyboard, with a photograph.

Screenshots of the last run are in results/screenshots; look at them.
"""

import os
import subprocess
from pathlib import Path

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from PIL import Image

import browsing
from conftest import write_tiny_set
from test_notebooks import COURSE, NOTEBOOKS, tiny_parameters

SCREENSHOTS = browsing.ROOT / "results" / "screenshots"
NEXT_TO_THE_PICTURE = {  # of a lesson's instrument
    "1_action_units": ".instrument .widget-slider",
    "2_in_the_wild": ".instrument-text",
    "3_where_is_the_face": ".instrument .widget-slider",
    "4_taking_apart": ".instrument-text",
}
POSE_AND_LIGHT = ("yaw", "pitch", "roll", "light_side", "light_height", "soft_light")
INSTRUMENTS = ("au-playground", "photograph-reader", "swap-explorer", "run-browser")
WIDTHS = (1280, 800)
NOTEBOOK_WIDTHS = (1280, 1440)  # with JupyterLab's sidebar open; at 1280 an output has about 830 pixels

FOLDERS = """async () => {
    const root = await window.jupyterapp.serviceManager.contents.get('');
    return root.content.map(entry => entry.name);
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(browsing.chromium() is None, reason="no Chromium (Debian: apt install chromium)"),
]


@pytest.fixture(scope="module", autouse=True)
def playwright():
    pytest.importorskip("playwright", reason="playwright is not installed (extra dev)")


SETS = {
    "source": "synthetic:studio?n=240&seed=7&size=64",
    "target": "synthetic:wild?n=160&seed=7&size=64",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A small run of `full` that detects AU12; a minute of one core. AULIB_BROWSER_RUN names another run."""
    if own := os.environ.get("AULIB_BROWSER_RUN"):
        return Path(own).absolute()
    from aulib.train_run import train_run

    folder = tmp_path_factory.mktemp("runs") / "full"
    train_run(
        *SETS.values(), "full", steps=150, batch_size=12, precision="32-true", out_dir=str(folder),
        progress=False, image_size=56, margin_size=64, channels=12, augment="none",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def photograph(tmp_path_factory) -> Path:
    """A large rendered face."""
    from aubench.inspection.playground import Controls, render

    file = tmp_path_factory.mktemp("photographs") / "a face.png"
    Image.fromarray(render(Controls(seed=3), 256)[0]).save(file)
    return file


@pytest.fixture(scope="module")
def lab(run, tmp_path_factory):
    """JupyterLab with the playground of that run, and with the playground of a missing run."""
    from aubench.app import write_app_notebook

    home = tmp_path_factory.mktemp("lab")
    (home / "notebooks").mkdir()
    folder = home / "notebooks"
    for name, wanted in (("playground", run), ("no_run", home / "nothing")):
        values = {"run": str(wanted), "runs_folder": str(wanted.parent)}
        written = write_app_notebook(home, values, home / "kept")
        written.rename(folder / f"{name}.ipynb")
    with browsing.jupyterlab(home / "notebooks", home / "server") as address:
        yield address


@pytest.fixture(scope="module")
def app(run, tmp_path_factory):
    pytest.importorskip("voila", reason="the app extra is not installed")
    with browsing.app(run, tmp_path_factory.mktemp("app")) as served:
        yield served


@pytest.fixture(scope="module")
def notebooks(run, tmp_path_factory):
    """JupyterLab with 01 to 09 on that run, rendered faces of sixteen AUs, and the committed study."""
    home = tmp_path_factory.mktemp("notebooks")
    summary = str(browsing.ROOT / "results" / "supervisors.json")
    (home / "notebooks").mkdir()
    for path in NOTEBOOKS:
        values = tiny_parameters(path.stem, SETS | {"run": str(run), "study": summary})
        values |= {"out_dir": str(home / path.stem)}
        Path(values["out_dir"]).mkdir()
        notebook = parameterize_notebook(load_notebook_node(str(path)), values)
        nbformat.write(notebook, home / "notebooks" / path.name)
    with browsing.jupyterlab(home / "notebooks", home / "server") as address:
        yield address


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A clone of this checkout's last commit."""
    if not (browsing.ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    subprocess.run(["git", "clone", "-q", browsing.ROOT, tmp_path / "clone"], check=True)
    return tmp_path / "clone"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """JupyterLab with the lessons, on parameters that take seconds."""
    home = tmp_path_factory.mktemp("course")
    sets = {name: str(write_tiny_set(home / name, seed=i)) for i, name in enumerate(("source", "target"))}
    (home / "lessons").mkdir()
    for path in COURSE:
        values = tiny_parameters(path.stem, sets) | {"out_dir": str(home / path.stem)}
        lesson = parameterize_notebook(load_notebook_node(str(path)), values)
        nbformat.write(lesson, home / "lessons" / path.name)
    with browsing.jupyterlab(home / "lessons", home / "server") as address:
        yield address


def a_smile_raises_the_bar(page) -> None:
    """AU12 to 5 by keyboard changes picture and evidence and raises the bar."""
    page.wait_for_selector(".au-bars [data-au=AU12]")
    at_rest = browsing.probability_shown(page, "AU12")
    rest, seen = browsing.source_of(page, ".au-face"), browsing.source_of(page, ".au-seen")
    handle = ".AU12 .noUi-handle"
    browsing.changed_by(page, ".au-face", lambda: browsing.press(page, handle, "End", 1))
    page.wait_for_function(
        "before => +document.querySelector('.au-bars [data-au=AU12]').ariaValueNow > before + 0.2",
        arg=at_rest,
    )
    assert page.locator(handle).get_attribute("aria-valuetext") == "5"
    assert browsing.source_of(page, ".au-face") != rest and browsing.source_of(page, ".au-seen") != seen
    assert "evidence for AU12" in page.locator(".au-playground").inner_text()


def a_photograph_gets_landmarks(page, photograph: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the faces extra is not installed")
    browsing.choose_file(page, ".photograph-upload", photograph)
    page.wait_for_selector(".photograph-bars [data-au=AU12]")
    width = page.eval_on_selector(".photograph-picture", "image => image.naturalWidth")
    blue = page.eval_on_selector(
        ".photograph-picture",
        """image => {  // pixels of the landmarks' colour
            const canvas = document.createElement('canvas');
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);
            const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let i = 0; i < data.length; i += 4)
                if (Math.abs(data[i] - 86) < 40 && Math.abs(data[i+1] - 180) < 40 && data[i+2] > 200) count++;
            return count;
        }""",
    )
    assert width == 400 and blue > 68  # each landmark is a dot of some pixels
    choose = page.locator(".photograph-followed select")
    for au in ("AU04", "AU12"):
        browsing.changed_by(page, ".photograph-seen", lambda au=au: choose.select_option(au))
        page.wait_for_selector(f".photograph-caption :text('evidence for {au}')")


@pytest.fixture(scope="module")
def camera(tmp_path_factory) -> tuple[str, ...]:
    """Flags of a browser whose camera films a face that moves to the right."""
    from aubench.inspection.playground import Controls, render

    face, film = (
        Image.fromarray(render(Controls(seed=3), 240)[0]),
        tmp_path_factory.mktemp("film") / "a.mjpeg",
    )
    with open(film, "wb") as opened:
        for moved in range(0, 80, 2):
            picture = Image.new("RGB", (320, 240), "grey")
            picture.paste(face, (moved, 0))
            picture.save(opened, "JPEG")
    of_stream = "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"
    return *of_stream, f"--use-file-for-fake-video-capture={film}"


def test_the_camera_is_read_while_it_is_on(lab, camera):
    pytest.importorskip("onnxruntime", reason="the faces extra is not installed")
    with browsing.page_of_browser(flags=camera) as page:
        assert browsing.run_all_cells(page, lab("playground.ipynb")) == []
        page.locator(".photograph-live").click()
        page.wait_for_selector(".photograph-bars [data-au=AU12]")
        for _ in range(3):  # one picture after the other
            browsing.changed_by(page, ".photograph-picture", lambda: None)
        page.locator(".photograph-live").click()
        page.wait_for_timeout(2000)
        last = browsing.source_of(page, ".photograph-picture")
        page.wait_for_timeout(2000)
        assert browsing.source_of(page, ".photograph-picture") == last
    without = "Object.defineProperty(navigator, 'mediaDevices', {value: undefined})"  # as on a page of http
    for flags, script in ((("--deny-permission-prompts",), ""), ((), without)):
        with browsing.page_of_browser(flags=flags) as page:
            page.add_init_script(script)
            assert browsing.run_all_cells(page, lab("playground.ipynb")) == []
            for _ in range(2):
                page.locator(".photograph-live").click()
                page.wait_for_selector(".photograph-state :text('The camera gives no picture')")
                page.wait_for_selector(".photograph-live:not(.mod-active)")


def nothing_is_cut_off(page, names=INSTRUMENTS) -> list[str]:
    """Widgets whose text or box extends beyond their instrument."""
    return page.evaluate(
        """names => names.flatMap(name => {
            const box = document.querySelector('.' + name), right = box.getBoundingClientRect().right + 1;
            const labels = '.widget-label, .widget-label-basic, button';
            const kinds = 'img, .au-row, .widget-readout, table, ' + labels;
            const parts = [...box.querySelectorAll(kinds)];
            return parts.filter(e => e.offsetParent && (e.getBoundingClientRect().right > right
                || (e.matches(labels) && e.scrollWidth > e.clientWidth + 1)))
                .map(e => name + ': ' + (e.innerText || e.className));
        })""",
        list(names),
    )


def take_screenshots(page, place: str, width: int) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.locator(".au-playground").evaluate("element => element.scrollIntoView()")
    page.wait_for_timeout(500)
    page.screenshot(path=SCREENSHOTS / f"{place}_{width}.png")
    page.set_viewport_size({"width": width, "height": 2600})  # room for whole instruments
    page.wait_for_timeout(1000)
    for name in INSTRUMENTS:
        page.locator(f".{name}").screenshot(path=SCREENSHOTS / f"{place}_{width}_{name}.png")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_playground_works_in_jupyterlab(lab, photograph, width):
    with browsing.page_of_browser(width) as page:
        assert browsing.run_all_cells(page, lab("playground.ipynb")) == []
        if width < 1000:
            page.evaluate("window.jupyterapp.shell.collapseLeft()")
        a_smile_raises_the_bar(page)
        a_photograph_gets_landmarks(page, photograph)
        assert nothing_is_cut_off(page) == []
        if width == NOTEBOOK_WIDTHS[0]:
            for wide in NOTEBOOK_WIDTHS[::-1]:
                page.set_viewport_size({"width": wide, "height": 900})
                page.wait_for_timeout(500)
                for control in POSE_AND_LIGHT:
                    assert browsing.stands_next_to(page, ".au-face", f".au-playground .{control}"), control
                assert browsing.stands_next_to(page, ".au-pictures", ".au-playground .au-aus .widget-slider")
                assert browsing.too_wide(page) == []
        take_screenshots(page, "jupyterlab", width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_playground_works_in_the_app(app, photograph, width):
    address, token = app
    with browsing.page_of_browser(width) as page:
        page.goto(f"{address}?token={token}")
        page.wait_for_selector(".run-browser img")
        assert page.locator(".jp-CodeCell .jp-Editor:visible, .jp-RenderedError").count() == 0
        a_smile_raises_the_bar(page)
        a_photograph_gets_landmarks(page, photograph)
        assert nothing_is_cut_off(page) == []
        take_screenshots(page, "app", width)


def test_the_app_needs_its_token(app):
    address, token = app
    for asked in (address, f"{address}?token=guess"):
        reached, page = browsing.page_at(asked)
        assert "/login" in reached and "au-playground" not in page and "What does a run see" not in page
        assert "Open the address that your terminal shows" in page and f"{address}?token=..." in page


def test_the_app_tells_what_it_loads_and_asks_no_other_machine(app):
    address, token = app
    with browsing.page_of_browser() as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}?token={token}", wait_until="commit")
        page.wait_for_selector("#loads :text-matches('Loading 1 of .: the networks')", timeout=30_000)
        page.wait_for_selector(".au-playground-state", state="attached")
        page.wait_for_selector(".run-browser img")
        page.wait_for_selector("#loads", state="detached")
        assert page.locator(".voila-skeleton-container:visible").count() == 0
        assert all(url.startswith((address, "data:", "blob:")) for url in asked), asked


def test_every_control_is_reached_by_tab(lab):
    with browsing.page_of_browser() as page:
        browsing.run_all_cells(page, lab("playground.ipynb"))
        page.wait_for_selector(".au-bars [data-au=AU12]")
        page.locator(".au-playground .noUi-handle").first.focus()
        reached = []
        for _ in range(60):
            reached.append(page.evaluate("document.activeElement.closest('.widget-slider')?.className || ''"))
            page.keyboard.press("Tab")
        for name in ("AU02", "AU26", "yaw", "light_side", "soft_light"):
            assert any(name in classes.split() for classes in reached), name


def test_a_bad_upload_is_named(lab, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    with browsing.page_of_browser() as page:
        browsing.run_all_cells(page, lab("playground.ipynb"))
        browsing.choose_file(page, ".photograph-upload", broken)
        page.wait_for_selector(".photograph-state :text('broken.jpg')")
        assert page.evaluate(browsing.ERRORS) == []


def test_without_a_run_every_instrument_names_the_command(lab):
    with browsing.page_of_browser() as page:
        assert browsing.run_all_cells(page, lab("no_run.ipynb")) == []
        page.wait_for_selector(".au-face")
        for name in INSTRUMENTS:
            assert "aulib run 02_train" in page.locator(f".{name}").inner_text()
        browsing.changed_by(page, ".au-face", lambda: browsing.press(page, ".AU12 .noUi-handle", "End", 1))
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.locator(".au-playground").evaluate("element => element.scrollIntoView()")
        page.screenshot(path=SCREENSHOTS / "jupyterlab_no_run.png")


def test_a_notebook_run_and_saved_leaves_git_status_clean(checkout):
    with browsing.jupyterlab(checkout, checkout.parent / "server", make_lab=True) as address:
        with browsing.page_of_browser() as page:
            assert browsing.run_all_cells(page, address("notebooks/00_playground.ipynb")) == []
            shown = page.evaluate(FOLDERS)
            assert {"results", "experiments", "aulib", "notebooks"} <= set(shown)
            page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
            page.wait_for_selector(".jp-mod-dirty", state="detached")
    saved = (checkout / "notebooks/00_playground.ipynb").read_text()
    assert '"output_type": "execute_result"' in saved
    command = ["git", "-C", str(checkout), "status", "--porcelain"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_an_error_of_a_cell_is_found(tmp_path):
    (tmp_path / "notebooks").mkdir()
    cells = [nbformat.v4.new_code_cell("import sys; print('fine', file=sys.stderr)"),
             nbformat.v4.new_code_cell("1 / 0")]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)  # else JupyterLab asks for a kernel
    nbformat.write(notebook, tmp_path / "notebooks" / "broken.ipynb")
    with browsing.jupyterlab(tmp_path / "notebooks", tmp_path / "server") as address:
        with browsing.page_of_browser() as page:
            assert browsing.run_all_cells(page, address("broken.ipynb")) == [
                "ZeroDivisionError: division by zero"
            ]


def fits_next_to_the_sidebar(page, name: str) -> None:
    """Nothing scrolls sideways, no figure is scaled down; takes a picture of the whole notebook."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width in NOTEBOOK_WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        assert browsing.too_wide(page) == []
        height = page.eval_on_selector(".jp-WindowedPanel-outer", "panel => panel.scrollHeight")
        page.set_viewport_size({"width": width, "height": min(height + 200, 16_000)})
        page.eval_on_selector(".jp-WindowedPanel-outer", "panel => panel.scrollTo(0, 0)")
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / f"whole_{name}_{width}.png")


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS if path.stem != "00_playground"])
def test_a_notebook_fits_next_to_the_sidebar(notebooks, name):
    with browsing.page_of_browser() as page:
        assert browsing.run_all_cells(page, notebooks(f"{name}.ipynb")) == []
        fits_next_to_the_sidebar(page, name)
        if name == "09_compare":
            a_clip_is_scrubbed(page)


def a_clip_is_scrubbed(page) -> None:
    """The slider moves the picture, its time lines and the time together."""
    page.wait_for_selector(".clip-time :text('0.00 s'), .clip-time:text('0.00 s')")
    handle = ".clip-player .noUi-handle"
    browsing.changed_by(page, ".clip-picture", lambda: browsing.press(page, handle, "ArrowRight", 3))
    page.wait_for_selector(".clip-time :text('0.30 s'), .clip-time:text('0.30 s')")


@pytest.mark.parametrize("lesson", [path.stem for path in COURSE])
def test_a_lesson_runs_and_its_instrument_fits_the_page(course, lesson):
    with browsing.page_of_browser() as page:
        assert browsing.run_all_cells(page, course(f"{lesson}.ipynb")) == []
        fits_next_to_the_sidebar(page, lesson)
        if lesson in NEXT_TO_THE_PICTURE:
            for width in NOTEBOOK_WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(500)
                assert browsing.stands_next_to(page, ".instrument-picture", NEXT_TO_THE_PICTURE[lesson])
        page.evaluate("window.jupyterapp.shell.collapseLeft()")
        instrument = page.locator(".instrument, .circle-instrument, .swap-explorer").first  # no progress bar
        instrument.wait_for()
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 2600})
            page.wait_for_timeout(500)
            instrument.screenshot(path=SCREENSHOTS / f"lesson_{lesson}_{width}.png")
            box = instrument.bounding_box()
            assert box["x"] + box["width"] <= width
            if lesson == "2_in_the_wild":
                assert nothing_is_cut_off(page, ["factor-mixer"]) == []
        touch_and_answer = {"1_action_units": a_brow_is_raised, "6_pulling_together": a_point_is_dragged}
        if lesson in touch_and_answer:
            touch_and_answer[lesson](page)


def a_brow_is_raised(page) -> None:
    """A slider moves the face and writes what a coder would; half an answer gets its hint."""
    browsing.changed_by(page, ".au-sheet-face", lambda: browsing.press(page, ".AU01 .noUi-handle", "End"))
    page.wait_for_selector(".au-sheet-said :text('AU01E')")
    browsing.answer(page, "answer_1", '{"AU01": 3}', "find the AU of the outer ends")
    browsing.answer(page, "answer_1", '{"AU01": 3, "AU02": 3}', "Right")


def a_point_is_dragged(page) -> None:
    """The mouse moves dot 1 and ring 2, keys move ring 3; loss and table follow; answers are judged."""
    said = page.locator(".circle-said")
    circle = page.locator(".circle-points").bounding_box()
    middle = circle["x"] + circle["width"] / 2, circle["y"] + circle["height"] / 2
    before = said.inner_text()
    browsing.changed_by(
        page, ".circle-table", lambda: browsing.drag(page, ".circle-dot-1", (middle[0] - 90, middle[1] + 2))
    )
    page.wait_for_function("old => document.querySelector('.circle-said').innerText !== old", arg=before)
    degrees = page.locator(".circle-dot-1").get_attribute("aria-valuenow")
    assert float(degrees) == pytest.approx(180, abs=3)
    below = middle[0] + 2, middle[1] + 90
    browsing.changed_by(page, ".circle-table", lambda: browsing.drag(page, ".circle-ring-2", below))
    degrees = page.locator(".circle-ring-2").get_attribute("aria-valuenow")  # grasped inside the ring
    assert float(degrees) == pytest.approx(270, abs=3)
    browsing.changed_by(page, ".circle-table", lambda: browsing.press(page, ".circle-ring-3", "ArrowUp", 2))
    assert page.locator(".circle-ring-3").get_attribute("aria-valuenow") == "245"
    page.locator(".circle-pull").first.wait_for(state="attached")
    page.locator(".circle-instrument").screenshot(path=SCREENSHOTS / "lesson_6_dragged.png")
    browsing.answer(page, "answer_2", "[0, 90, 180, 200]", "Faces 3 and 4 are only 20")
    browsing.answer(page, "answer_2", "[0, 90, 180, 270]", "Right")
