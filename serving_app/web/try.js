// The page /try: a picture or numbers in, labels and scores out. Asks the same /v2/…/infer as every other client.
const $ = (id) => document.getElementById(id);
const show = (id, on = true) => { $(id).hidden = !on; };
const MOST_BARS = 10;
const PEN_STEP = 12;
const facts = await (await fetch("try.json")).json();
const infer = `v2/models/${encodeURIComponent(facts.service)}/infer`;

document.title = `Try ${facts.service}`;
$("service").textContent = facts.service;
$("version").textContent = [`model ${facts.version}`, facts.environment, facts.release].filter(Boolean).join(" · ");

// ---- asking ---------------------------------------------------------------------------------------------------------

let latest = 0;

async function ask(body) {
  const mine = ++latest;
  busy(true);
  $("result").classList.add("stale");
  const start = performance.now();
  let answer, response;
  try {
    response = await fetch(infer, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    answer = await response.json();
  } catch {
    if (mine === latest) trouble(response ? `The service answered ${response.status} without JSON.` : "The service does not answer. Is it still running?");
    return;
  }
  if (mine !== latest) return; // a newer drawing is already being asked about
  if (!response.ok) return trouble(answer.detail ?? response.statusText, answer.field);
  render(answer, performance.now() - start);
}

function trouble(words, field = "") {
  busy(false);
  $("trouble").textContent = field ? `${field}: ${words}` : words;
  show("trouble");
  show("result", false);
  show("nothing", false);
  $("time").textContent = "";
  const index = /^inputs\[(\d+)\]\.?(\w*)/.exec(field);
  for (const box of document.querySelectorAll("#tensors input, #tensors textarea"))
    box.setAttribute("aria-invalid", String(index !== null && box.dataset.input === index[1] && (!index[2] || box.dataset.member === index[2])));
}

const busy = (on) => $("answer").setAttribute("aria-busy", String(on));

function forget() {
  busy(false);
  latest++;
  show("trouble", false);
  show("result", false);
  show("nothing");
  $("time").textContent = "";
}

function render(answer, milliseconds) {
  busy(false);
  show("trouble", false);
  show("nothing", false);
  show("result");
  $("result").classList.remove("stale");
  for (const box of document.querySelectorAll("[aria-invalid]")) box.removeAttribute("aria-invalid");
  $("time").textContent = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms there and back`;
  const first = answer.outputs[0];
  const labelled = facts.labels.length > 0;
  show("best", labelled);
  show("scores", labelled);
  $("rest").textContent = "";
  if (labelled) bars(percents(first.data.slice(0, facts.labels.length)), first.shape[0]);
  tables(labelled ? answer.outputs.slice(1) : answer.outputs);
}

function percents(scores) {
  if (facts.scores !== "logits") return scores.map((score) => score * 100);
  const top = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => (power / sum) * 100);
}

function bars(scores, rows) {
  const best = scores.map((percent, i) => ({ percent, label: facts.labels[i] })).sort((a, b) => b.percent - a.percent);
  $("label").textContent = best[0].label;
  $("label").classList.toggle("long", best[0].label.length > 8);
  $("percent").textContent = words(best[0].percent);
  const width = Math.min(12, Math.max(...best.slice(0, MOST_BARS).map((one) => one.label.length)) * 0.62 + 0.4);
  $("scores").style.setProperty("--label-width", `${width}rem`);
  $("scores").replaceChildren(...best.slice(0, MOST_BARS).map(({ percent, label }) => {
    const name = element("span", "name", label);
    name.title = label;
    const fill = element("span", "fill");
    fill.classList.toggle("some", percent > 0);
    fill.style.width = `${Math.max(0, Math.min(100, percent))}%`;
    const track = element("span", "track");
    track.append(fill);
    const item = document.createElement("li");
    item.append(name, track, element("span", "value", words(percent)));
    return item;
  }));
  const notes = [];
  if (best.length > MOST_BARS) notes.push(`and ${best.length - MOST_BARS} more labels`);
  if (rows > 1) notes.push(`this is the first of ${rows} rows`);
  $("rest").textContent = notes.join("; ");
}

const words = (percent) => `${percent.toFixed(percent >= 99.95 || percent === 0 ? 0 : 1)} %`;

function tables(outputs) {
  $("outputs").replaceChildren(...outputs.flatMap((output) => {
    const columns = output.shape.length > 1 ? output.shape.slice(1).reduce((a, b) => a * b, 1) : 1;
    const table = document.createElement("table");
    for (let row = 0; row * columns < output.data.length && row < 50; row++) {
      const line = table.insertRow();
      for (const value of output.data.slice(row * columns, row * columns + Math.min(columns, 50)))
        line.insertCell().textContent = typeof value === "number" ? String(Number(value.toPrecision(7))) : String(value);
    }
    const box = document.createElement("div");
    box.append(table);
    return [element("h3", "", `${output.name} · ${output.datatype} [${output.shape.join(", ")}]`), box];
  }));
}

function element(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

// ---- a picture ------------------------------------------------------------------------------------------------------

function pictures({ input, width, height, mode, invert }) {
  show("picture");
  show("options");
  $("nothing").textContent = "Draw something, and the model says what it sees.";
  const pad = $("pad");
  const side = 560;
  pad.width = Math.round(side * Math.min(1, width / height));
  pad.height = Math.round(side * Math.min(1, height / width));
  // A grey model that does not invert was taught light strokes on black, as MNIST is.
  const [paper, ink] = mode === "L" && !invert ? ["#000", "#fff"] : ["#fff", "#16181d"];
  const pen = pad.getContext("2d", { willReadFrequently: true });
  const strokes = [];
  let photo = null, stroke = null, timer = 0, cursor = { x: pad.width / 2, y: pad.height / 2 }, down = false;
  pad.style.background = paper;
  show("fit-label", mode === "L");
  $("fit").checked = mode === "L";
  $("seen-size").textContent = `${width} × ${height}, ${mode === "L" ? "grey" : "colour"}`;

  function paint(marker = false) {
    pen.fillStyle = paper;
    pen.fillRect(0, 0, pad.width, pad.height);
    if (photo) {
      const scale = Math.min(pad.width / photo.width, pad.height / photo.height);
      const [w, h] = [photo.width * scale, photo.height * scale];
      pen.drawImage(photo, (pad.width - w) / 2, (pad.height - h) / 2, w, h);
    }
    draw(pen, (point) => point, 1);
    if (marker) {
      pen.strokeStyle = down ? "#1d4ed8" : "#737b89";
      pen.lineWidth = 2;
      pen.strokeRect(cursor.x - 9, cursor.y - 9, 18, 18);
    }
    $("hint").hidden = Boolean(photo || strokes.length);
    $("undo").disabled = $("clear").disabled = !(photo || strokes.length);
  }

  function draw(context, move, scale) {
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = ink;
    for (const { points, size } of strokes) {
      context.lineWidth = size * scale;
      context.beginPath();
      points.map(move).forEach(({ x, y }, i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      if (points.length === 1) context.lineTo(move(points[0]).x + 0.01, move(points[0]).y);
      context.stroke();
    }
  }

  // What is sent: the drawing, moved and scaled so that it fills the frame as the training pictures do, if asked.
  function sent() {
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [pad.width, pad.height];
    const context = copy.getContext("2d");
    context.fillStyle = paper;
    context.fillRect(0, 0, copy.width, copy.height);
    if (photo) {
      context.drawImage(photo, 0, 0, copy.width, copy.height);
      draw(context, (point) => point, 1);
      return copy;
    }
    let scale = 1, from = { x: 0, y: 0 }, to = from;
    if ($("fit").checked && strokes.length) {
      const xs = strokes.flatMap((s) => s.points.flatMap((p) => [p.x - s.size / 2, p.x + s.size / 2]));
      const ys = strokes.flatMap((s) => s.points.flatMap((p) => [p.y - s.size / 2, p.y + s.size / 2]));
      const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
      scale = Math.min(copy.width / (right - left), copy.height / (bottom - top), 4);
      from = { x: (left + right) / 2, y: (top + bottom) / 2 };
      to = { x: copy.width / 2, y: copy.height / 2 };
    }
    draw(context, ({ x, y }) => ({ x: (x - from.x) * scale + to.x, y: (y - from.y) * scale + to.y }), scale);
    return copy;
  }

  function preview(canvas) {
    const small = $("preview");
    [small.width, small.height] = [width, height];
    small.classList.toggle("coarse", Math.max(width, height) < 64);
    // Halving first is what keeps thin strokes: one step from 560 to 8 would look at few of the pixels.
    let from = canvas;
    while (from.width >= width * 2 && from.height >= height * 2) {
      const half = document.createElement("canvas");
      [half.width, half.height] = [Math.ceil(from.width / 2), Math.ceil(from.height / 2)];
      half.getContext("2d").drawImage(from, 0, 0, half.width, half.height);
      from = half;
    }
    const context = small.getContext("2d");
    context.filter = mode === "L" ? "grayscale(1)" : "none";
    context.drawImage(from, 0, 0, width, height);
  }

  function changed(wait = 120) {
    paint();
    clearTimeout(timer);
    if (!photo && !strokes.length) {
      preview(sent());
      return forget();
    }
    latest++; // what is being asked is no longer what is on the paper
    busy(true);
    timer = setTimeout(() => {
      const canvas = sent();
      preview(canvas);
      const data = canvas.toDataURL("image/png").split(",")[1];
      ask({ inputs: [{ name: input, datatype: "BYTES", shape: [1], data: [data] }] });
    }, wait);
  }

  function at(event) {
    const box = pad.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * pad.width, y: ((event.clientY - box.top) / box.height) * pad.height };
  }

  const size = () => ($("pen").value / 100) * Math.max(pad.width, pad.height);
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    stroke = { points: [at(event)], size: size() };
    strokes.push(stroke);
    paint();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) stroke.points.push(at(one));
    changed();
  });
  for (const end of ["pointerup", "pointercancel"])
    pad.addEventListener(end, () => {
      if (!stroke) return;
      stroke = null;
      changed(0);
    });
  pad.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === " ") {
      down = !down;
      if (down) strokes.push({ points: [{ ...cursor }], size: size() });
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else if (step) {
      cursor = { x: clamp(cursor.x + step[0] * PEN_STEP, pad.width), y: clamp(cursor.y + step[1] * PEN_STEP, pad.height) };
      if (down) strokes.at(-1).points.push({ ...cursor });
    } else return;
    event.preventDefault();
    if (down || event.key !== " ") changed(250);
    paint(true);
  });
  pad.addEventListener("blur", () => { down = false; paint(); });
  const clamp = (value, most) => Math.max(0, Math.min(most, value));

  function clear() {
    [photo, down] = [null, false];
    strokes.length = 0;
    changed();
  }

  async function take(file) {
    if (!file) return;
    try {
      photo = await createImageBitmap(file);
    } catch {
      return trouble(`${file.name || "That"} is not a picture that this browser can show.`);
    }
    strokes.length = 0;
    if (file.size * 1.4 > facts.max_body_bytes || !/png|jpeg|gif|webp|bmp/.test(file.type)) return changed(0);
    // The file itself goes, not the canvas: the service scales it in its own way.
    paint();
    preview(sent());
    const bytes = new Uint8Array(await file.arrayBuffer());
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    ask({ inputs: [{ name: input, datatype: "BYTES", shape: [1], data: [btoa(text)] }] });
  }

  $("clear").addEventListener("click", clear);
  $("undo").addEventListener("click", () => { if (!strokes.pop()) photo = null; changed(); });
  $("pen").addEventListener("input", () => { if (strokes.length) { strokes.at(-1).size = size(); changed(); } });
  $("fit").addEventListener("change", () => changed(0));
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { take($("file").files[0]); $("file").value = ""; });
  document.addEventListener("paste", (event) => take([...event.clipboardData.files][0]));
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take(event.dataTransfer.files[0]);
  });
  changed();
  terminal(`curl ${location.origin}${location.pathname.replace(/try$/, "score")} -H 'Content-Type: application/json' \\\n  -d "{\\"input\\": [\\"$(base64 -w0 picture.png)\\"]}"`);
}

// ---- numbers --------------------------------------------------------------------------------------------------------

function numbers(inputs) {
  show("numbers");
  $("nothing").textContent = "Ask, and the model's outputs appear here.";
  $("tensors").replaceChildren(...inputs.map((tensor, i) => {
    const set = document.createElement("fieldset");
    const shape = tensor.shape.map((size) => (size === -1 ? 1 : size));
    const known = tensor.shape.map((size) => (size === -1 ? "any" : size)).join(", ");
    set.append(element("legend", "", tensor.name));
    set.append(element("span", "quiet", `${tensor.datatype}, [${known}]`));
    set.append(labelled("Shape", "input", i, "shape", shape.join(", ")));
    set.append(labelled("Values, a row on each line", "textarea", i, "data", zeros(tensor.datatype, shape)));
    return set;
  }));
  const body = () => ({ inputs: inputs.map((tensor, i) => read(tensor, i)) });
  const terminalFor = () => {
    try {
      const text = JSON.stringify(body()).replaceAll("'", "'\\''");
      terminal(`curl ${location.origin}${location.pathname.replace(/try$/, infer)} -H 'Content-Type: application/json' \\\n  -d '${text}'`);
    } catch { /* half-typed numbers: the last good command stays */ }
  };
  const submit = () => {
    try {
      ask(body());
    } catch (error) {
      trouble(error.message, error.field);
    }
  };
  $("numbers").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  $("numbers").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(); });
  $("numbers").addEventListener("input", terminalFor);
  terminalFor();
}

function labelled(words, tag, i, member, value) {
  const label = element("label", "", words);
  const box = document.createElement(tag);
  box.value = value;
  box.spellcheck = false;
  box.autocomplete = "off";
  [box.dataset.input, box.dataset.member] = [i, member];
  label.append(box);
  return label;
}

function zeros(datatype, shape) {
  const one = { BOOL: "false", BYTES: '""' }[datatype] ?? "0";
  const columns = shape.length > 1 ? shape.slice(1).reduce((a, b) => a * b, 1) : 1;
  const rows = shape.length ? shape[0] : 1;
  return Array(rows).fill(Array(columns).fill(one).join(", ")).join("\n");
}

function read(tensor, i) {
  const box = (member) => document.querySelector(`[data-input="${i}"][data-member="${member}"]`).value;
  const list = (text, member) => {
    const joined = text.trim().replace(/[\s,;]*\n[\s,;]*/g, ",").replace(/^\[|\]$/g, "");
    try {
      return JSON.parse(`[${joined}]`).flat(Infinity);
    } catch {
      throw Object.assign(new Error("give values with commas between them"), { field: `inputs[${i}].${member}` });
    }
  };
  return { name: tensor.name, datatype: tensor.datatype, shape: list(box("shape"), "shape"), data: list(box("data"), "data") };
}

function terminal(command) {
  $("curl").textContent = command;
}

$("copy").addEventListener("click", async () => {
  await navigator.clipboard?.writeText($("curl").textContent);
  $("copy").textContent = navigator.clipboard ? "Copied" : "Select the text to copy it";
});

if (facts.image) pictures({ input: facts.inputs[0].name, ...facts.image });
else numbers(facts.inputs);
