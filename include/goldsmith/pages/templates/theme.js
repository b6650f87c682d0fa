
(() => {
  // The theme chosen in Airflow, which its page keeps here; without one, the system's.
  const follow = () => {
    let theme = null;
    try { theme = localStorage.getItem("theme"); } catch { /* not allowed: the system's */ }
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  follow();
  addEventListener("storage", follow);
})();
