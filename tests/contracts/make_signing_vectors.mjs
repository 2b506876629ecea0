// Writes the cases of signing-vectors.json and Node's answers to them. Shares nothing with the service: the strings
// to sign are put together here from the providers' documentation. Run by make_signing_vectors.sh, in two steps:
//
//   node make_signing_vectors.mjs cases DIR      one directory per case, with the parts as files, for openssl
//   node make_signing_vectors.mjs assemble DIR   reads openssl's answers from DIR, prints the JSON document
//
// RSA-SHA256 with PKCS#1 v1.5 and HMAC are deterministic (and PSS is, with an empty salt): the same keys always give
// the same file.
import { constants, createHmac, createSign } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const KEYS = join(here, "..", "..", "keys.example");
const partner = readFileSync(join(KEYS, "partner-private.pem"), "utf8");
const stableMint = readFileSync(join(KEYS, "simulator-private.pem"), "utf8");

const rsa = (key, message, algorithm = "SHA256") => createSign(algorithm).update(message).sign(key, "base64");

const BODIES = {
  ascii: JSON.stringify({ userCountryCode: "DE", currency: "EUR", amount: 10.5, websiteReference: "a1b2" }),
  "non-ascii": JSON.stringify({ customFields: { order: "Größe 42 – café ☕ 日本 🧾" }, amount: 9 }),
  "empty object": "{}",
  "empty body": "",
  numbers: '{"amount":10,"b":0.1,"c":9.99,"d":1000000,"e":0.000001,"f":-1}',
  "white space kept": '{ "amount" : 10.50,\r\n\t"currency":"EUR" }\n',
  "commas and quotes": JSON.stringify({ text: 'a,b,"c",\\d\u2028', list: [1, 2, 3] }),
  big: JSON.stringify({ customFields: { note: "0123456789abcdef".repeat(1024) } }),
};

const TIMESTAMPS = [
  "2026-11-21T10:00:00Z",
  "2026-11-21T10:00:00.123Z",
  "2026-11-21T10:00:00.1234567Z",
  "2026-11-21T10:00:00.1234567",
  "2026-11-21T10:00:00",
  "2026-11-21T12:00:00+02:00",
  "2026-11-21T05:00:00.5-05:00",
  "2026-11-21T10:00:00.0000000+00:00",
];
const NOW = "2026-11-21T10:00:30Z";
const NOW_S = Date.parse("2026-11-21T10:00:00Z") / 1000;

function requests() {
  const secret = "s3cr3t-of-the-partner";
  const cases = Object.entries(BODIES).map(([name, body], i) => ({ name, timestamp: NOW_S + i, secret, body }));
  cases.push({ name: "secret with a comma and non-ascii", timestamp: 1, secret: "a,b,ü", body: BODIES.ascii });
  return cases.map((c) => ({ ...c, node: rsa(partner, `${c.timestamp},${c.secret},${c.body}`) }));
}

function webhooks() {
  return Object.entries(BODIES).map(([name, body], i) => {
    const timestamp = TIMESTAMPS[i % TIMESTAMPS.length];
    return { name: `${name}, ${timestamp}`, timestamp, body, node: rsa(stableMint, `${timestamp},${body}`) };
  });
}

// Each of these must be refused at NOW with a tolerance of four hours.
function refusedWebhooks() {
  const body = '{"eventId":"11111111-1111-4111-8111-111111111111","data":{"amount":10.50}}';
  const timestamp = "2026-11-21T10:00:00.1234567Z";
  const message = `${timestamp},${body}`;
  const good = rsa(stableMint, message);
  const pss = createSign("SHA256")
    .update(message)
    .sign({ key: stableMint, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 }, "base64");
  const at = (stamp) => ({ timestamp: stamp, signature: rsa(stableMint, `${stamp},${body}`) });
  const bytes = Buffer.from(good, "base64");
  return [
    { name: "another key", signature: rsa(partner, message) },
    { name: "body changed by one digit", body: body.replace("10.50", "90.50") },
    { name: "body serialised again", body: JSON.stringify(JSON.parse(body)) },
    { name: "body cut short", body: body.slice(0, -1) },
    { name: "body with a newline more", body: `${body}\n` },
    { name: "same instant, other text", timestamp: "2026-11-21T10:00:00.123456700Z" },
    { name: "timestamp in the header is not the one signed", timestamp: "2026-11-21T10:00:01.1234567Z" },
    { name: "secret in the string, as for a request", signature: rsa(stableMint, `${timestamp},secret,${body}`) },
    { name: "no comma between", signature: rsa(stableMint, `${timestamp}${body}`) },
    { name: "body only", signature: rsa(stableMint, body) },
    { name: "PSS padding", signature: pss },
    { name: "SHA-1", signature: rsa(stableMint, message, "SHA1") },
    { name: "SHA-512", signature: rsa(stableMint, message, "SHA512") },
    { name: "hex", signature: bytes.toString("hex") },
    { name: "URL-safe Base64", signature: good.replaceAll("+", "-").replaceAll("/", "_") },
    { name: "Base64 without padding or its end", signature: good.slice(0, -3) },
    { name: "signature one byte short", signature: bytes.subarray(0, -1).toString("base64") },
    { name: "signature one byte long", signature: Buffer.concat([bytes, Buffer.from([0])]).toString("base64") },
    { name: "all zero", signature: Buffer.alloc(bytes.length).toString("base64") },
    { name: "white space inside", signature: `${good.slice(0, 76)}\n${good.slice(76)}` },
    { name: "two signatures", signature: `${good} ${good}` },
    { name: "too old", ...at("2026-11-21T06:00:29Z") },
    { name: "from the future", ...at("2026-11-21T14:00:31Z") },
    { name: "Unix seconds", ...at(String(NOW_S)) },
    { name: "Unix milliseconds", ...at(`${NOW_S}000`) },
    { name: "an HTTP date", ...at("Sat, 21 Nov 2026 10:00:00 GMT") },
  ].map((refused) => ({ timestamp, body, signature: good, ...refused }));
}

const HEX = (buffer) => Buffer.from(buffer).toString("hex");
const SVIX_KEY = Buffer.from("0123456789abcdef01234567", "latin1");

function svix() {
  const secret = `whsec_${SVIX_KEY.toString("base64")}`;
  return Object.entries(BODIES).map(([name, body], i) => {
    const [id, timestamp] = [`msg_${i}`, NOW_S + i];
    const mac = createHmac("sha256", SVIX_KEY).update(`${id}.${timestamp}.${body}`).digest("base64");
    return { name, id, timestamp, secret, key_hex: HEX(SVIX_KEY), body, node: mac };
  });
}

function hmac() {
  const secret = "our own string, ünïcode too";
  return Object.entries(BODIES).map(([name, body]) => {
    const mac = createHmac("sha256", secret).update(body).digest("hex");
    return { name, secret, key_hex: HEX(secret), body, node: mac };
  });
}

const SETS = { requests, webhooks, svix, hmac };
// What openssl gets besides the body: the text in front of it, as separate parts that the shell joins itself.
const PARTS = {
  requests: (c) => ({ timestamp: String(c.timestamp), secret: c.secret }),
  webhooks: (c) => ({ timestamp: c.timestamp }),
  svix: (c) => ({ id: c.id, timestamp: String(c.timestamp), key_hex: c.key_hex }),
  hmac: (c) => ({ key_hex: c.key_hex }),
};

function writeCases(target) {
  for (const [set, make] of Object.entries(SETS)) {
    make().forEach((c, i) => {
      const directory = join(target, set, String(i).padStart(2, "0"));
      mkdirSync(directory, { recursive: true });
      for (const [part, text] of Object.entries({ ...PARTS[set](c), body: c.body })) {
        writeFileSync(join(directory, part), text);
      }
    });
  }
}

function assemble(target) {
  const document = {
    about: "Made by make_signing_vectors.sh; see README.md. The keys are keys.example/.",
    now: NOW,
    bodies: BODIES,
  };
  const named = Object.fromEntries(Object.entries(BODIES).map(([name, body]) => [body, name]));
  for (const [set, make] of Object.entries(SETS)) {
    document[set] = make().map((c, i) => {
      const answer = readFileSync(join(target, set, String(i).padStart(2, "0"), "openssl"), "utf8");
      const { key_hex: _, body, node, ...rest } = c;
      return { ...rest, body: named[body], node, openssl: answer };
    });
  }
  document.refused_webhooks = refusedWebhooks();
  console.log(JSON.stringify(document, null, 1));
}

const [step, target] = process.argv.slice(2);
({ cases: writeCases, assemble })[step](target);
