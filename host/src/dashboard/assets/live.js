// Replaces what has changed, without a full reload: when the host says that there is something new, the page asks for itself
// and swaps those parts of <main> that differ. Without this script the page refreshes itself.
"use strict";
(() => {
  const status = document.getElementById("live");
  let source = null, asking = false, again = false;

  const parts = (root) => [...root.querySelectorAll("main [id]")].filter((part) => !part.parentElement.closest("main [id]"));

  const update = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = new Set([...document.querySelectorAll("main details")].flatMap((d, n) => d.open ? [n] : []));
      for (const part of parts(document)) {
        const other = fresh.getElementById(part.id);
        if (other && other.outerHTML !== part.outerHTML && !part.contains(document.activeElement)) part.replaceWith(other);
      }
      document.querySelectorAll("main details").forEach((d, n) => { if (open.has(n)) d.open = true; });
      document.title = fresh.title;
      status.textContent = "live";
    } catch { status.textContent = "the host does not answer"; }
    asking = false;
    if (again) { again = false; update(); }
  };

  const listen = () => {
    if (source || document.hidden) return;
    source = new EventSource("/live");
    source.onmessage = update;
    source.onopen = () => { status.textContent = "live"; };
    source.onerror = () => { status.textContent = "trying to reach the host"; };
  };

  // A hidden page costs nothing.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; } else { update(); listen(); }
  });
  listen();
})();
