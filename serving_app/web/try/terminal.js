// The same question as a command for a terminal.
import { $ } from "./dom.js";

/** Shows a request to a path of this service, relative to the page as everything here is. */
export function terminal(path, data) {
  const url = new URL(path, location.href);
  $("curl").textContent = `curl ${url} -H 'Content-Type: application/json' \\\n  -d ${data}`;
}

export function copying() {
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard?.writeText($("curl").textContent);
    $("copy").textContent = navigator.clipboard ? "Copied" : "Select the text to copy it";
  });
}
