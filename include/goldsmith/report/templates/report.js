
// In Airflow's frame, which opens no windows, a node leads to what dbt said about it and not to Airflow in Airflow.
addEventListener("DOMContentLoaded", () => {
  if (self === top) return;
  for (const link of document.querySelectorAll("a[data-tab]")) link.href = link.dataset.tab;
});
