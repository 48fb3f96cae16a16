// --8<-- [start:listen]
const source = new EventSource("/realtime/orders/user-7");

source.addEventListener("order.paid", (event) => {
  const message = JSON.parse(event.data);
  show(`Order ${message.payload.number} is paid.`);
});

source.addEventListener("replay_gap", () => location.reload());
// --8<-- [end:listen]

function show(text) {
  document.body.append(text);
}
