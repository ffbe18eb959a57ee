// The counter without a mouse: the function keys, and the panel of readers, which follows what the server
// tells of cards that come and go. Nothing is decided here.
"use strict";

// F2 search, F3 amount for the card in the reader, F4 what else can be done with it, F8 print, F9 the
// page's main button.
const keys = {
  F2: () => document.querySelector("input[type=search]")?.focus(),
  F3: () => document.querySelector(".card-paid")?.focus(),
  F4: () => document.querySelector(".card-act")?.focus(),
  F8: () => window.print(),
  F9: () => document.querySelector("main .btn-primary")?.click(),
};

document.addEventListener("keydown", (event) => {
  const act = keys[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

document.addEventListener("DOMContentLoaded", () => {
  const panel = document.getElementById("readers");
  if (!panel) return;
  // What is being typed is not taken away: the panel waits until the field is empty or left.
  const isTyping = () => {
    const field = document.activeElement;
    return panel.contains(field) && field.value !== undefined && field.value !== "";
  };
  let waits = false;
  const draw = () => {
    waits = isTyping();
    if (!waits) htmx.ajax("GET", panel.dataset.from ?? "/readers", { target: panel, swap: "innerHTML" });
  };
  panel.addEventListener("focusout", () => { if (waits) setTimeout(draw); });
  panel.addEventListener("htmx:afterSwap", (event) => {
    const field = panel.querySelector("[data-first]");
    const search = document.querySelector("input[type=search]");
    const isFree = document.activeElement === document.body
      || (document.activeElement === search && search.value === "");
    if (field && event.target === panel && isFree) field.focus();
  });
  new EventSource("/reader-events").addEventListener("readers", draw);
});
