
addEventListener("DOMContentLoaded", () => {
  // In Airflow's frame, which opens no windows, a node leads to what dbt said about it and not to Airflow in Airflow.
  const framed = self !== top, main = document.querySelector("main");
  const page = framed ? main.dataset.tab : main.dataset.page;
  for (const link of document.querySelectorAll("a[data-task]"))
    if (page) link.href = page.replace(/~(?=(\/plugin\/[^/]*)?$)/, () => encodeURIComponent(link.dataset.task));
  if (framed) {
    for (const link of document.querySelectorAll("a[data-tab]")) link.href = link.dataset.tab;
    for (const link of document.querySelectorAll("a[data-outside]")) link.removeAttribute("href");
  }

  // Search and filters; without this script the lists are simply whole. The page of a dry run has none.
  const filters = document.querySelector(".filters");
  if (!filters) return;
  const search = filters.querySelector("input[type=search]");
  const boxes = [...filters.querySelectorAll("input[type=checkbox]")], count = filters.querySelector("output");
  const layers = [...document.querySelectorAll("details.layer")].map((box) => {
    const name = box.querySelector("summary").textContent.split(":")[0];
    const rows = [...box.querySelectorAll("tbody tr")];
    return { box, rows: rows.map((row) => ({ row, text: `${name} ${row.innerText || row.textContent}`.toLowerCase() })) };
  });
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const styles = boxes.filter((box) => box.checked).map((box) => box.value);
    const all = !words.length && !styles.length;
    let found = 0, total = 0;
    for (const { box, rows } of layers) {
      let here = 0;
      for (const { row, text } of rows) {
        const fits = words.every((word) => text.includes(word))
          && (!styles.length || styles.some((style) => row.classList.contains(style)));
        row.hidden = !fits;
        here += fits;
      }
      box.hidden = !here;
      box.open = !all && here > 0;
      found += here;
      total += rows.length;
    }
    count.textContent = all ? "" : `${found} of ${total} nodes`;
  };
  filters.hidden = false;
  filters.addEventListener("input", filter);
  for (const link of document.querySelectorAll("a[data-filter]"))
    link.addEventListener("click", () => {
      search.value = "";
      for (const box of boxes) box.checked = box.value === link.dataset.filter;
      filter();
    });
});
