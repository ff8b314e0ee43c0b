// The form for models that take numbers: a shape and values for each input.
import { $, element, show } from "./dom.js";
import { terminal } from "./terminal.js";

export function numbers({ inputs }, answer) {
  show("numbers");
  $("nothing").textContent = "Ask, and the model's outputs appear here.";
  $("tensors").replaceChildren(...inputs.map(fields));
  const body = () => ({ inputs: inputs.map(read) });
  const command = () => {
    try {
      terminal(answer.infer, `'${JSON.stringify(body()).replaceAll("'", "'\\''")}'`);
    } catch { /* half-typed numbers: the last good command stays */ }
  };
  const submit = () => {
    try {
      answer.ask(body());
    } catch (error) {
      answer.trouble(error.message, error.field);
    }
  };
  const form = $("numbers");
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  form.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(); });
  form.addEventListener("input", command);
  command();
}

function fields(tensor, i) {
  const set = document.createElement("fieldset");
  const shape = tensor.shape.map((size) => (size === -1 ? 1 : size));
  const known = tensor.shape.map((size) => (size === -1 ? "any" : size)).join(", ");
  set.append(element("legend", "", tensor.name));
  set.append(element("span", "quiet", `${tensor.datatype}, [${known}]`));
  set.append(labelled("Shape", "input", i, "shape", shape.join(", ")));
  set.append(labelled("Values, a row on each line", "textarea", i, "data", zeros(tensor.datatype, shape)));
  return set;
}

function labelled(words, tag, i, member, value) {
  const label = element("label", "", words);
  const box = document.createElement(tag);
  Object.assign(box, { value, spellcheck: false, autocomplete: "off" });
  Object.assign(box.dataset, { input: i, member });
  label.append(box);
  return label;
}

function zeros(datatype, shape) {
  const one = { BOOL: "false", BYTES: '""' }[datatype] ?? "0";
  const columns = shape.slice(1).reduce((a, b) => a * b, 1);
  return Array(shape[0] ?? 1).fill(Array(columns).fill(one).join(", ")).join("\n");
}

function read(tensor, i) {
  const { name, datatype } = tensor;
  return { name, datatype, shape: list(i, "shape"), data: list(i, "data") };
}

function list(i, member) {
  const text = document.querySelector(`[data-input="${i}"][data-member="${member}"]`).value;
  const joined = text.trim().replace(/[\s,;]*\n[\s,;]*/g, ",").replace(/^\[|\]$/g, "");
  try {
    return JSON.parse(`[${joined}]`).flat(Infinity);
  } catch {
    throw Object.assign(new Error("give values with commas between them"), { field: `inputs[${i}].${member}` });
  }
}
