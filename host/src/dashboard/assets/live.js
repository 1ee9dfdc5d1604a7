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
  let source = null, asking = false, again = false, timer = 0, watch = 0, ticking = 0;
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

  // Times of the host are in UTC; the reader's are in the zone of the browser, with UTC as a title.
  const two = (number) => String(number).padStart(2, "0");
  const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;
  const full = (at) => `${clock(at)}:${two(at.getSeconds())}`;
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const short = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts().find((part) => part.type === "timeZoneName").value;
  const localise = (page) => {
    for (const time of page.querySelectorAll("time")) {
      const at = new Date(time.dateTime), text = time.firstChild;
      if (isNaN(at)) continue;
      if (!("lasts" in time.dataset)) text.data = (text.data.length > 12 ? day(at) + " " : "") + full(at) + " ";
      time.title = time.dateTime.slice(0, 19).replace("T", " ") + " UTC";
    }
    for (const text of page.querySelectorAll("text[data-at]")) {
      const at = new Date(text.dataset.at * 1000);
      text.textContent = text.textContent.includes(":") ? clock(at) : day(at).slice(5);
    }
    if (here !== "UTC") for (const zone of page.querySelectorAll(".zone"))
      zone.textContent = zone.dataset.zone ? short : `Times are in ${here}; hold the pointer over one for UTC.`;
  };

  // The line through all charts, and the values at its time. `share` is its place from 0 to 1.
  let share = null, marked = "";
  const cross = () => {
    const charts = document.getElementById("timeline");
    if (!charts) return;
    const { from, to, columns } = charts.dataset, on = share !== null;
    const column = on ? Math.round(share * (columns - 1)) : -1;
    for (const line of charts.querySelectorAll(".cross")) {
      line.setAttribute("class", on ? "cross on" : "cross");
      for (const end of ["x1", "x2"]) line.setAttribute(end, `${(share ?? 0) * 100}%`);
    }
    for (const value of charts.querySelectorAll("[data-values]")) {
      value.dataset.now ??= value.textContent;
      const then = value.dataset.values.split(",")[column];
      value.textContent = !on ? value.dataset.now : then ? then + value.closest("[data-unit]").dataset.unit : "–";
    }
    const label = document.getElementById("cross"), at = new Date((+from + share * (to - from)) * 1000);
    label.parentNode.parentNode.className = on ? "times on" : "times";
    label.setAttribute("x", `${Math.min(95, Math.max(5, (share ?? 0) * 100))}%`);
    label.textContent = !on ? "" : to - from > 86400 ? `${day(at).slice(5)} ${clock(at)}` : full(at);
  };
  const tell = () => {
    const tip = document.getElementById("tip"), mark = document.getElementById(marked);
    if (!tip) return;
    tip.textContent = mark ? `${full(new Date(mark.dataset.at * 1000))} ${mark.getAttribute("aria-label")}` : "";
    if (!mark) return;
    const place = mark.getBoundingClientRect(), lane = tip.parentNode.getBoundingClientRect();
    tip.style.left = `${Math.max(0, Math.min(place.left - lane.left, lane.width - tip.offsetWidth))}px`;
  };
  const point = (event) => {
    const plot = document.querySelector(".panel .plot")?.getBoundingClientRect();
    const inside = plot && event.target.closest?.("#timeline") && event.clientX >= plot.left && event.clientX <= plot.right;
    const before = share, mark = marked;
    share = inside ? (event.clientX - plot.left) / plot.width : null;
    marked = (event.target.closest?.(".lane .mark") ?? document.activeElement?.closest(".lane .mark"))?.id ?? "";
    if (share !== before) cross();
    if (marked !== mark) tell();
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.documentElement.addEventListener("pointerleave", () => { share = null; cross(); });
  for (const kind of ["focusin", "focusout"]) document.addEventListener(kind, (event) => {
    marked = kind === "focusin" && event.target.closest?.(".lane .mark")?.id || "";
    tell();
  });
  document.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1, Escape: 0 }[event.key];
    if (way === undefined || event.target.id !== "timeline") return;
    const step = way * (event.shiftKey ? 10 : 1) / (event.target.dataset.columns - 1);
    share = way ? Math.min(1, Math.max(0, (share ?? 1) + step)) : null;
    event.preventDefault();
    cross();
  });

  // Finds plugins while one types.
  const box = () => document.querySelector("#filter [name=q]");
  const find = () => {
    const wanted = box()?.value.trim().toLowerCase() ?? "";
    for (const row of document.querySelectorAll("#plugins tbody"))
      row.hidden = row.className === "section" ? wanted !== "" : !row.id.slice(4).toLowerCase().includes(wanted);
  };
  let typed = 0;
  document.addEventListener("input", (event) => {
    if (event.target !== box()) return;
    find();
    const url = new URL(location.href), wanted = event.target.value.trim();
    if (wanted) url.searchParams.set("q", wanted); else url.searchParams.delete("q");
    history.replaceState(null, "", url);
    clearTimeout(typed);
    typed = setTimeout(update, 150);
  });

  const show = (fresh) => {
    localise(fresh);
    const focused = document.activeElement;
    for (const part of ["main", "login"]) {
      const [old, other] = [document, fresh].map((page) => page.getElementById(part));
      if (old && other) morph(old, other);
    }
    // One that was moved has lost it.
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    document.title = fresh.title;
    document.body.classList.remove("lost");
    find();
    cross();
    tell();
  };

  const lose = () => {
    lost = true;
    document.body.classList.add("lost");
    clearInterval(ticking);
    const complain = () => {
      const head = document.getElementById("headline") ?? document.querySelector("main h1");
      const passed = Math.round((Date.now() - seen) / 1000);
      head.className = "headline error";
      const since = `What you see is from ${full(seen)}.`;
      const line = head.nodeName === "H1" ? head : document.createElement("h1");
      line.textContent = out ? `Logged out. ${since} ` : `No answer from Rosey for ${passed} s. ${since}`;
      if (line !== head) head.replaceChildren(line);
      if (out) {
        const link = document.createElement("a");
        link.href = root + "login?next=" + encodeURIComponent(location.href.slice(root.length - 1));
        link.textContent = "Log in";
        line.append(link);
      }
      document.title = out ? "Logged out – Rosey" : "No answer – Rosey";
      say(out ? "logged out" : "no answer");
    };
    complain();
    if (!out) ticking = setInterval(complain, 1000);
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
      clearInterval(ticking);
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
  document.documentElement.className = "js";
  localise(document);
  listen();
})();
