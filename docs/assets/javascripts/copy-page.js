// "Copy this page as Markdown": the link copies what it leads to, and is followed where that cannot be done.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.rf-markdown")
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !window.ClipboardItem) return
  event.preventDefault()
  const text = fetch(link.href).then((response) => {
    if (!response.ok) throw new Error(response.statusText)
    return response.text()
  })
  const item = new ClipboardItem({ "text/plain": text.then((found) => new Blob([found], { type: "text/plain" })) })
  navigator.clipboard
    .write([item])
    .then(() => window.alert$?.next("The page is in the clipboard, as Markdown"))
    .catch(() => location.assign(link.href))
})
