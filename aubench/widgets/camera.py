"""The browser's camera: one picture after the other, the next when the last one has been looked at."""

from collections.abc import Callable

import anywidget
import traitlets


class Camera(anywidget.AnyWidget):
    """Pictures of the camera while `on`, as JPEG. They go to the kernel, and nowhere else.

    Browsers give the camera to pages of this machine and of https alone.

    Args:
        seen: called with each picture; `next` asks for another one.
        refused: called with the reason where there is no picture.
    """

    _esm = """
    const WIDTH = 640;

    function initialize({ model }) {
        const video = document.createElement("video"), canvas = document.createElement("canvas");
        let turn = 0;  // how often it was switched
        video.muted = true;

        function stop() {
            video.srcObject?.getTracks().forEach(track => track.stop());
            video.srcObject = null;
        }
        async function send() {
            if (!video.srcObject || !video.videoWidth) return;
            canvas.width = Math.min(WIDTH, video.videoWidth);
            canvas.height = Math.round(canvas.width * video.videoHeight / video.videoWidth);
            canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
            const file = await new Promise(done => canvas.toBlob(done, "image/jpeg", 0.92));
            if (video.srcObject) model.send({}, undefined, [await file.arrayBuffer()]);
        }
        async function follow() {
            const mine = ++turn;
            stop();
            if (!model.get("on")) return;
            try {
                if (!navigator.mediaDevices) throw Error("this page is neither of this machine nor https");
                const stream = await navigator.mediaDevices.getUserMedia({ video: { width: WIDTH } });
                if (mine !== turn) return stream.getTracks().forEach(track => track.stop());
                video.srcObject = stream;
                await video.play();
                await send();
            } catch (error) {
                if (mine !== turn) return;
                stop();
                model.send({ fault: error.message });
            }
        }
        model.on("change:on", follow);
        model.on("msg:custom", send);
        return stop;
    }

    export default { initialize };
    """
    on = traitlets.Bool(False).tag(sync=True)

    def __init__(self, seen: Callable[[bytes], None], refused: Callable[[str], None]):
        super().__init__()
        self._seen, self._refused = seen, refused
        self.on_msg(lambda camera, content, pictures: self._told(content, pictures))

    def _told(self, content: dict, pictures: list) -> None:
        if pictures:
            self._seen(bytes(pictures[0]))
        else:
            self.on = False
            self._refused(content["fault"])

    def next(self) -> None:
        """Ask for a picture; without effect while the camera is off."""
        self.send({})
