"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // What is picked: an element belongs to an experiment, a coupling, both or neither, and is shown if all it names are.
  const picked = (what) => new Set(all(`input[data-pick=${what}]:checked`).map((box) => box.value));
  const known = { experiment: null, coupling: null };
  for (const what of Object.keys(known)) known[what] = new Set(all(`input[data-pick=${what}]`).map((box) => box.value));

  function pick() {
    const chosen = { experiment: picked("experiment"), coupling: picked("coupling") };
    for (const element of all("[data-experiment], [data-coupling]")) {
      const off = Object.keys(known).some((what) => {
        const name = element.dataset[what];
        return name !== undefined && known[what].has(name) && !chosen[what].has(name);
      });
      element.classList.toggle("off", off);
    }
    for (const input of all("input[data-filter]")) count(input.dataset.filter);
  }

  for (const box of all("input[data-pick]")) box.addEventListener("change", pick);
  for (const [key, state] of [["all", true], ["none", false]]) {
    for (const button of all(`button[data-${key}]`)) {
      button.addEventListener("click", () => {
        for (const box of all(`input[data-pick=${button.dataset[key]}]`)) box.checked = state;
        pick();
      });
    }
  }

  // Filter: every word has to stand somewhere in the row.
  function filter(input) {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of all(`#${input.dataset.filter} tbody tr`)) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    count(input.dataset.filter);
  }

  function count(table) {
    const rows = all(`#${table} tbody tr`);
    const shown = rows.filter((row) => !row.hidden && !row.classList.contains("off")).length;
    document.querySelector(`output[data-count=${table}]`).textContent = `${shown} of ${rows.length} rows`;
  }

  for (const input of all("input[data-filter]")) input.addEventListener("input", () => filter(input));

  // Sort: by numbers where cells have them, by text otherwise; empty cells last.
  function sort(head) {
    const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
    const rising = head.getAttribute("aria-sort") !== "ascending";
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.key === undefined ? cell.textContent.trim() : Number(cell.dataset.key);
    };
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      return rising ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
    for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  }

  for (const head of all("thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(head));
  }

  if (matchMedia("(max-width: 40rem)").matches) for (const part of all(".pickers details")) part.open = false;
  pick();
})();
