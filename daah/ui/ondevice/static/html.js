/**
 * Words and pieces of a result as HTML, as the server writes them (`daah/ui/page/html.py`). Whatever
 * a name says is escaped.
 */

import { COLOURS } from "./colours.js";

/** @param {string} text  @returns {string} for HTML */
export function escaped(text) {
  const marks = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;" };
  return String(text).replace(/[&<>"']/g, (mark) => marks[mark]);
}

/** `3 faces`, `1 face`. */
export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** A sentence, with the tone that goes with it: "", "good", "far", "none" or "bad". */
export function say(place, text, tone = "") {
  if (place.textContent !== text) place.textContent = text;
  place.className = `say ${tone}`;
}

/** A slider between two pictures on top of each other. */
export function compare(below, above, words, belowWords) {
  return (
    '<div class="compare" style="--cut:50%">' +
    `<img alt="${escaped(belowWords)}" src="${below.toDataURL("image/jpeg", 0.92)}">` +
    `<img class="over" alt="Heatmap of attention on ${escaped(words)}" ` +
    `src="${above.toDataURL("image/jpeg", 0.92)}">` +
    '<i aria-hidden="true"></i><input type="range" min="0" max="100" value="50" data-cut ' +
    `aria-label="Share of the heatmap shown on ${escaped(words)}"></div>`
  );
}

/** The scale of a heatmap, with words for both ends. */
export function colourKey(low, high) {
  const strip = document.createElement("canvas");
  strip.width = 256;
  strip.height = 8;
  const pen = strip.getContext("2d");
  for (let x = 0; x < 256; x += 1) {
    pen.fillStyle = `rgb(${COLOURS.subarray(3 * x, 3 * x + 3).join(" ")})`;
    pen.fillRect(x, 0, 1, 8);
  }
  return (
    `<div class="key"><span>${low}</span><img alt="" src="${strip.toDataURL("image/png")}">` +
    `<span>${high}</span></div>`
  );
}

/** Two codes of one length: the first above, the second below, differences between. */
export function twoCodes(first, second) {
  const rects = [];
  const rect = (kind, x, y, tall) =>
    rects.push(`<rect class="${kind}" x="${x}" y="${y}" width=".8" height="${tall}"/>`);
  let differ = 0;
  first.forEach((bit, i) => {
    rect(bit ? "one" : "zero", i, 0, 8);
    rect(second[i] ? "one" : "zero", i, 14, 8);
    if (bit === second[i]) return;
    differ += 1;
    rect("diff", i, 9, 4);
  });
  return (
    `<svg class="codes" viewBox="0 0 ${first.length} 22" preserveAspectRatio="none" role="img" ` +
    `aria-label="Both codes, one above the other; ${differ} of ${first.length} bits differ">` +
    `${rects.join("")}</svg>`
  );
}
