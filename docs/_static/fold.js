// Long tables of keys and options begin folded on narrow screens, but for the one that a link leads to.
if (matchMedia("(max-width: 46em)").matches) {
  for (const details of document.querySelectorAll("details.keys, details.options")) {
    details.open = !!location.hash && !!details.closest("section")?.matches(location.hash);
  }
}
