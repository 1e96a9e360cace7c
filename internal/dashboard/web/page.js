// Brings the page up to date: when the server says that something has changed, the same address is fetched and what
// stands in <main> is put in place of what stood there. Without this script the page is what it was when it was loaded.
"use strict";
(() => {
  const stream = document.body.dataset.live;
  if (!stream) return;
  const live = document.getElementById("live");
  const announce = document.getElementById("announce");
  const broken = document.getElementById("broken");
  const minute = 60000;
  let fetching = false, again = false, ended = false, later = 0;

  // how far away an instant is, as kubectl says ages
  function words(ms) {
    const past = ms <= 0;
    if (past && ms > -1000) return "now";
    const s = Math.floor(Math.abs(ms) / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    const two = (a, b, unit, less) => b ? `${a}${unit}${b}${less}` : `${a}${unit}`;
    const far = s < 120 ? `${s}s` : m < 10 ? two(m, s % 60, "m", "s") : m < 180 ? `${m}m` : h < 8 ? two(h, m % 60, "h", "m") :
      h < 48 ? `${h}h` : d < 8 ? two(d, h % 24, "d", "h") : d < 730 ? `${d}d` : `${Math.floor(d / 365)}y`;
    return past ? `${far} ago` : `in ${far}`;
  }

  // The clock of the server counts: that of this machine may be wrong.
  let skew = 0;
  function setClock(from) {
    const at = from.querySelector("footer time");
    if (at) skew = Date.parse(at.dateTime) - Date.now();
  }
  function tick() {
    for (const t of document.querySelectorAll("time[data-relative]")) {
      const text = words(Date.parse(t.dateTime) - Date.now() - skew);
      if (t.textContent !== text) t.textContent = text;
    }
  }

  function state(on) {
    live.hidden = false;
    live.className = on ? "live" : "live off";
    live.textContent = on ? "Live" : "Brought up to date once a minute";
  }

  function end(text) {
    ended = true;
    broken.textContent = text + " ";
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Load the page anew";
    broken.append(link);
    broken.hidden = false;
    live.hidden = true;
  }

  // what stands for an element: itself by its id, the links to its address, or the summary of what it unfolds
  function alike(main, element) {
    return [...main.querySelectorAll(element.tagName)].filter((e) => e.id === element.id &&
      e.getAttribute("href") === element.getAttribute("href") && e.parentElement.id === element.parentElement.id);
  }

  // What somebody does meanwhile stays: what he has opened, where he is, what he types.
  function replace(next) {
    const old = document.querySelector("main");
    const opened = [...old.querySelectorAll("details[open]")].map((d) => d.id);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const which = focused ? alike(old, focused).indexOf(focused) : 0;
    const typed = document.getElementById("q");
    const value = typed && { text: typed.value, from: typed.selectionStart, to: typed.selectionEnd };
    const said = old.dataset.summary, say = next.dataset.summary;
    old.replaceWith(document.adoptNode(next));
    for (const id of opened) {
      const d = document.getElementById(id);
      if (d) d.open = true;
    }
    const q = document.getElementById("q");
    if (q && value) q.value = value.text;
    const places = focused ? alike(next, focused) : [];
    const back = places[Math.min(which, places.length - 1)];
    if (back) back.focus({ preventScroll: true });
    if (back && back === q) q.setSelectionRange(value.from, value.to);
    if (say && say !== said) announce.textContent = say;
  }

  async function update() {
    if (ended) return;
    if (fetching) { again = true; return; }
    if (!getSelection().isCollapsed) { // somebody is about to copy something
      clearTimeout(later);
      later = setTimeout(update, 3000);
      return;
    }
    fetching = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) return end("Your session has ended.");
      if (answer.status === 404) return end("What stood here is not there any more.");
      if (!answer.ok) return;
      const doc = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = doc.querySelector("main"), foot = doc.querySelector("footer time");
      if (!main || !foot) return;
      setClock(doc);
      replace(main);
      document.title = doc.title;
      document.querySelector("footer time").replaceWith(document.adoptNode(foot));
      tick();
    } catch {
      state(false); // the network is away; it is tried again
    } finally {
      fetching = false;
      if (again) { again = false; setTimeout(update, 1000); }
    }
  }

  setClock(document);
  setInterval(tick, 1000);
  setInterval(() => { if (!document.hidden) update(); }, minute);
  const source = new EventSource(stream);
  source.addEventListener("open", () => state(true));
  source.addEventListener("error", () => state(false));
  source.addEventListener("changed", update);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) update(); });
})();
