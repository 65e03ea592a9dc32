// What a station does beyond HTML: see stationPage in station.go. Without this script
// the forms work as they stand.
//
// To lose no key, the browser never leaves its first page: what a form or a link leads
// to is fetched, and its <main> takes the place of the one before.
"use strict";
(() => {
  // A reader's keys are less than readerGap apart on average, a person's 100 and more.
  // Both in milliseconds, as all times here. No card has fewer than shortest characters.
  const readerGap = 50, shortest = 4;
  // Keys after a pause are another number than those before it.
  const pause = 2000;
  // A number that a reader typed without an end is complete after so long; where
  // readers were seen to send an end, a gap is rather a busy machine's.
  const complete = 500, completeWithEnd = 2000;
  // What else stands in the field is forgotten after so long.
  const forgotten = 10000;
  // So long may an answer take.
  const patience = 60000;
  // A page is not left for a new one while somebody types.
  const justTyped = 3000;
  // While somebody moves, touches or scrolls, a page stays for longer: so long at most, as
  // after a minute its forms count no more (visitLife in visit.go).
  const stayMost = 50000;
  // So often it is asked how far the jobs are that were let go.
  const progressEvery = 2000;

  const home = location.pathname.match(/^\/station\/[^/]+/)[0];
  const script = document.currentScript.getAttribute("src");

  // The keys that came last without a pause: in which field, from which place, when.
  let keys = { field: document.getElementById("badge"), from: 0, began: performance.now(), last: performance.now() };
  let sendsEnd = false; // a reader was seen to end a number
  let asking = null; // what is under way
  let next = null; // the card that was shown meanwhile; of several the last
  let settled = false;
  let typedTimer, refreshTimer, progressTimer;
  let closing = null; // when the page goes on by itself, and to where

  const badge = () => document.getElementById("badge");
  // The field that keys go to: that for a PIN, where one is asked for.
  const entry = () => document.getElementById("pin") ?? badge();
  const inText = () => ["badge", "code", "pin", "again"].includes(document.activeElement?.id);

  // settle keeps a page that was loaded from going on by its own refresh, which
  // would take typed keys away; arm does that in its place.
  const settle = () => {
    if (!settled) window.stop();
    settled = true;
  };

  const byReader = (field) => {
    const n = field.value.length - keys.from;
    return field === keys.field && n >= shortest && keys.last - keys.began <= readerGap * (n - 1);
  };

  // typed is what stands in a field: behind what stood there longer, a reader's number
  // counts alone.
  const typed = (field) => {
    const at = byReader(field) ? keys.from : 0;
    return [field.value.slice(0, at).trim(), field.value.slice(at).trim()];
  };

  // show sends the form in whose field a badge or a code was typed.
  const show = (field) => {
    const [before, number] = typed(field);
    // What a reader types in the place of a PIN is a card.
    const form = (byReader(field) ? badge() : field).form, code = form.querySelector("#code");
    const body = new URLSearchParams(new FormData(form));
    const filled = code !== null && (code.value.trim() !== "" || badge().value.trim() !== "");
    if (field === code) body.set("code", before || number);
    if (form !== badge().form) body.set(field.name, number);
    else body.set("badge", field !== code || before ? number : badge().value.trim());
    document.querySelectorAll("main input:not([type=hidden])").forEach((input) => { input.value = ""; });
    clearTimeout(typedTimer);
    entry().focus();
    if (number !== "" || filled) {
      ask({ url: form.action, method: "POST", body, card: form === badge().form ? number || body.get("code") : undefined });
    }
  };

  const ask = async (request) => {
    if (asking !== null) {
      // The page is on its way out: a button of it counts no more, a card does. The
      // same card again changes nothing.
      if (request.card && request.card !== (next ?? asking).card) next = request;
      if (next !== null && asking.method === "GET") asking.stop.abort();
      return;
    }
    settle();
    asking = request;
    request.stop = new AbortController();
    clearTimeout(refreshTimer);
    clearTimeout(progressTimer);
    closing = null;
    document.querySelector("main").setAttribute("aria-busy", "true");
    const late = setTimeout(() => request.stop.abort(), patience);
    let page = null;
    try {
      const { url, method, body, stop } = request;
      const answer = await fetch(url, { method, body, signal: stop.signal, cache: "no-store" });
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch { /* there is no answer */ }
    clearTimeout(late);
    asking = null;
    if (next !== null) {
      const card = next;
      next = null;
      ask(card);
    } else if (page?.querySelector("main")) {
      turn(page, request);
    } else {
      unanswered();
    }
  };

  // keypad keeps the keyboard of a screen from lying on the keypad of the page.
  const keypad = () => document.querySelector(".asks #pin")?.setAttribute("inputmode", "none");

  // turn puts a page in the place of the one before; what was typed meanwhile goes on.
  const turn = (page, request) => {
    const other = page.querySelector("script")?.getAttribute("src");
    const rest = badge()?.value || entry()?.value || "";
    if (request.refresh && other && other !== script && rest === "") {
      location.replace(home); // pullprint is another version
      return;
    }
    document.title = page.title;
    document.documentElement.lang = page.documentElement.lang;
    const refresh = refreshOf(page);
    document.head.querySelectorAll("meta[content*='; url=']").forEach((meta) => meta.remove());
    if (refresh) {
      const meta = document.adoptNode(refresh.cloneNode());
      meta.removeAttribute("http-equiv"); // it is for who has no script
      meta.name = "refresh";
      document.head.append(meta);
    }
    document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
    keypad();
    const field = entry();
    if (field && rest !== "") {
      field.value = rest;
      keys.field = field;
    }
    (rest === "" ? document.querySelector("[autofocus]") : field)?.focus();
    scrollTo(0, 0);
    arm(refresh);
    progress();
  };

  // progress shows how far the jobs are that the page has let go.
  const progress = () => {
    clearTimeout(progressTimer);
    const line = document.getElementById("progress");
    const visit = document.querySelector("[name=visit]")?.value;
    if (!line || !visit) return;
    progressTimer = setTimeout(async () => {
      try {
        const answer = await fetch(`${home}/progress?visit=${encodeURIComponent(visit)}`, { cache: "no-store" });
        if (answer.status !== 200 || !line.isConnected) return;
        line.textContent = await answer.text();
      } catch { /* it stays as it was */ }
      progress();
    }, progressEvery);
  };

  const refreshOf = (page) => page.querySelector("head meta[http-equiv=refresh], head meta[name=refresh]");

  // arm goes on to the page that a page's refresh names, in its time.
  const arm = (refresh) => {
    clearTimeout(refreshTimer);
    if (refresh?.httpEquiv !== "refresh") return;
    const [seconds, url] = refresh.content.split("; url=");
    again(seconds * 1000, url);
    closing = { url, stay: seconds * 1000, most: performance.now() + stayMost };
  };

  // active begins the time of a page of somebody anew, as they are doing something.
  const active = () => {
    const now = performance.now();
    if (closing === null || asking !== null || !document.querySelector("[name=visit]")) return;
    const stay = Math.min(closing.stay, closing.most - now);
    if (stay < 0) return;
    again(stay, closing.url);
    for (const a of document.querySelector(".closes span")?.getAnimations() ?? []) {
      a.currentTime = closing.stay - stay;
    }
  };

  const again = (after, url) => {
    clearTimeout(refreshTimer);
    refreshTimer = setTimeout(() => {
      if (performance.now() - keys.last < justTyped) again(justTyped, url);
      else ask({ url, method: "GET", refresh: true });
    }, after);
  };

  // unanswered shows nobody's jobs any more, and asks again.
  const unanswered = () => {
    const main = document.querySelector("main"), field = badge();
    main.removeAttribute("aria-busy");
    if (!field) return;
    main.querySelector("[name=visit]")?.remove();
    for (const part of main.querySelectorAll(".station > :not(.backdrop), main > .wrong")) {
      if (!part.contains(field)) part.remove();
    }
    const text = document.createElement("p");
    text.className = "wrong";
    text.setAttribute("role", "alert");
    text.textContent = "pullprint does not answer. Please show your badge again in a moment.";
    main.prepend(text);
    field.focus();
    again(20000, home);
  };

  // ends reports whether a key ends a number; some readers send CR and LF as control
  // characters.
  const ends = (event) => event.key === "Enter" || (event.key === "Tab" && !event.shiftKey) ||
    (event.ctrlKey && /^[jm]$/i.test(event.key));

  document.addEventListener("keydown", (event) => {
    document.documentElement.classList.toggle("keys", event.key === "Alt" || event.altKey);
    if (!badge()) return;
    if (event.repeat) keys.began = -Infinity; // a key that is held down is no reader
    if (!ends(event)) {
      // A key goes to the field for the badge, whatever was pressed before.
      if (!inText() && event.key !== "Tab" && event.key !== "Alt") entry().focus();
      return;
    }
    const field = inText() ? document.activeElement : entry();
    // For who fills the fields by hand Tab goes on to the next.
    if (event.key === "Tab" && (field.value === "" || (field.id !== "badge" && !byReader(field)))) return;
    event.preventDefault();
    if (byReader(field)) sendsEnd = true;
    show(field);
  }, true);

  // watch sends a number without an end once it is complete, and forgets what else
  // was left.
  const watch = () => {
    clearTimeout(typedTimer);
    typedTimer = setTimeout(() => {
      if (byReader(keys.field)) {
        show(keys.field);
        return;
      }
      typedTimer = setTimeout(() => { if (badge()) badge().value = ""; }, forgotten);
    }, sendsEnd ? completeWithEnd : complete);
  };

  document.addEventListener("input", (event) => {
    const field = event.target, now = performance.now(), n = field.value.length;
    if (field !== keys.field || now - keys.last > pause || n <= 1 || keys.from >= n) {
      keys = { field, from: Math.max(0, n - 1), began: now, last: now };
    }
    keys.last = now;
    watch();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!badge()) return;
    event.preventDefault();
    if (form.contains(entry())) {
      const code = form.querySelector("#code");
      show(entry().value === "" && code !== null ? code : entry());
    } else {
      ask({ url: form.action, method: "POST", body: new URLSearchParams(new FormData(form)) });
    }
  });

  // What the keypad of a page for a PIN types.
  document.addEventListener("click", (event) => {
    const digit = event.target.closest?.("[data-digit]")?.dataset.digit, field = document.getElementById("pin");
    if (!field || digit === undefined) return;
    field.value = digit === "" ? field.value.slice(0, -1) : field.value + digit;
    keys = { field, from: field.value.length, began: 0, last: -Infinity }; // no reader's
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='/station/']");
    if (!badge() || !link) return;
    event.preventDefault();
    ask({ url: link.href, method: "GET" });
  });

  // What a pointer pressed does not keep the focus.
  const refocus = () => setTimeout(() => { if (!inText()) entry()?.focus(); });
  document.addEventListener("pointerup", refocus);
  addEventListener("focus", refocus);
  for (const act of ["pointerdown", "pointermove", "wheel", "scroll"]) {
    document.addEventListener(act, active, { passive: true });
  }

  // What was typed before the script was there.
  if (badge()?.value && document.activeElement !== badge()) show(badge());
  else watch();
  document.documentElement.classList.add("scripted");
  keypad();
  arm(refreshOf(document));
  progress();
  if (document.readyState === "complete") settle();
  else addEventListener("load", settle);
})();
