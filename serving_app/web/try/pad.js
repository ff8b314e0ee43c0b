// The paper: what is drawn on it, and pictures that are chosen, dropped or pasted; asks about each change.
import { $, show } from "./dom.js";
import { Drawing, shrink } from "./drawing.js";
import { drawWithKeys, drawWithPointer } from "./pen.js";
import { terminal } from "./terminal.js";

const SIDE = 560;
const SENT_AS_IT_IS = /png|jpeg|gif|webp|bmp/;

export function pictures(facts, answer) {
  const { width, height, mode, invert } = facts.image;
  const grey = mode === "L";
  const pad = $("pad");
  pad.width = Math.round(SIDE * Math.min(1, width / height));
  pad.height = Math.round(SIDE * Math.min(1, height / width));
  // A grey model that does not invert was taught light strokes on black, as MNIST is.
  const [paper, ink] = grey && !invert ? ["#000", "#fff"] : ["#fff", "#16181d"];
  const drawing = new Drawing(pad.width, pad.height, paper, ink, facts.image);
  const context = pad.getContext("2d", { willReadFrequently: true });
  let timer = 0;

  show("picture");
  show("options");
  show("fit-label", grey);
  $("fit").checked = grey;
  $("nothing").textContent = "Draw something, and the model says what it sees.";
  $("seen-size").textContent = `${width} × ${height}, ${grey ? "grey" : "colour"}`;
  pad.style.background = drawing.paper;
  terminal("score", `"{\\"input\\": [\\"$(base64 -w0 picture.png)\\"]}"`);

  function paint() {
    drawing.paint(context);
    $("hint").hidden = !drawing.empty;
    $("undo").disabled = $("clear").disabled = drawing.empty;
  }

  function look() {
    const picture = drawing.sent($("fit").checked);
    shrink(picture, $("preview"), facts.image);
    return picture;
  }

  const input = { name: facts.inputs[0].name, datatype: "BYTES", shape: [1] };
  const ask = (base64) => answer.ask({ inputs: [{ ...input, data: [base64] }] });

  function changed(wait = 120) {
    paint();
    clearTimeout(timer);
    if (drawing.empty) {
      look();
      return answer.forget();
    }
    answer.outdate();
    timer = setTimeout(() => ask(look().toDataURL("image/png").split(",")[1]), wait);
  }

  async function take(file) {
    if (!file) return;
    let photo;
    try {
      photo = await createImageBitmap(file);
    } catch {
      return answer.trouble(`${file.name || "That"} is not a picture that this browser can show.`);
    }
    drawing.clear();
    drawing.photo = photo;
    if (file.size * 1.4 > facts.max_body_bytes || !SENT_AS_IT_IS.test(file.type)) return changed(0);
    // The file itself goes, not the canvas: the service scales it in its own way.
    clearTimeout(timer);
    paint();
    look();
    ask(await base64(file));
  }

  const size = () => ($("pen").value / 100) * Math.max(pad.width, pad.height);
  const clear = () => {
    drawing.clear();
    changed();
  };
  drawWithPointer(pad, drawing, size, changed, paint);
  drawWithKeys(pad, drawing, size, changed, paint, clear);
  $("clear").addEventListener("click", clear);
  $("undo").addEventListener("click", () => { drawing.undo(); changed(); });
  $("pen").addEventListener("input", () => {
    if (!drawing.strokes.length) return;
    drawing.strokes.at(-1).size = size();
    changed();
  });
  $("fit").addEventListener("change", () => changed(0));
  takeFiles(take);
  changed();
}

function takeFiles(take) {
  const dropping = (on) => document.body.classList.toggle("dropping", on);
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { take($("file").files[0]); $("file").value = ""; });
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  document.addEventListener("dragover", (event) => { event.preventDefault(); dropping(true); });
  document.addEventListener("dragleave", () => dropping(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    dropping(false);
    take(event.dataTransfer.files[0]);
  });
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}
