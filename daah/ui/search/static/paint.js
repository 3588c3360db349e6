// A canvas over the aligned face. What is painted stays clear, the rest is darkened; each finished
// stroke sends the whole painting, white on black at the size of the aligned face.
const SIDE = 224;
const DARK = "rgba(8, 12, 20, 0.72)";
let strokes = []; // { erase, size, points } or { image }
let current = null;
let face = "";
let cursor = [SIDE / 2, SIDE / 2];

const find = (selector) => element.querySelector(selector);

const layer = () => {
  const canvas = document.createElement("canvas");
  canvas.width = SIDE;
  canvas.height = SIDE;
  return canvas;
};

const painting = () => {
  const canvas = layer();
  const pen = canvas.getContext("2d");
  for (const stroke of current ? [...strokes, current] : strokes) {
    if (stroke.image) {
      pen.drawImage(stroke.image, 0, 0);
      continue;
    }
    pen.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
    pen.strokeStyle = "#fff";
    pen.lineWidth = stroke.size;
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.beginPath();
    stroke.points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    if (stroke.points.length === 1) pen.lineTo(stroke.points[0][0] + 0.01, stroke.points[0][1]);
    pen.stroke();
    pen.globalCompositeOperation = "source-over";
  }
  return canvas;
};

const show = () => {
  const canvas = find("canvas");
  if (!canvas) return;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, SIDE, SIDE);
  if (strokes.length || current) {
    pen.fillStyle = DARK;
    pen.fillRect(0, 0, SIDE, SIDE);
    pen.globalCompositeOperation = "destination-out";
    pen.drawImage(painting(), 0, 0);
    pen.globalCompositeOperation = "source-over";
  }
  if (document.activeElement === canvas && canvas.matches(":focus-visible")) {
    pen.strokeStyle = "#fff";
    pen.lineWidth = 1;
    pen.beginPath();
    pen.arc(...cursor, size() / 2, 0, 2 * Math.PI);
    pen.stroke();
  }
};

const size = () => Number(find("[data-size]").value);
const erasing = () => find('[data-tool="erase"]').getAttribute("aria-pressed") === "true";

const send = () => {
  show();
  if (!strokes.length) {
    trigger("select", { do: "paint", mask: "" });
    return;
  }
  const canvas = layer();
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, SIDE, SIDE);
  pen.drawImage(painting(), 0, 0);
  trigger("select", { do: "paint", mask: canvas.toDataURL("image/png") });
};

const at = (event) => {
  const area = find("canvas").getBoundingClientRect();
  return [
    ((event.clientX - area.left) / area.width) * SIDE,
    ((event.clientY - area.top) / area.height) * SIDE,
  ];
};

element.addEventListener("pointerdown", (event) => {
  if (event.target !== find("canvas")) return;
  event.target.setPointerCapture(event.pointerId);
  current = { erase: erasing(), size: size(), points: [at(event)] };
  show();
});
element.addEventListener("pointermove", (event) => {
  if (!current) return;
  current.points.push(at(event));
  show();
});
const finish = () => {
  if (!current) return;
  strokes.push(current);
  current = null;
  send();
};
element.addEventListener("pointerup", finish);
element.addEventListener("pointercancel", finish);

element.addEventListener("click", (event) => {
  const tool = event.target.closest("[data-tool]");
  if (!tool) return;
  if (tool.dataset.tool === "erase") tool.setAttribute("aria-pressed", String(!erasing()));
  if (tool.dataset.tool === "undo" && strokes.length) {
    strokes.pop();
    send();
  }
  if (tool.dataset.tool === "clear" && strokes.length) {
    strokes = [];
    send();
  }
});

element.addEventListener("keydown", (event) => {
  if (event.target !== find("canvas")) return;
  const step = { ArrowLeft: [-9, 0], ArrowRight: [9, 0], ArrowUp: [0, -9], ArrowDown: [0, 9] }[event.key];
  if (step) {
    event.preventDefault();
    cursor = cursor.map((value, i) => Math.max(0, Math.min(SIDE, value + step[i])));
    show();
  }
  if (event.key === " " || event.key === "Enter") {
    event.preventDefault();
    strokes.push({ erase: erasing(), size: size(), points: [[...cursor]] });
    send();
  }
});
element.addEventListener("focusin", show);
element.addEventListener("focusout", show);

// Another face, or a face that was painted before: start from what the server knows.
const restart = () => {
  const painter = find(".painter");
  const shown = painter ? find("img").src : "";
  if (shown === face) return;
  face = shown;
  strokes = [];
  current = null;
  const mask = painter?.dataset.mask;
  if (!mask) {
    show();
    return;
  }
  const image = new Image();
  image.onload = () => {
    // Brightness becomes opacity, as the strokes have it.
    const canvas = layer();
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const pixels = pen.getImageData(0, 0, SIDE, SIDE);
    for (let i = 0; i < pixels.data.length; i += 4) {
      pixels.data[i + 3] = pixels.data[i];
      pixels.data.fill(255, i, i + 3);
    }
    pen.putImageData(pixels, 0, 0);
    strokes = [{ image: canvas }];
    show();
  };
  image.src = mask;
};
watch("value", restart);
restart();
