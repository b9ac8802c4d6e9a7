// Points on a circle: drag them, or Tab to one and press arrow keys. Python computes the pulls.
const SPACE = "http://www.w3.org/2000/svg", RADIUS = 100, VIEWS = ["first", "second"];

function made(kind, parent, attributes) {
  const element = document.createElementNS(SPACE, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
}

function at(degrees, radius = RADIUS) {
  const turn = (degrees * Math.PI) / 180;
  return [radius * Math.cos(turn), -radius * Math.sin(turn)];
}

function render({ model, el }) {
  const svg = made("svg", el, {
    viewBox: "-150 -150 300 300", class: "circle-points", role: "group", "data-lm-suppress-shortcuts": "true",
    "aria-label": "faces on a circle: drag a point, or Tab to it and press arrow keys",
  });
  made("circle", svg, { r: RADIUS, class: "circle-line" });
  const colours = model.get("colours");
  const joins = colours.map((colour) => made("line", svg, { stroke: colour, class: "circle-join" }));
  const pulls = made("g", svg, {}), numbers = made("g", svg, {});
  const rings = made("g", svg, {}), dots = made("g", svg, {});  // a dot inside a ring can still be dragged
  const points = VIEWS.map((view) => colours.map((colour, face) => {
    const name = `${view === "first" ? "dot" : "ring"} ${face + 1}`;
    const point = made("g", view === "first" ? dots : rings, {
      class: `circle-point circle-${name.replace(" ", "-")}`, tabindex: 0, role: "slider",
      "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 360,
    });
    made("title", point, {}).textContent = name;
    made("circle", point, { r: 17, class: "circle-focus" });
    if (view === "first") made("circle", point, { r: 7.5, fill: colour });
    else {
      made("circle", point, { r: 11, class: "circle-ring", stroke: colour });
      made("circle", point, { r: 13, class: "circle-grip" });
    }
    point.addEventListener("pointerdown", (event) => {
      point.setPointerCapture(event.pointerId);
      point.focus();
      event.preventDefault();
    });
    point.addEventListener("pointermove", (event) => {
      if (!point.hasPointerCapture(event.pointerId)) return;
      const box = svg.getBoundingClientRect();
      const right = event.clientX - box.left - box.width / 2, up = box.top + box.height / 2 - event.clientY;
      move(view, face, (Math.atan2(up, right) * 180) / Math.PI);
    });
    point.addEventListener("keydown", (event) => {
      const way = { ArrowUp: 1, ArrowLeft: 1, ArrowDown: -1, ArrowRight: -1 }[event.key];
      if (!way) return;
      move(view, face, model.get(view)[face] + way * (event.shiftKey ? 1 : 5));
      event.preventDefault();
      event.stopPropagation();
    });
    return point;
  }));

  function move(view, face, degrees) {
    const angles = [...model.get(view)];
    angles[face] = ((Math.round(degrees) % 360) + 360) % 360;
    model.set(view, angles);
    model.save_changes();
  }

  function draw() {
    const angles = VIEWS.map((view) => model.get(view));
    joins.forEach((join, face) => {
      const [x1, y1] = at(angles[0][face]), [x2, y2] = at(angles[1][face]);
      for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) join.setAttribute(name, value);
    });
    points.forEach((row, view) => row.forEach((point, face) => {
      const degrees = angles[view][face];
      point.setAttribute("transform", `translate(${at(degrees)})`);
      point.setAttribute("aria-valuenow", degrees);
      point.setAttribute("aria-valuetext", `${Math.round(degrees)} degrees`);
    }));
    const together = {};  // faces whose dots coincide share one place for their numbers
    angles[0].forEach((degrees, face) => (together[Math.round(degrees)] ??= []).push(face + 1));
    numbers.replaceChildren();
    for (const [degrees, faces] of Object.entries(together)) {
      const [x, y] = at(+degrees, 130);
      made("text", numbers, { x, y, class: "circle-number" }).textContent = faces.join(", ");
    }
    pulls.replaceChildren();
    const said = model.get("pulls");
    if (JSON.stringify(said.at) !== JSON.stringify(angles)) return;  // of points that have moved since
    said.lengths.forEach((row, view) => row.forEach((length, face) => {
      if (!length) return;
      const [x, y] = at(angles[view][face]), far = length * RADIUS, back = Math.sign(far) * 9;
      const along = [y / RADIUS, -x / RADIUS], out = [x / RADIUS, y / RADIUS];
      const on = (way, aside) => [0, 1].map((k) => [x, y][k] + along[k] * way + out[k] * aside);
      made("path", pulls, {
        class: "circle-pull",
        d: `M${[x, y]} L${on(far, 0)} M${on(far - back, 4)} L${on(far, 0)} L${on(far - back, -4)}`,
      });
    }));
  }

  for (const name of [...VIEWS, "pulls"]) model.on(`change:${name}`, draw);
  draw();
  return () => { for (const name of [...VIEWS, "pulls"]) model.off(`change:${name}`, draw); };
}
export default { render };
