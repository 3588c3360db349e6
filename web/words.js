/** Small parts of the page that its tabs share. */

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/**
 * Show a sentence, or with "" none.
 * @param {string} id  of the paragraph
 * @param {string} text
 * @param {"" | "good" | "far" | "none"} [tone]
 */
export function say(id, text, tone = "") {
  const place = byId(id);
  place.textContent = text;
  place.className = `say ${tone}`;
  place.hidden = !text;
}

/**
 * An element with attributes and children.
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Pictures that are shown by an address of this page, until they are shown no more. */
export function picture(blob, alt) {
  const image = element("img", { alt });
  const address = URL.createObjectURL(blob);
  image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
  image.src = address;
  return image;
}

/**
 * Take the photos that are chosen in a file input or dropped around it.
 * @param {HTMLInputElement} input
 * @param {(files: File[]) => Promise<void>} take
 * @param {(problem: Error) => void} fail
 */
export function photos(input, take, fail) {
  const given = (files) => {
    if (files.length) take([...files]).catch(fail);
  };
  input.addEventListener("change", () => {
    given([...input.files]);
  });
  const place = input.closest(".drop");
  place?.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place?.addEventListener("dragleave", () => place.classList.remove("over"));
  place?.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    if (!input.disabled) given(event.dataTransfer.files);
  });
}

/** @param {number} count @param {string} one @param {string} [many] */
export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
