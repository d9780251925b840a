// A proxy in front of a server that needs a token, for clients that cannot send one: `node with-token.mjs URL`, with
// the token in JOBMCP_TOKEN. Prints its own address. Everything else, including the host name, passes through
// unchanged.
import http from "node:http";

const server = new URL(process.argv[2]);
const authorization = ["Authorization", `Bearer ${process.env.JOBMCP_TOKEN}`];
const proxy = http.createServer((request, response) => {
  const { method, url, rawHeaders } = request;
  const headers = [...rawHeaders, ...authorization];
  const onward = http.request({ host: server.hostname, port: server.port, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  request.pipe(onward);
});
proxy.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${proxy.address().port}${server.pathname}`));
