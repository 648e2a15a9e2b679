/* Owns the few things pages do in the browser beyond htmx. Every page works without it.

   data-copy="id"   a button, hidden until this script runs: copies what the element with that id says
   data-print       a button, hidden likewise: prints the page
   data-once        a form that is sent once: its buttons rest until the answer is there
   details.site-menu, details.menu   close by Escape and by a click beside them */
"use strict";

(() => {
  const say = (text) => {
    const region = document.getElementById("spoken");
    if (region) {
      region.textContent = "";
      requestAnimationFrame(() => { region.textContent = text; });
    }
  };

  const showButtons = (root) => {
    root.querySelectorAll("[data-print][hidden]").forEach((button) => { button.hidden = false; });
    if (navigator.clipboard) {
      root.querySelectorAll("[data-copy][hidden]").forEach((button) => { button.hidden = false; });
    }
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
    const button = event.target.closest("[data-copy]");
    if (button) {
      const source = document.getElementById(button.dataset.copy);
      const text = "value" in source ? source.value : source.textContent.trim();
      navigator.clipboard.writeText(text).then(
        () => {
          const label = button.querySelector("[data-label]") || button;
          const before = label.textContent;
          label.textContent = "Copied";
          say("Copied to the clipboard.");
          setTimeout(() => { label.textContent = before; }, 2000);
        },
        () => say("The browser did not allow copying."),
      );
    }
    document.querySelectorAll("details.site-menu[open], details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.site-menu[open], details.menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-once]")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    // After the browser has gathered what it sends: a disabled button's own value would be left out.
    setTimeout(() => {
      form.querySelectorAll("button[type=submit]").forEach((button) => {
        button.setAttribute("aria-disabled", "true");
        const label = button.querySelector("[data-busy]");
        if (label) {
          label.dataset.rest = label.textContent;
          label.textContent = label.dataset.busy;
        }
      });
    });
    say(form.dataset.once || "Sending.");
  });

  const wake = () => {
    document.querySelectorAll("form[data-once][data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.removeAttribute("aria-busy");
      form.querySelectorAll("[aria-disabled]").forEach((button) => button.removeAttribute("aria-disabled"));
      form.querySelectorAll("[data-rest]").forEach((label) => { label.textContent = label.dataset.rest; });
    });
  };
  // A page that comes back from the history must work again; htmx leaves the page where it is.
  window.addEventListener("pageshow", (event) => { if (event.persisted) wake(); });
  document.addEventListener("htmx:afterRequest", wake);

  document.addEventListener("htmx:afterSwap", (event) => showButtons(event.target));
  const trouble = (text) => {
    const notice = document.getElementById("trouble");
    if (!notice) return;
    notice.querySelector("p").textContent = text;
    notice.hidden = !text;
  };
  document.addEventListener("htmx:responseError", () => trouble("That did not work. Load the page again."));
  document.addEventListener("htmx:sendError", () => trouble("This site cannot be reached at the moment."));
  document.addEventListener("htmx:afterOnLoad", () => trouble(""));
  showButtons(document);
})();
