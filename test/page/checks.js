// What is wrong with the page that is shown: a list of sentences, empty when nothing is. It is a small part of what axe-core
// looks at, and what a person at night needs: contrast, names, structure, and that nothing is cut off.
(() => {
  const wrong = [];
  const shown = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".hidden, thead, .skip");
  const rgb = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode());) {
    const e = n.parentElement;
    if (!n.textContent.trim() || !shown(e)) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) wrong.push(`the contrast of "${n.textContent.trim().slice(0, 30)}" is ${contrast.toFixed(2)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) wrong.push(`the id ${id} stands there twice`);
  for (const e of document.querySelectorAll("[aria-labelledby]")) {
    if (!document.getElementById(e.getAttribute("aria-labelledby"))) wrong.push(`nothing is called ${e.getAttribute("aria-labelledby")}`);
  }
  for (const e of document.querySelectorAll("a, button, summary")) if (!e.textContent.trim()) wrong.push(`a ${e.tagName} has no name`);
  for (const e of document.querySelectorAll("input:not([type=hidden])")) if (!e.labels.length) wrong.push(`the field ${e.name} has no label`);
  for (const e of document.querySelectorAll("img:not([alt])")) wrong.push(`the image ${e.src} has no text`);
  if (document.querySelectorAll("main").length !== 1 || !document.querySelector("header")) wrong.push("a landmark is missing");
  if (document.querySelectorAll("h1").length !== 1) wrong.push("there is not one h1");
  let level = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
    const l = Number(h.tagName[1]);
    if (l > level + 1) wrong.push(`the heading "${h.textContent.trim()}" skips a level`);
    level = l;
  }
  if (!document.documentElement.lang || !document.title) wrong.push("no language or no title");
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) wrong.push(`the page is ${wide} px too wide`);
  return wrong;
})()
