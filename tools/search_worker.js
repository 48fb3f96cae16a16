// The search of the site: the worker that Material's search box asks, in place of the one that comes with it. It ranks
// sections by the words of their titles and texts (BM25), by words that stand side by side, and by how much of the
// question they have. `make quality ARGS=search` says how well.

const SETUP = 0, READY = 1, QUERY = 2, RESULT = 3 // Material's messages

// Words that say nothing about what is asked.
const STOP = new Set(`
  a about after all am an and any are as at be been but by can could did do does for from get had has have how i
  if in into is it its just like make me my need no not of on one or our out should so some something than that
  the their them then there these they this to up use using want was we were what when where which while who why
  will with would you your`.trim().split(/\s+/))

// A word without its endings, such as "retr" of "retry", "retries" and "retried".
const stem = word => {
  if (word.length < 4 || /\d/.test(word)) return word
  word = word.replace(/(ss|x|ch|sh)es$/, "$1").replace(/([^su])s$/, "$1").replace(/ie(d?)$/, "y")
  word = word.replace(/^(.*[aeiouy].*?)(ing|ed|ion)$/, "$1").replace(/^(....+)ate?$/, "$1")
  return word.replace(/([b-df-hj-np-tv-z])\1$/, "$1").replace(/^(...+)[eyi]$/, "$1")
}

// Words that stand for each other.
const SAME = [
  "email mail", "run ran", "fast speed performance benchmark", "delete remove clear flush purge",
  "several many multiple", "stop abort cancel", "picture photo image", "custom own", "state status", "parallel xdist",
  "crash die kill", "night day daily", "notify tell", "language translate", "begin start", "folder directory",
  "error exception", "postgres postgresql",
].map(line => line.split(" ").map(stem))

// Names that are one word, whatever their capitals say.
const NAMES = /FastAPI|OpenAPI|OpenTelemetry|PostgreSQL|SQLAlchemy|TypeScript|JavaScript|WebSocket|GitHub/g

const WORD = /[\p{L}\p{N}_]+(?:[.+-][\p{L}\p{N}_]+)*/gu

// The terms of a text: the stems of its words, compounds as they stand beside their parts ("Cache.remember" beside
// "cache" and "remember"), and pairs of neighbours. In a title, neighbours are a compound, too ("time zone").
function terms(text, isTitle) {
  const single = [], pairs = []
  for (const line of text.replace(NAMES, name => name.toLowerCase()).split("\n")) {
    let last, before, beside
    for (const [whole] of line.matchAll(WORD)) {
      const parts = whole.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{N}+/gu) ?? []
      if (parts.length > 1) {
        single.push(whole.toLowerCase())
        if (whole.includes("-")) single.push(stem(whole.toLowerCase().replaceAll("-", "")))
      }
      for (const cased of parts) {
        const part = cased.toLowerCase(), term = stem(part)
        if (beside && beside !== last && !isTitle) pairs.push(`${beside} ${term}`)
        beside = term
        if (STOP.has(part)) continue
        single.push(term)
        if (last) pairs.push(`${last} ${term}`)
        if (before && isTitle) single.push(stem(before + part))
        last = term
        before = part
      }
    }
  }
  return { single, pairs }
}

// How much a section counts by where it is: the first that fits.
const PLACE = {
  "reference/messages/": 0.7, "reference/testing/": 0.2, "reference/": 0.3, "project/quality/": 0.1, "project/": 0.2,
  "start/from-rust/": 0.15, "cookbook/": 0.7, "migrate/": 0.35,
}

// How much a word counts by where it is found, and by how sure it is that it is the one that was meant.
const WEIGHT = {
  title: 1, page: 1.4, text: 2, code: 0.4, // code beside text
  flat: 2.4, length: 0.7, // of BM25: k1 and b
  titlePair: 4, textPair: 0.5, // two words side by side
  heading: 0.5, // more, where the question has all of the title
  same: 0.3, begun: 0.7, unfinished: 0.2, near: 0.6,
}

const SIGNS = { "&lt;": "<", "&gt;": ">", "&amp;": "&" }

class Index {
  constructor(docs) {
    const sections = this.sections = docs.filter(({ title }) => title !== "See also") // links only
    this.spoken = new Map() // word of a title -> how often
    this.terms = new Map() // term -> Map of section -> [in the title, in the page's title, how often in the text]
    this.pairs = new Map() // the same of two words side by side
    const pages = new Map()
    sections.forEach((section, at) => {
      const [page, anchor = ""] = section.location.split("#")
      if (!pages.has(page)) pages.set(page, section)
      section.page = pages.get(page)
      section.title = section.title.replace(/<[^>]*>/g, "").replace(/&(lt|gt|amp);/g, sign => SIGNS[sign]).trim()
      const path = anchor.startsWith("rustforge.") ? anchor.split(".") : []
      if (path.length && !section.title.includes(".")) // a name of the API: without its labels, and with its class
        section.title = path.slice(/^[A-Z]/.test(path.at(-2)) ? -2 : -1).join(".")
      section.prior = PLACE[Object.keys(PLACE).find(start => page.startsWith(start))] ?? 1
      const title = terms(section.title, true)
      const text = terms(section.text.replace(/^\t.*/gm, "")), code = terms(section.text.replace(/^[^\t].*/gm, ""))
      section.heading = new Set(title.single)
      for (const [word] of section.title.toLowerCase().matchAll(/[\p{L}\p{N}_]+/gu))
        this.spoken.set(word, (this.spoken.get(word) ?? 0) + 1)
      section.names = new Set(path.map((_, from) => path.slice(from).join(".")))
      section.length = text.single.length + WEIGHT.code * code.single.length + 1
      const count = (list, field, index = this.terms, worth = 1) => list.forEach(term => {
        if (!index.has(term)) index.set(term, new Map())
        const found = index.get(term)
        if (!found.has(at)) found.set(at, [0, 0, 0])
        found.get(at)[field] += worth
      })
      count(title.single, 0)
      count([...section.names].map(name => name.toLowerCase()), 0)
      if (section.page !== section) count([...section.page.heading], 1)
      count(text.single, 2)
      count(code.single, 2, this.terms, WEIGHT.code)
      count(title.pairs, 0, this.pairs)
      count(text.pairs, 2, this.pairs)
      count(code.pairs, 2, this.pairs, WEIGHT.code)
    })
    this.sorted = [...this.terms.keys()].sort()
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
    for (const group of SAME)
      if (group.includes(term)) group.forEach(other => this.terms.has(other) && found.set(other, WEIGHT.same))
    if (this.terms.has(term)) found.set(term, 1)
    if (term.length > 1 && (unfinished || !found.size)) {
      const sure = found.size ? WEIGHT.unfinished : WEIGHT.begun
      for (const other of this.startingWith(term)) if (!found.has(other)) found.set(other, sure)
    }
    if (!found.size && term.length > 3)
      for (const other of this.sorted) if (near(term, other)) found.set(other, WEIGHT.near)
    return found
  }

  *startingWith(start) {
    let from = 0, to = this.sorted.length
    while (from < to) {
      const middle = (from + to) >> 1
      if (this.sorted[middle] < start) from = middle + 1
      else to = middle
    }
    for (; this.sorted[from]?.startsWith(start); from++) yield this.sorted[from]
  }

  ask(question) {
    const raw = question.trim()
    const name = /^[\w.()]+$/.test(raw) && /[._A-Z]/.test(raw) ? raw.replace(/\(.*/, "") : "" // one of the API
    let { single, pairs } = terms(raw)
    if (!single.length) single = raw.toLowerCase().match(/[\p{L}\p{N}]+/gu)?.map(stem) ?? []
    const scores = new Map(), matched = new Set()
    let whole = 0
    const unique = [...new Set(single)]
    unique.forEach((term, place) => {
      const unfinished = place === unique.length - 1 && /[\p{L}\p{N}]$/u.test(question)
      const best = new Map()
      let top = 0
      for (const [other, sure] of this.meanings(term, unfinished)) {
        matched.add(other)
        const weight = Math.min(this.weight(other), this.weight(term))
        top = Math.max(top, sure === WEIGHT.unfinished ? 0 : weight)
        for (const [at, [title, page, text]] of this.terms.get(other)) {
          const section = this.sections[at]
          const long = 1 - WEIGHT.length + WEIGHT.length * section.length / this.average
          const often = text / (text + WEIGHT.flat * long)
          const score = weight * sure * ((title ? WEIGHT.title : 0) + (page ? WEIGHT.page : 0) + WEIGHT.text * often)
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
    for (const pair of new Set(pairs)) {
      const weight = this.weight(pair, this.pairs)
      for (const [at, [title, , text]] of this.pairs.get(pair) ?? [])
        if (scores.has(at))
          scores.get(at).score += weight * ((title ? WEIGHT.titlePair : 0) + WEIGHT.textPair * Math.min(text, 1))
    }
    const found = []
    for (const [at, { score, share }] of scores) {
      const section = this.sections[at]
      const has = whole ? share / whole : 0
      let known = 0, all = 0
      for (const term of section.heading) {
        all += this.weight(term)
        if (matched.has(term)) known += this.weight(term)
      }
      let rank = score * has * section.prior * (1 + WEIGHT.heading * (all ? known / all : 0))
      if (section.names.has(name)) rank *= 20
      found.push({ section, rank })
    }
    found.sort((a, b) => b.rank - a.rank)
    return { found: found.filter(({ rank }) => rank > 0.05 * found[0].rank).slice(0, 40), matched }
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
  return text.split(/([\p{L}\p{N}]+)/u).map((piece, at) => {
    const found = at % 2 && matched.has(stem(piece.toLowerCase()))
    return found ? `<mark data-md-highlight>${escape(piece)}</mark>` : escape(piece)
  }).join("")
}

// The line of a section that has most of what was asked, cut to what fits.
function excerpt(text, matched) {
  let line = "", most = -1, start = 0
  for (const one of text.split("\n")) {
    const found = [...one.matchAll(/[\p{L}\p{N}]+/gu)].filter(([word]) => matched.has(stem(word.toLowerCase())))
    const worth = new Set(found.map(([word]) => stem(word.toLowerCase()))).size
    if (worth > most) [line, most, start] = [one, worth, found[0]?.index ?? 0]
  }
  const from = start > 120 ? line.indexOf(" ", start - 60) + 1 : 0
  return (from ? "… " : "") + line.slice(from, from + 240).trim() + (line.length > from + 240 ? " …" : "")
}

// What Material shows: a card for each page, with its sections. It hides those that score less than the first.
function answer(index, question) {
  const { found, matched } = index.ask(question)
  const words = question.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []
  const known = Object.fromEntries(words.filter(word => !STOP.has(word)).map(word => [word, true]))
  const cards = new Map()
  for (const { section, rank } of found) {
    if (!cards.has(section.page)) cards.set(section.page, [])
    const card = cards.get(section.page)
    const shown = card.length < 3 && rank > 0.75 * card[0]?.score
    card.push({
      location: section.location,
      title: mark(section.title, matched),
      text: section.text && `<p>${mark(excerpt(section.text, matched), matched)}</p>`,
      score: shown ? card[0].score : rank,
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
