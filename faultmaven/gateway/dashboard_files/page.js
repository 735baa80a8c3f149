// Shows the gateway's numbers.  The key stays in this variable and is in no storage, cookie or address.
"use strict";

const EVERY_MS = 2000;
const SUMS = [
  ["requests", "requests", whole],
  ["failed", "failed", whole],
  ["input_tokens", "tokens in", whole],
  ["output_tokens", "tokens out", whole],
  ["cost_usd", "cost", money],
  ["mean_ms", "mean", milliseconds],
  ["p95_ms", "95 % below", milliseconds],
];

let key = "";

function at(id) {
  return document.getElementById(id);
}

function whole(value) {
  return value.toLocaleString();
}

function money(value) {
  return `$${value.toFixed(4)}`;
}

function milliseconds(value) {
  return value === null ? "–" : `${whole(value)} ms`;
}

// Whatever a provider or a client has named goes into the page as text and in no other way.
function cell(kind, text, classes = []) {
  const made = document.createElement(kind);
  made.textContent = text;
  made.classList.add(...classes);
  return made;
}

function fill(table, words, rows) {
  const head = document.createElement("tr");
  head.append(...words.map(([, title]) => cell("th", title, ["words"])));
  head.append(...SUMS.map(([, title]) => cell("th", title)));
  table.replaceChildren(head, ...rows.map((row) => line(words, row)));
}

function line(words, row) {
  const made = document.createElement("tr");
  const trouble = row.state && row.state !== "ok" ? ["trouble"] : [];
  made.append(...words.map(([name]) => cell("td", row[name], ["words", ...trouble])));
  made.append(...SUMS.map(([name, , write]) => cell("td", write(row[name]))));
  return made;
}

function show(numbers) {
  const draining = numbers.draining ? ", draining" : "";
  at("state").textContent =
    `version ${numbers.version}, ${whole(numbers.in_flight)} in flight${draining}`;
  fill(at("providers"), [["name", "provider"], ["state", "state"]], numbers.providers);
  fill(at("models"), [["provider", "provider"], ["name", "model"]], numbers.models);
}

function ask(why) {
  key = "";
  at("numbers").hidden = true;
  at("door").hidden = false;
  at("state").textContent = why;
  at("key").focus();
}

async function load() {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let reply;
  try {
    reply = await fetch("dashboard/numbers", { headers, cache: "no-store", credentials: "omit" });
  } catch {
    at("state").textContent = "The gateway does not answer.";
    setTimeout(load, EVERY_MS);
    return;
  }
  if (reply.status === 401 || reply.status === 403) {
    ask(key ? "That is no administrator's key." : "Closed: it needs an administrator's key.");
    return;
  }
  if (reply.ok) {
    show(await reply.json());
    at("door").hidden = true;
    at("numbers").hidden = false;
  } else {
    at("state").textContent = `The gateway answers ${reply.status}.`;
  }
  setTimeout(load, EVERY_MS);
}

at("door").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value.trim();
  at("key").value = "";
  load();
});
load();
