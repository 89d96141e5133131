// What jsdom lacks and the page asks for when it is loaded. A test without a page has no window.
if ("window" in globalThis) {
  window.matchMedia = (query) =>
    Object.assign(new EventTarget(), {
      matches: false,
      media: query,
      onchange: null,
      addListener: () => {},
      removeListener: () => {},
    });
}
