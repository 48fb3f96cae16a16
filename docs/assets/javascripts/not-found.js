// On the page for addresses where nothing is: suggest the pages whose addresses resemble the one that was asked for,
// within the version that was asked for. The list of all pages below is there without this script, too.

const found = document.querySelector("[data-suggestions]")

/** The pairs of neighbours among the letters of an address. */
function pairs(text) {
  const letters = text.toLowerCase().replace(/(\/|^)index\b|\.\w+$/g, "").replace(/[^a-z0-9]/g, "")
  return new Set(Array.from({ length: letters.length - 1 }, (_, place) => letters.slice(place, place + 2)))
}

/** How much two texts resemble each other, from 0 to 1: Dice's coefficient. */
function likeness(one, other) {
  const [first, second] = [pairs(one), pairs(other)]
  const shared = [...first].filter((pair) => second.has(pair)).length
  return (2 * shared) / (first.size + second.size || 1)
}

const last = (path) => path.split("/").filter(Boolean).at(-1) ?? ""

async function suggest() {
  let base = new URL(found.dataset.base, location)
  let asked = decodeURI(location.pathname).slice(base.pathname.length)
  let pages = [...document.querySelectorAll("[data-pages] a")].map((link) => ({
    path: new URL(link.href).pathname.slice(base.pathname.length),
    title: link.textContent,
  }))
  if ("versions" in found.dataset) {
    const root = new URL("..", base)
    const [version, ...rest] = decodeURI(location.pathname).slice(root.pathname.length).split("/")
    const versions = await (await fetch(new URL("versions.json", root))).json()
    asked = [version, ...rest].join("/")
    if (versions.some((one) => one.version === version || one.aliases.includes(version))) {
      asked = rest.join("/")
      base = new URL(`${version}/`, root)
      const sitemap = await (await fetch(new URL("sitemap.xml", base))).text()
      pages = pages.filter(({ path }) => sitemap.includes(`/${path}</loc>`))
    }
  }
  const near = pages
    .map(({ path, title }) => ({
      path,
      title,
      rank: likeness(asked, path) + Math.max(...[last(path), ...title.split(" ")].map((word) => likeness(last(asked), word))),
    }))
    .filter(({ rank }) => rank > 0.6)
    .sort((one, other) => other.rank - one.rank)
  for (const { path, title } of near.slice(0, 5)) {
    const link = document.createElement("a")
    link.href = new URL(path, base)
    link.textContent = title
    const item = document.createElement("li")
    item.append(link)
    found.querySelector("ul").append(item)
  }
  found.hidden = near.length === 0
}

suggest()
