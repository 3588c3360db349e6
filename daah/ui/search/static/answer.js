// On a phone the answer is below the photo: when it comes, the page goes there.
let first = true;
watch("value", () => {
  if (first) { first = false; return; }
  if (window.innerWidth > 640) return;
  const strip = document.querySelector("#best") ?? element;
  strip.scrollIntoView({ behavior: "smooth", block: "start" });
});
