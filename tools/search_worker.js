// The search of the site: the worker that Material's search box asks, in place of the one that comes with it. It ranks
// sections by the words of their titles and texts (BM25), by words that stand side by side, and by how much of the
// question they have. `make quality ARGS=search` says how well.

const SETUP = 0, READY = 1, QUERY = 2, RESULT = 3 // Material's messages

// Words that say nothing about what is asked.
const STOP = new Set(("a about after all am an and any are as at be been but by can could did do does for from get had has " +
  "have how i if in into is it its just like make me my need no not of on one or our out should so some something than that " +
  "the their them then there these they this to up use using want was we were what when where which while who why will " +
  "with without would you your").split(" "))

// What people say, and what the pages say.
const SAME = [
  ["mail", "email"],
]

const stem = word => {
  if (word.length < 4 || /\d/.test(word)) return word
  word = word.replace(/(ss|x|ch|sh)es$/, "$1").replace(/([^su])s$/, "$1").replace(/ie(d?)$/, "y")
  word = word.replace(/^(.*[aeiouy].*?)(ing|ed|ion)$/, "$1").replace(/([b-df-hj-np-tv-z])\1$/, "$1")
  return word.length > 3 ? word.replace(/[eyi]$/, "") : word
}

// The words of a text, each with its parts: "Cache.remember" is itself, "cache" and "remember".
function* words(text) {
  for (const [whole] of text.matchAll(/[\p{L}\p{N}_]+(?:[.+-][\p{L}\p{N}_]+)*/gu)) {
    const parts = whole.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{N}+/gu) ?? []
    if (parts.length > 1) yield { whole: whole.toLowerCase() }
    if (whole.includes("-")) yield { whole: whole.toLowerCase().replaceAll("-", "") }
    for (const part of parts) yield { part: part.toLowerCase() }
  }
}

// The terms of a text: stems of its words, its compounds as they stand, and pairs of neighbours.
function terms(text) {
  const single = [], pairs = []
  for (const line of text.split("\n")) {
    let last
    for (const { whole, part } of words(line)) {
      if (whole) single.push(whole)
      if (!part) continue
      if (STOP.has(part)) continue
      const term = stem(part)
      single.push(term)
      if (last) pairs.push(`${last} ${term}`)
      last = term
    }
  }
  return { single, pairs }
}

const PLACE = [ // how much a part of the site is asked for
  [/^reference\/messages/, 1], [/^reference\//, 0.35], [/^project\/(changelog|contributing)/, 0.25],
  [/^project\/|^start\/from-rust/, 0.4], [/^cookbook\//, 0.7],
]

class Index {
  constructor(sections) {
    this.sections = sections
    this.spoken = new Map() // word of a title -> how often
    this.terms = new Map() // term -> Map of section -> [in the title, in the page's title, how often in the text]
    this.pairs = new Map() // the same of two words side by side
    const pages = new Map()
    sections.forEach((section, at) => {
      const [page, anchor = ""] = section.location.split("#")
      if (!pages.has(page)) pages.set(page, section)
      section.page = pages.get(page)
      section.prior = (PLACE.find(([path]) => path.test(page))?.[1] ?? 1) * (section.boost ?? 1)
      const title = terms(section.title), text = terms(section.text)
      section.heading = new Set(title.single)
      for (const [word] of section.title.toLowerCase().matchAll(/[\p{L}\p{N}_]+/gu))
        this.spoken.set(word, (this.spoken.get(word) ?? 0) + 1)
      section.names = new Set(anchor.startsWith("rustforge.") ? anchor.split(".").map((_, i, all) => all.slice(i).join(".")) : [])
      section.length = text.single.length + 1
      const count = (list, field, index = this.terms) => list.forEach(term => {
        if (!index.has(term)) index.set(term, new Map())
        const found = index.get(term)
        if (!found.has(at)) found.set(at, [0, 0, 0])
        found.get(at)[field]++
      })
      count(title.single, 0)
      count(title.pairs.map(pair => pair.replace(" ", "")), 0)
      if (section.page !== section) count([...section.page.heading], 1)
      count(text.single, 2)
      count(title.pairs, 0, this.pairs)
      count(text.pairs, 2, this.pairs)
    })
    this.average = sections.reduce((sum, { length }) => sum + length, 0) / sections.length
  }

  // The word of the titles that a word begins.
  complete(start) {
    const found = start && [...this.spoken.keys()].filter(word => word.startsWith(start))
    return found?.length ? [found.reduce((a, b) => this.spoken.get(b) > this.spoken.get(a) ? b : a)] : []
  }

  weight(term, index = this.terms) {
    const found = index.get(term)?.size ?? 0
    return Math.log(1 + (this.sections.length - found + 0.5) / (found + 0.5))
  }

  // The terms of the index that a word of the question may mean, each with how sure that is.
  meanings(term, unfinished) {
    const found = new Map()
    if (this.terms.has(term)) found.set(term, 1)
    for (const group of SAME) if (group.includes(term)) for (const other of group) if (this.terms.has(other) && other !== term) found.set(other, 0.8)
    if (unfinished || !found.size)
      for (const other of this.terms.keys())
        if (other.startsWith(term) && !found.has(other) && term.length > 1) found.set(other, found.has(term) ? 0.2 : 0.7)
    if (!found.size && term.length > 3)
      for (const other of this.terms.keys())
        if (near(term, other)) found.set(other, 0.6)
    return found
  }

  ask(question) {
    const raw = question.trim()
    const name = /^[\w.()]+$/.test(raw) && /[._A-Z]/.test(raw) ? raw.replace(/\(.*/, "") : "" // one of the API
    let { single, pairs } = terms(raw)
    if (!single.length) single = [...words(raw)].map(({ part }) => part && stem(part)).filter(Boolean)
    const scores = new Map(), matched = new Set()
    let whole = 0
    const unique = [...new Set(single)]
    unique.forEach((term, place) => {
      const unfinished = place === unique.length - 1 && /[\p{L}\p{N}]$/u.test(question)
      const best = new Map()
      let top = 0
      for (const [other, sure] of this.meanings(term, unfinished)) {
        matched.add(other)
        const weight = this.weight(other)
        top = Math.max(top, sure === 0.2 ? 0 : weight)
        for (const [at, [title, page, text]] of this.terms.get(other)) {
          const section = this.sections[at]
          const often = text / (text + 1.2 * (0.3 + 0.7 * section.length / this.average))
          const score = weight * sure * ((title ? 2.5 : 0) + (page ? 0.7 : 0) + often)
          if (score > (best.get(at)?.score ?? 0)) best.set(at, { score, share: weight * Math.min(1, sure * 1.25) })
        }
      }
      whole += top
      for (const [at, { score, share }] of best) {
        const sum = scores.get(at) ?? { score: 0, share: 0 }
        sum.score += score
        sum.share += Math.min(share, top)
        scores.set(at, sum)
      }
    })
    for (const pair of new Set(pairs))
      for (const [at, [title, , text]] of this.pairs.get(pair) ?? [])
        if (scores.has(at)) scores.get(at).score += this.weight(pair, this.pairs) * ((title ? 1 : 0) + (text ? 0.5 : 0))
    const found = []
    for (const [at, { score, share }] of scores) {
      const section = this.sections[at]
      const has = whole ? share / whole : 0
      let known = 0, all = 0
      for (const term of section.heading) {
        all += this.weight(term)
        if (matched.has(term)) known += this.weight(term)
      }
      let rank = score * has ** 2 * section.prior * (1 + 0.5 * (all ? known / all : 0))
      if (section.names.has(name)) rank *= 20
      found.push({ section, rank })
    }
    found.sort((a, b) => b.rank - a.rank)
    return { found: found.filter(({ rank }) => rank > 0.05 * found[0].rank).slice(0, 60), matched }
  }
}

// Whether two words differ by one letter, or two that changed places; by two in long words.
function near(a, b) {
  const most = a.length > 7 ? 2 : 1
  if (Math.abs(a.length - b.length) > most || a[0] !== b[0]) return false
  let before, row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]))
      if (before && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) next[j] = Math.min(next[j], before[j - 2] + 1)
    }
    before = row
    row = next
  }
  return row[b.length] <= most
}

const escape = text => text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt()};`)

// A text as HTML, with the words that were found marked.
function mark(text, matched) {
  return text.split(/([\p{L}\p{N}]+)/u).map((piece, at) =>
    at % 2 && matched.has(stem(piece.toLowerCase())) ? `<mark data-md-highlight>${escape(piece)}</mark>` : escape(piece)).join("")
}

// The line of a section that has most of what was asked.
function excerpt(text, matched) {
  const lines = text.split("\n")
  const worth = lines.map(line => new Set(terms(line).single.filter(term => matched.has(term))).size)
  const line = lines[worth.indexOf(Math.max(...worth))]
  const first = Math.max(0, line.split(/\b/).findIndex(word => matched.has(stem(word.toLowerCase()))))
  const before = line.split(/\b/).slice(0, first).join("").length
  const from = before > 120 ? line.indexOf(" ", before - 60) + 1 : 0
  return (from ? "… " : "") + line.slice(from, from + 240) + (line.length > from + 240 ? " …" : "")
}

function answer(index, question) {
  const { found, matched } = index.ask(question)
  const words = question.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []
  const known = Object.fromEntries(words.filter(word => !STOP.has(word)).map(word => [word, true]))
  const cards = new Map()
  for (const { section, rank } of found) {
    if (!cards.has(section.page)) cards.set(section.page, [])
    cards.get(section.page).push({
      location: section.location,
      title: mark(section.title, matched),
      text: section.text && `<p>${mark(excerpt(section.text, matched), matched)}</p>`,
      score: rank,
      terms: known,
    })
  }
  for (const [page, card] of cards)
    if (!card.some(({ location }) => location === page.location))
      card.push({ location: page.location, title: escape(page.title), text: "", score: 0, terms: {} })
  return { items: [...cards.values()], suggest: index.complete(words.at(-1)) }
}

let index

addEventListener("message", ({ data: { type, data } }) => {
  if (type === SETUP) {
    index = new Index(data.docs)
    postMessage({ type: READY })
  } else if (type === QUERY) {
    postMessage({ type: RESULT, data: data.trim() ? answer(index, data) : { items: [] } })
  }
})
