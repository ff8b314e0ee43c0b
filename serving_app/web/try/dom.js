// Short words for what every part of the page does with its elements.
export const $ = (id) => document.getElementById(id);

export const show = (id, on = true) => {
  $(id).hidden = !on;
};

export function element(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

export function canvas(width, height) {
  const made = document.createElement("canvas");
  [made.width, made.height] = [width, height];
  return made;
}
