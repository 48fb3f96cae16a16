// What the theme leaves out: names of code on focus as on hover, tables that scroll by key, the drawer by key.

// The title of a link or an abbreviation, shown where the pointer or the focus is. Escape hides it.
const tip = Object.assign(document.createElement("div"), { className: "rf-tip", id: "rf-tip", role: "tooltip" })
let host = null

function show(element) {
  if (element === host) return
  hide()
  host = element
  tip.textContent = host.title
  host.removeAttribute("title")
  host.setAttribute("aria-describedby", tip.id)
  document.body.append(tip)
  const { left, bottom } = host.getClientRects()[0]
  tip.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 8)) + scrollX}px`
  tip.style.top = `${bottom + scrollY}px`
}

function hide() {
  if (!host) return
  host.title = tip.textContent
  host.removeAttribute("aria-describedby")
  tip.remove()
  host = null
}

const named = (target) => {
  const element = target instanceof Element && target.closest(".md-typeset [title]:not(.headerlink, button)")
  return element && element.textContent.trim() ? element : null
}

for (const [enter, leave] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  document.addEventListener(enter, ({ target }) => named(target) && show(named(target)))
  document.addEventListener(leave, ({ relatedTarget }) => {
    if (host && !(relatedTarget instanceof Node && (host.contains(relatedTarget) || tip.contains(relatedTarget)))) hide()
  })
}

// A table or a block of code that is wider than the page can be scrolled by key. The theme makes landmarks without a
// name: a bar of code is none, and a section of the navigation with a page of its own is called as that is.
const sizes = new ResizeObserver((entries) => {
  const wide = entries.map(({ target }) => target.scrollWidth > target.clientWidth) // all, before anything changes
  entries.forEach(({ target }, i) => (wide[i] ? (target.tabIndex = 0) : target.removeAttribute("tabindex")))
})

function care() {
  for (const bar of document.querySelectorAll(".md-code__nav:not([role])")) bar.role = "none"
  for (const label of document.querySelectorAll(".md-nav__link[id$=_label]:not([title])")) {
    if (!label.textContent.trim()) label.title = label.previousElementSibling.textContent.trim()
  }
  for (const wide of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code")) sizes.observe(wide)
}

care()
new MutationObserver(care).observe(document.body, { childList: true, subtree: true })

// Escape closes the drawer, too.
const drawer = document.getElementById("__drawer")
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return
  hide()
  if (!drawer?.checked) return
  drawer.click()
  document.querySelector(".md-header__button[for=__drawer]").focus()
})
