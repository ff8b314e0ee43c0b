// Asks the model, and shows its answer or what was wrong with the question.
import { $, show } from "./dom.js";
import { bars, scored, tables } from "./scores.js";

export function asking(facts) {
  const infer = `v2/models/${encodeURIComponent(facts.service)}/infer`;
  let latest = 0; // an answer to an older question is not shown

  async function ask(body) {
    const mine = ++latest;
    busy(true);
    $("result").classList.add("stale");
    const start = performance.now();
    let answer, response;
    try {
      const headers = { "Content-Type": "application/json" };
      response = await fetch(infer, { method: "POST", headers, body: JSON.stringify(body) });
      answer = await response.json();
    } catch {
      if (mine !== latest) return;
      const silent = "The service does not answer. Is it still running?";
      return trouble(response ? `The service answered ${response.status} without JSON.` : silent);
    }
    if (mine !== latest) return;
    if (!response.ok) return trouble(answer.detail ?? response.statusText, answer.field);
    render(answer, performance.now() - start);
  }

  function render(answer, milliseconds) {
    settle("result");
    $("result").classList.remove("stale");
    for (const box of document.querySelectorAll("[aria-invalid]")) box.removeAttribute("aria-invalid");
    $("time").textContent = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms there and back`;
    const labelled = facts.labels.length > 0;
    show("best", labelled);
    show("scores", labelled);
    $("rest").textContent = "";
    const scores = labelled ? scored(facts, answer.outputs) : null;
    if (scores) bars(facts, scores);
    tables(answer.outputs.filter((output) => output !== scores));
  }

  function trouble(words, field = "") {
    latest++;
    settle("trouble");
    $("trouble").textContent = field ? `${field}: ${words}` : words;
    const [, input, member] = /^inputs\[(\d+)\]\.?(\w*)/.exec(field) ?? [];
    for (const box of document.querySelectorAll("#tensors input, #tensors textarea")) {
      const wrong = box.dataset.input === input && (!member || box.dataset.member === member);
      box.setAttribute("aria-invalid", String(wrong));
    }
  }

  /** There is nothing to ask about any more. */
  function forget() {
    latest++;
    settle("nothing");
  }

  /** What is being asked about has changed: its answer is no longer wanted, the next one is on its way. */
  function outdate() {
    latest++;
    busy(true);
  }

  return { infer, ask, trouble, forget, outdate };
}

const busy = (on) => $("answer").setAttribute("aria-busy", String(on));

function settle(shown) {
  busy(false);
  $("time").textContent = "";
  for (const id of ["trouble", "result", "nothing"]) show(id, id === shown);
}
