// A model's outputs: labels as bars, everything else as tables.
import { $, element } from "./dom.js";

const MOST_BARS = 10;
const MOST_ROWS = 50;
const MOST_COLUMNS = 50;

/** The output that holds the scores: numbers, one for each label in a row, or one for two labels. */
export function scored(facts, outputs) {
  const fits = (columns) => columns === facts.labels.length || (columns === 1 && facts.labels.length === 2);
  const fitting = (output) => output.datatype.startsWith("FP") && fits(output.data.length / output.shape[0]);
  return outputs.find(fitting) ?? outputs[0];
}

export function bars(facts, output) {
  const logits = facts.scores === "logits";
  const row = output.data.slice(0, output.data.length / output.shape[0]);
  // One score of two labels is that of the second.
  const scores = percents(row.length === 1 && facts.labels.length === 2 ? [logits ? 0 : 1 - row[0], row[0]] : row, logits);
  const best = scores.map((percent, i) => ({ percent, label: facts.labels[i] })).sort((a, b) => b.percent - a.percent);
  const shown = best.slice(0, MOST_BARS);
  $("label").textContent = best[0].label;
  $("label").classList.toggle("long", best[0].label.length > 8);
  $("percent").textContent = words(best[0].percent);
  const width = Math.min(12, Math.max(...shown.map((one) => one.label.length)) * 0.62 + 0.4);
  $("scores").style.setProperty("--label-width", `${width}rem`);
  $("scores").replaceChildren(...shown.map(bar));
  const notes = [];
  if (best.length > MOST_BARS) notes.push(`and ${best.length - MOST_BARS} more labels`);
  if (output.shape[0] > 1) notes.push(`this is the first of ${output.shape[0]} rows`);
  $("rest").textContent = notes.join("; ");
}

function bar({ percent, label }) {
  const name = element("span", "name", label);
  name.title = label;
  const fill = element("span", "fill");
  fill.classList.toggle("some", percent > 0);
  fill.style.width = `${Math.max(0, Math.min(100, percent))}%`;
  const track = element("span", "track");
  track.append(fill);
  const item = element("li", "");
  item.append(name, track, element("span", "value", words(percent)));
  return item;
}

function percents(scores, logits) {
  if (!logits) return scores.map((score) => score * 100);
  const top = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => (power / sum) * 100);
}

const words = (percent) => `${percent.toFixed(percent >= 99.95 || percent === 0 ? 0 : 1)} %`;

export function tables(outputs) {
  $("outputs").replaceChildren(...outputs.flatMap((output) => {
    const box = document.createElement("div");
    box.append(table(output));
    return [element("h3", "", `${output.name} · ${output.datatype} [${output.shape.join(", ")}]`), box];
  }));
}

function table({ shape, data }) {
  const columns = shape.length > 1 ? shape.slice(1).reduce((a, b) => a * b, 1) : 1;
  const made = document.createElement("table");
  for (let row = 0; row * columns < data.length && row < MOST_ROWS; row++) {
    const line = made.insertRow();
    for (const value of data.slice(row * columns, row * columns + Math.min(columns, MOST_COLUMNS)))
      line.insertCell().textContent = typeof value === "number" ? String(Number(value.toPrecision(7))) : String(value);
  }
  return made;
}
