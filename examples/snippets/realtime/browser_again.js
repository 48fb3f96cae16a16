// --8<-- [start:again]
function listen(url, events) {
  let last = "";
  const open = () => {
    const source = new EventSource(last ? `${url}?since=${last}` : url);
    for (const [name, handle] of Object.entries(events)) {
      source.addEventListener(name, (event) => {
        last = event.lastEventId || last;
        handle(JSON.parse(event.data));
      });
    }
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(open, 2000 + 6000 * Math.random());
      }
    };
  };
  open();
}
// --8<-- [end:again]

// --8<-- [start:use]
listen("/realtime/orders/user-7", {
  "order.paid": (message) => show(`Order ${message.payload.number} is paid.`),
  replay_gap: () => location.reload(),
});
// --8<-- [end:use]

function show(text) {
  document.body.append(text);
}
