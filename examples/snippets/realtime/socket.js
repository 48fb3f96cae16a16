// --8<-- [start:socket]
const scheme = location.protocol === "https:" ? "wss" : "ws";
const socket = new WebSocket(`${scheme}://${location.host}/realtime`);
const say = (message) => socket.send(JSON.stringify(message));

socket.onopen = () => say({ op: "subscribe", channel: "orders", room: "user-7" });

socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.op === "event") {
    show(`Order ${message.payload.number} is paid.`);
  }
};
// --8<-- [end:socket]

function show(text) {
  document.body.append(text);
}
