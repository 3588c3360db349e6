// Runs once in each part of the page. Buttons say what they mean in data-do; one listener a part
// passes it on, so that parts can be drawn again without losing anything.
element.dataset.ready = "";
element.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    navigator.clipboard.writeText(copy.dataset.copy);
    const before = copy.textContent;
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = before; }, 1500);
    return;
  }
  const to = event.target.closest("[data-tab]");
  if (to) {
    const tabs = [...document.querySelectorAll('#tabs button[role="tab"]')];
    tabs.find((tab) => tab.textContent.trim() === to.dataset.tab)?.click();
    return;
  }
  const button = event.target.closest("[data-do]");
  if (button && element.contains(button)) {
    trigger("select", { ...button.dataset, ...filled(button.closest("[data-form]")) });
    return;
  }
  const stage = event.target.closest("[data-point] .stage");
  if (stage) {
    const area = stage.getBoundingClientRect();
    trigger("select", {
      do: stage.closest("[data-point]").dataset.point,
      x: (event.clientX - area.left) / area.width,
      y: (event.clientY - area.top) / area.height,
    });
  }
});

// What was typed and ticked in the form that a button is of.
function filled(form) {
  if (!form) return {};
  const ticked = [...form.querySelectorAll("input:checked")].map((box) => box.value);
  return { text: form.querySelector("input[type=text]")?.value ?? "", ids: ticked.join(" ") };
}

// A form that is drawn again is the same element for somebody else: what was typed goes. A question
// that was drawn gets the focus, which the button that asked for it had.
watch("value", () => {
  for (const input of element.querySelectorAll("[data-form] input")) {
    input.value = input.defaultValue;
    input.checked = input.defaultChecked;
  }
  element.querySelector("[data-focus]")?.focus();
});

const cut = (input) => input.closest(".compare").style.setProperty("--cut", `${input.value}%`);
element.addEventListener("input", (event) => {
  if (event.target.matches("[data-cut]")) cut(event.target);
});
watch("value", () => element.querySelectorAll("[data-cut]").forEach(cut));

// Enter in a field does what the form's first button says.
element.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("[data-form] input[type=text]")) return;
  event.preventDefault();
  event.target.closest("[data-form]").querySelector("[data-do]").click();
});

// Arrow keys walk a grid of buttons of which one is in the tab order.
element.addEventListener("keydown", (event) => {
  const grid = event.target.closest("[data-grid]");
  if (!grid) return;
  const cells = [...grid.querySelectorAll("button")];
  const row = cells.filter((cell) => cell.offsetTop === cells[0].offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row }[event.key];
  const to = cells[cells.indexOf(event.target) + (step ?? 0)];
  if (step === undefined || !to) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
});
