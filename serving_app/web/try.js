// The page /try: a picture or numbers in, labels and scores out. Asks the same /v2/…/infer as every other client.
import { asking } from "./try/answer.js";
import { $, show } from "./try/dom.js";
import { numbers } from "./try/numbers.js";
import { pictures } from "./try/pad.js";
import { copying } from "./try/terminal.js";

try {
  const response = await fetch("try.json");
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  start(await response.json());
} catch (error) {
  $("trouble").textContent = `The service does not say what it serves: ${error.message}. Reload this page to try again.`;
  show("trouble");
}

function start(facts) {
  document.title = `Try ${facts.service}`;
  $("service").textContent = facts.service;
  $("version").textContent = [`model ${facts.version}`, facts.environment, facts.release].filter(Boolean).join(" · ");
  const answer = asking(facts);
  copying();
  if (facts.image) pictures(facts, answer);
  else numbers(facts, answer);
}
