// Returns a sentence for each slide that does not fit, or has letters smaller than `least` pixels.
(least) => {
  const found = [];
  const slides = [...document.querySelectorAll(".reveal .slides > section")];

  function scaleOf(element) {
    const drawing = element.closest("svg");
    if (!drawing) return element.currentCSSZoom || 1;
    return drawing.getBoundingClientRect().height / Number(drawing.getAttribute("height"));
  }

  function look(slide, named) {
    const box = slide.getBoundingClientRect();
    const foot = slide.querySelector(".footer").getBoundingClientRect();
    let below = slide.scrollHeight - box.height;
    let right = slide.scrollWidth - box.width;
    let least_here = [Infinity, ""];
    for (const one of slide.querySelectorAll("h2, .body *")) {
      if (one.closest("title, desc")) continue;
      const own = one.getBoundingClientRect();
      if (own.width === 0 && own.height === 0) continue;
      below = Math.max(below, own.bottom - foot.top);
      right = Math.max(right, own.right - box.right + 20);
      if (![...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
      const size = parseFloat(getComputedStyle(one).fontSize) * scaleOf(one);
      if (size < least_here[0]) least_here = [size, one.textContent.trim().slice(0, 30)];
    }
    if (below > 1) found.push(`${named}: ${Math.round(below)} pixels too high.`);
    if (right > 1) found.push(`${named}: ${Math.round(right)} pixels too wide.`);
    const [size, words] = least_here;
    if (size < least) found.push(`${named}: letters of ${size.toFixed(1)} pixels in “${words}”.`);
  }

  slides.forEach((slide, place) => {
    const { hidden, style: { display } } = slide;
    slide.hidden = false;
    slide.style.display = "block";
    look(slide, `Slide ${place + 1}, “${slide.querySelector("h2").textContent}”`);
    slide.hidden = hidden;
    slide.style.display = display;
  });
  return found;
}
