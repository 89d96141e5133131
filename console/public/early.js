// Colours and language before the first paint, so that a dark room stays dark. Same keys as src/settings.ts.
(function () {
  var root = document.documentElement;
  var theme = null;
  var lang = null;
  try {
    theme = localStorage.getItem("minesweep.theme");
    lang = localStorage.getItem("minesweep.lang");
  } catch (e) {
    // Storage is closed: the defaults of the browser are used.
  }
  var dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.setAttribute("theme-mode", dark ? "dark" : "light");
  root.lang = (lang || navigator.language || "en").slice(0, 2) === "zh" ? "zh-CN" : "en";
})();
