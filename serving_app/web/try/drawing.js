// What is on the paper: a picture, strokes of the pen, or strokes over a picture.
import { canvas } from "./dom.js";

const LARGEST_SCALE = 4;

export class Drawing {
  photo = null;
  strokes = []; // {points: [{x, y}], size}, in the paper's pixels

  /** `image` is the member of model.json: how the service fits pictures. */
  constructor(width, height, paper, ink, image) {
    Object.assign(this, { width, height, paper, ink, image });
  }

  get empty() {
    return !this.photo && !this.strokes.length;
  }

  clear() {
    this.photo = null;
    this.strokes = [];
  }

  undo() {
    if (!this.strokes.pop()) this.photo = null;
  }

  /** Paints all of it as a person sees it. */
  paint(context) {
    this.#fill(context);
    if (this.photo) context.drawImage(this.photo, ...this.#centred(Math.min));
    this.#draw(context);
  }

  /** Returns what is sent; `fit` moves and scales a drawing so that it fills the frame as training pictures do. */
  sent(fit) {
    const made = canvas(this.width, this.height);
    const context = made.getContext("2d");
    const { fit: fitted, padding } = this.image;
    this.#fill(context, this.photo && fitted === "contain" ? `rgb(${colour(padding)})` : this.paper);
    const all = [0, 0, made.width, made.height];
    const places = { cover: () => this.#centred(Math.max), contain: () => this.#centred(Math.min), stretch: () => all };
    if (this.photo) context.drawImage(this.photo, ...places[fitted]());
    if (fit && !this.photo && this.strokes.length) this.#centre(context);
    this.#draw(context);
    return made;
  }

  #fill(context, style = this.paper) {
    context.fillStyle = style;
    context.fillRect(0, 0, this.width, this.height);
  }

  /** Left, top, width and height of the photo in the middle: all of it (Math.min), or as much as covers (Math.max). */
  #centred(pick) {
    const scale = pick(this.width / this.photo.width, this.height / this.photo.height);
    const [w, h] = [this.photo.width * scale, this.photo.height * scale];
    return [(this.width - w) / 2, (this.height - h) / 2, w, h];
  }

  #centre(context) {
    const edges = (axis, sign) => this.strokes.flatMap((s) => s.points.map((p) => p[axis] + (sign * s.size) / 2));
    const [left, right] = [Math.min(...edges("x", -1)), Math.max(...edges("x", 1))];
    const [top, bottom] = [Math.min(...edges("y", -1)), Math.max(...edges("y", 1))];
    const scale = Math.min(this.width / (right - left), this.height / (bottom - top), LARGEST_SCALE);
    context.translate(this.width / 2, this.height / 2);
    context.scale(scale, scale);
    context.translate(-(left + right) / 2, -(top + bottom) / 2);
  }

  #draw(context) {
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = this.ink;
    for (const { points, size } of this.strokes) {
      context.lineWidth = size;
      context.beginPath();
      trace(context, points);
      context.stroke();
    }
  }
}

const colour = (padding) => (padding.length === 3 ? padding : [padding[0], padding[0], padding[0]]);

/** A curve through the middles between the points, which a hand's few points a second become smooth by. */
function trace(context, points) {
  const last = points.at(-1);
  context.moveTo(points[0].x, points[0].y);
  for (let i = 1; i < points.length - 1; i++) {
    const [a, b] = [points[i], points[i + 1]];
    context.quadraticCurveTo(a.x, a.y, (a.x + b.x) / 2, (a.y + b.y) / 2);
  }
  context.lineTo(last.x + 0.01, last.y); // a dot is a line too
}

/** Shows a picture at the model's size. */
export function shrink(picture, small, image) {
  const { width, height, resize } = image;
  [small.width, small.height] = [width, height];
  small.classList.toggle("coarse", Math.max(width, height) < 64);
  // Halving first is what keeps thin strokes: one step from 560 to 8 would look at few of the pixels.
  let from = picture;
  while (from.width >= width * 2 && from.height >= height * 2) {
    const half = canvas(Math.ceil(from.width / 2), Math.ceil(from.height / 2));
    half.getContext("2d").drawImage(from, 0, 0, half.width, half.height);
    from = half;
  }
  const context = small.getContext("2d");
  context.filter = image.mode === "L" ? "grayscale(1)" : "none";
  const part = resize ? Math.min(width, height) / resize : 1; // the middle is cut out
  const [w, h] = [from.width * part, from.height * part];
  context.drawImage(from, (from.width - w) / 2, (from.height - h) / 2, w, h, 0, 0, width, height);
}
