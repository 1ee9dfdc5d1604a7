// Keeps an open page as it is on the host, without a full reload: when the host says that there is something new, the page asks
// for itself and changes only what differs, so focus, scrolling and what is unfolded stay. When the host does not answer, the
// page says so instead of showing old news as new. Without this script the page refreshes itself.
"use strict";
(() => {
  // The host says something at least every 5 s.
  const SILENCE = 12e3, POLL = 5e3, LOST = 2e3, FULL = 30e3;
  // Where the dashboard begins: a proxy may have put it below a path.
  const root = new URL(".", document.currentScript.src).href;
  const status = document.getElementById("live");
  let source = null, asking = false, again = false, timer = 0, watch = 0, clock = 0;
  let seen = new Date(), lost = false, out = false;

  // Said once to who cannot see it, not with each update.
  const say = (text) => { if (status.textContent !== text) status.textContent = text; };

  const id = (node) => node.nodeType === 1 ? node.id : "";
  const like = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && id(a) === id(b);

  // Makes `old` like `fresh`. What has an id is found again wherever it stands.
  const morph = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== 1) { old.data = fresh.data; return; }
    const keeps = (name) => name === "open" && old.nodeName === "DETAILS";
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !keeps(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value && !keeps(name)) old.setAttribute(name, value);
    const byId = new Map([...old.children].filter(id).map((child) => [child.id, child]));
    const wanted = new Set([...fresh.children].map(id));
    let next = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      // What is gone makes room, so that what follows need not move: a moved element loses the focus.
      while (next && id(next) && !wanted.has(id(next))) { const gone = next; next = next.nextSibling; gone.remove(); }
      if (id(child)) {
        let ahead = next;
        while (ahead && !id(ahead)) ahead = ahead.nextSibling;
        if (ahead && id(ahead) === id(child)) while (next !== ahead) { const gone = next; next = next.nextSibling; gone.remove(); }
      }
      let here = id(child) ? byId.get(id(child)) : next && !id(next) && like(next, child) ? next : null;
      if (here && !like(here, child)) here = null;
      if (!here) { old.insertBefore(child, next); continue; }
      if (here === next) next = next.nextSibling; else old.insertBefore(here, next);
      morph(here, child);
    }
    while (next) { const gone = next; next = next.nextSibling; gone.remove(); }
  };

  const show = (fresh) => {
    const focused = document.activeElement;
    for (const part of ["main", "login"]) {
      const [old, other] = [document, fresh].map((page) => page.getElementById(part));
      if (old && other) morph(old, other);
    }
    // One that was moved has lost it.
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    document.title = fresh.title;
  };

  const lose = () => {
    lost = true;
    clearInterval(clock);
    const tell = () => {
      const head = document.querySelector("main h1");
      const passed = Math.round((Date.now() - seen) / 1000);
      head.className = "headline error";
      const since = `What you see is from ${seen.toISOString().slice(11, 19)} UTC.`;
      head.textContent = out ? `Logged out. ${since} ` : `No answer from Rosey for ${passed} s. ${since}`;
      if (out) {
        const link = document.createElement("a");
        link.href = root + "login?next=" + encodeURIComponent(location.href.slice(root.length - 1));
        link.textContent = "Log in";
        head.append(link);
      }
      document.title = out ? "Logged out – Rosey" : "No answer – Rosey";
      say(out ? "logged out" : "no answer");
    };
    tell();
    if (!out) clock = setInterval(tell, 1000);
  };

  const update = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(SILENCE) });
      out = answer.status === 401;
      if (!answer.ok) throw answer.status;
      const text = await answer.text();
      seen = new Date();
      lost = false;
      clearInterval(clock);
      show(new DOMParser().parseFromString(text, "text/html"));
      say(source ? "live" : "every 5 s");
    } catch { lose(); }
    asking = false;
    if (again) { again = false; update(); }
  };

  const stop = () => {
    source?.close();
    source = null;
    clearTimeout(timer);
    clearTimeout(watch);
  };

  // Without a stream: asks now and then, and for a stream again after `pause`.
  const poll = (pause) => {
    stop();
    if (document.hidden) return;
    const until = Date.now() + pause;
    const turn = async () => {
      await update();
      if (out || document.hidden) return;
      if (!lost && Date.now() >= until) listen(); else timer = setTimeout(turn, lost ? LOST : POLL);
    };
    timer = setTimeout(turn, 0);
  };

  const alive = () => {
    clearTimeout(watch);
    watch = setTimeout(() => { lose(); poll(0); }, SILENCE);
  };

  const listen = () => {
    if (source || document.hidden) return;
    source = new EventSource(root + "live");
    alive();
    source.onopen = () => { alive(); if (lost) update(); else say("live"); };
    source.onmessage = () => { alive(); update(); };
    source.addEventListener("alive", () => { seen = lost ? seen : new Date(); alive(); });
    source.addEventListener("full", () => poll(FULL));
    source.onerror = () => poll(0);
  };

  // A hidden page costs nothing. One that is shown again, by Back or from behind, is old.
  const back = () => { if (document.hidden) stop(); else { update(); listen(); } };
  document.addEventListener("visibilitychange", back);
  addEventListener("pageshow", (event) => { if (event.persisted) back(); });
  addEventListener("pagehide", stop);
  listen();
})();
