/* Owns that nothing typed on a session page is lost to an expired sign-in, a closed tab or a server that is down,
   and that the complete dialog names the status a rule sets for the outcome chosen.

   data-draft="key"        a form: its texts are kept in this browser until they were sent and taken
   data-draft-skip         the server filled the form itself: nothing is put back into it
   data-draft-notice       hidden; shown when something was put back, with data-draft-when and data-draft-drop in it
   data-drafts-of="prefix" the page of a session: the address says what was taken (#step-…, #unit-…, #saved)
   data-unchosen           the option that leaves the status to the rules: data-after-<outcome> is what it then says */
"use strict";

(() => {
  const STORE = "resolutionflow-draft:";
  const KEEP_MS = 7 * 24 * 3600 * 1000;
  const TAKEN = { "#step-": ["step"], "#unit-": ["note-analysis", "note-resolution", "note-discussion", "complete"], "#saved": ["edit"] };

  const read = (key) => {
    try {
      const draft = JSON.parse(localStorage.getItem(STORE + key));
      return draft && Date.now() - draft.at < KEEP_MS ? draft : null;
    } catch { return null; }
  };
  const write = (key, values) => {
    try { localStorage.setItem(STORE + key, JSON.stringify({ at: Date.now(), values })); } catch { /* full or forbidden */ }
  };
  const drop = (key) => {
    try { localStorage.removeItem(STORE + key); } catch { /* forbidden */ }
  };

  const fields = (form) => [...form.querySelectorAll("textarea[name], input[type=text][name]")];
  const values = (form) => Object.fromEntries(fields(form).map((field) => [field.name, field.value]));

  document.querySelectorAll("[data-drafts-of]").forEach((page) => {
    Object.entries(TAKEN).forEach(([start, names]) => {
      if (!location.hash.startsWith(start)) return;
      names.forEach((name) => drop(page.dataset.draftsOf + name));
      // Loading the page again must not throw away what is typed next.
      history.replaceState(null, "", location.pathname + location.search);
    });
  });

  // Whoever signs out on purpose leaves nothing behind for the next person at this computer.
  document.addEventListener("submit", (event) => {
    // Not `.action`: a button of that name stands in its place.
    if (!(event.target.getAttribute("action") || "").endsWith("/logout/")) return;
    try {
      Object.keys(localStorage).filter((key) => key.startsWith(STORE)).forEach((key) => localStorage.removeItem(key));
    } catch { /* forbidden */ }
  });

  document.querySelectorAll("form[data-draft]").forEach((form) => {
    const key = form.dataset.draft;
    const before = values(form);
    const draft = form.hasAttribute("data-draft-skip") ? null : read(key);
    const differs = draft && fields(form).some((field) => field.name in draft.values && draft.values[field.name] !== field.value);
    if (differs) {
      fields(form).forEach((field) => { if (field.name in draft.values) field.value = draft.values[field.name]; });
      const notice = document.querySelector("[data-draft-notice]");
      if (notice) {
        const when = new Date(draft.at);
        notice.querySelector("[data-draft-when]").textContent = `at ${when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
        notice.hidden = false;
        notice.querySelector("[data-draft-drop]").addEventListener("click", () => {
          fields(form).forEach((field) => { field.value = before[field.name]; });
          drop(key);
          notice.hidden = true;
        });
      }
    }
    form.addEventListener("input", () => write(key, values(form)));
  });

  // Here, not on the server: an answer would take the place of a status chosen meanwhile.
  const statusName = () => {
    const option = document.querySelector("option[data-unchosen]");
    const outcome = document.querySelector("input[name=outcome]:checked");
    if (option && outcome) option.textContent = option.getAttribute(`data-after-${outcome.value}`) || option.dataset.unchosen;
  };
  document.addEventListener("change", (event) => { if (event.target.name === "outcome") statusName(); });
  document.addEventListener("htmx:afterSettle", statusName);
})();
