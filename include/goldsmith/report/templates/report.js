
// In Airflow's frame, which opens no windows, a node leads to what dbt said about it and not to Airflow in Airflow.
addEventListener("DOMContentLoaded", () => {
  if (self === top) return;
  for (const link of document.querySelectorAll("a[data-tab]")) link.href = link.dataset.tab;
});

// Search and filters over all nodes; without this script the lists are simply whole.
addEventListener("DOMContentLoaded", () => {
  const filter = document.querySelector(".filter");
  if (!filter) return;
  filter.hidden = false;
  const text = filter.querySelector("input[type=search]");
  const boxes = [...filter.querySelectorAll("input[type=checkbox]")];
  const layers = [...document.querySelectorAll("details.layer")];
  const apply = () => {
    const wanted = text.value.trim().toLowerCase();
    const conditions = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const isNarrow = wanted !== "" || conditions.size < boxes.length;
    let total = 0;
    for (const layer of layers) {
      let found = 0;
      for (const row of layer.querySelectorAll("tr[data-c]")) {
        const said = `${row.cells[0].textContent} ${row.cells[1].textContent}`.toLowerCase();
        row.hidden = !conditions.has(row.dataset.c) || !said.includes(wanted);
        if (!row.hidden) found += 1;
      }
      total += found;
      layer.hidden = isNarrow && found === 0;
      layer.open = isNarrow && found > 0;
    }
    filter.querySelector("output").textContent = isNarrow ? `${total} found` : "";
  };
  filter.addEventListener("input", apply);
});
