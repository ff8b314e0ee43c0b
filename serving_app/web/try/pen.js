// The pen: strokes of a mouse, finger or stylus, and of the arrow keys.
const PEN_STEP = 12;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function drawWithPointer(pad, drawing, size, changed, paint) {
  let stroke = null;
  const at = (event) => {
    const box = pad.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return { x: x * pad.width, y: y * pad.height };
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    stroke = { points: [at(event)], size: size() };
    drawing.strokes.push(stroke);
    paint();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const one of between.length ? between : [event]) stroke.points.push(at(one));
    changed();
  });
  for (const end of ["pointerup", "pointercancel"])
    pad.addEventListener(end, () => {
      if (!stroke) return;
      stroke = null;
      changed(0);
    });
}

export function drawWithKeys(pad, drawing, size, changed, paint, clear) {
  const clamp = (value, most) => Math.max(0, Math.min(most, value));
  let cursor = { x: pad.width / 2, y: pad.height / 2 };
  let down = false;

  function mark() {
    const context = pad.getContext("2d");
    context.strokeStyle = down ? "#1d4ed8" : "#737b89";
    context.lineWidth = 2;
    context.strokeRect(cursor.x - 9, cursor.y - 9, 18, 18);
  }

  pad.addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    if (event.key === " ") {
      down = !down;
      if (down) drawing.strokes.push({ points: [{ ...cursor }], size: size() });
    } else if (event.key === "Delete" || event.key === "Backspace") {
      down = false;
      clear();
    } else if (step) {
      const [x, y] = [cursor.x + step[0] * PEN_STEP, cursor.y + step[1] * PEN_STEP];
      cursor = { x: clamp(x, pad.width), y: clamp(y, pad.height) };
      if (down && drawing.strokes.length) drawing.strokes.at(-1).points.push({ ...cursor });
    } else return;
    event.preventDefault();
    if (down) changed(250);
    else paint();
    mark();
  });
  pad.addEventListener("focus", () => { if (pad.matches(":focus-visible")) mark(); });
  pad.addEventListener("blur", () => { down = false; paint(); });
}
