// A shop's endpoint in Node: verifies each notification by the Standard Webhooks library and says what came of it, one line
// of JSON each. Its secrets are in the file that SECRETS names, read anew at each request.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

function accepted(secret, body, headers) {
  try {
    return new Webhook(secret).verify(body, headers);
  } catch {
    return null;
  }
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString("utf8");
    const secrets = JSON.parse(readFileSync(process.env.SECRETS, "utf8"));
    const content = secrets.map((secret) => accepted(secret, body, request.headers));
    const found = content.find((one) => one !== null);
    const later = { ...request.headers, "webhook-timestamp": String(Number(request.headers["webhook-timestamp"]) + 1) };
    const forged = secrets.filter(
      (secret) => accepted(secret, body + " ", request.headers) || accepted(secret, body, later),
    );
    response.writeHead(found ? 204 : 401).end();
    const id = request.headers["webhook-id"];
    console.log(JSON.stringify({ id, verified: content.map((one) => one !== null), forged: forged.length, content: found ?? null }));
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
